/**
 * `subscriber.js server|client|both [throw]`: a program that subscribes to every channel of Sockets Direct and reports what it
 * hears, in order with the events of its own sockets. What it does with its sockets it is told.
 */

import diagnosticsChannel from 'node:diagnostics_channel';
import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';
import { carrier, listen, onOrder, report } from '../../e2e/programs/support.js';
import { cert, key } from '../../support/certificate.js';

const [role, mode] = process.argv.slice(2);
const names = ['connect', 'accept', 'fallback', 'connect-error', 'close'];

/** What a message says, with its sockets told by what they are. */
function plain(message: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(message).map(([name, value]) => {
      if (value instanceof tls.TLSSocket) return [name, 'TLSSocket'];
      if (value instanceof net.Socket) return [name, 'Socket'];
      if (value instanceof net.Server) return [name, 'Server'];
      return [name, value];
    }),
  );
}

for (const name of names) {
  diagnosticsChannel.subscribe(`sockets-direct:${name}`, (message) => {
    report('message', { name, ...plain(message as object) });
    if (mode === 'throw') throw new Error(`thrown on ${name}`);
    if (mode === 'destroy') (message as { socket?: net.Socket | null }).socket?.destroy();
  });
}
process.on('uncaughtException', (error) => report('uncaught', { message: error.message }));

const sockets = new Set<net.Socket>();

function watch(socket: net.Socket): void {
  sockets.add(socket);
  socket.on('close', () => sockets.delete(socket));
  socket.on('end', () => report('event', { name: 'end' }));
  socket.on('error', (error: NodeJS.ErrnoException) => report('event', { name: 'error', code: error.code }));
  socket.on('close', () => report('event', { name: 'close', ...carrier(socket) }));
}

async function connect({ secure, ...options }: net.TcpNetConnectOpts & { secure?: boolean }): Promise<void> {
  const socket = secure
    ? tls.connect({ ...options, rejectUnauthorized: false })
    : net.connect({ allowHalfOpen: true, ...options });
  watch(socket);
  socket.on('data', () => report('event', { name: 'data' }));
  await once(socket, secure ? 'secureConnect' : 'connect');
  report('event', { name: 'connect' });
}

onOrder('connect', ({ options }) => {
  connect(options as net.TcpNetConnectOpts).catch(() => {});
});
onOrder('write', () => {
  for (const socket of sockets) socket.write('hello');
});
onOrder('end', () => {
  for (const socket of sockets) socket.end();
});
onOrder('reset', () => {
  for (const socket of sockets) socket.resetAndDestroy();
});
setInterval(() => {}, 60_000);

if (role !== 'client') {
  const server =
    role === 'secure'
      ? tls.createServer({ key, cert })
      : net.createServer({ allowHalfOpen: true, pauseOnConnect: true });
  server.on('connection', (socket) => {
    report('event', { name: 'connection' });
    watch(socket);
  });
  server.on('secureConnection', (socket) => socket.on('error', () => {}).resume());
  onOrder('read', () => {
    for (const socket of sockets) socket.resume();
  });
  await listen(server);
}
report('ready');
