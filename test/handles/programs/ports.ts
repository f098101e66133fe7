/**
 * Who has a port. `ports server <name> <options>` listens and answers each connection with its name and what carries it;
 * `ports client` asks when told to, and keeps what it has learnt of others between two questions.
 */

import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { fileURLToPath } from 'node:url';
import { carrier, onOrder, report } from '../../e2e/programs/support.js';

const self = fileURLToPath(import.meta.url);
const [role, name, given] = process.argv.slice(2) as [string, string, string];

function serve(as: string): net.Server {
  return net.createServer((socket) => {
    socket.on('error', () => {});
    socket.resume();
    socket.end(JSON.stringify({ server: as, provider: carrier(socket).provider }));
  });
}

function attempt(server: net.Server, start: () => void): void {
  server.once('error', (error: NodeJS.ErrnoException) => report('failed', { code: error.code }));
  server.once('listening', () => {
    const { port, address } = server.address() as net.AddressInfo;
    report('listening', { port, address, reason: carrier(server).reason });
  });
  start();
}

interface Handled {
  _handle: { fd: number };
}

function orders(server: net.Server): void {
  onOrder('close', () => server.close(() => report('closed')));
  onOrder('listen', ({ options }) => attempt(server, () => server.listen(options as net.ListenOptions)));
  onOrder('share', () => {
    const second = serve(`${name}, second server`);
    attempt(second, () => second.listen(server));
  });
  onOrder('send', () => {
    const child = fork(self, ['receiver', `${name}, child`], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    child.on('message', (message) => report((message as { kind: string }).kind, message as Record<string, unknown>));
    child.send('server', server);
    child.channel!.unref();
    process.once('exit', () => child.kill());
  });
  onOrder('inherit', () => {
    const { fd } = (server as unknown as Handled)._handle;
    const args = [...process.execArgv, self, 'server', `${name}, heir`, JSON.stringify({ fd: 4 })];
    const stdio = ['ignore', 'inherit', 'inherit', 'ipc', fd] as const;
    const child = spawn(process.execPath, args, { stdio: [...stdio], env: { ...process.env, LISTEN_FDS: '1' } });
    child.on('message', (message) => report((message as { kind: string }).kind, message as Record<string, unknown>));
    child.channel!.unref();
    process.once('exit', () => child.kill());
  });
}

/** A connection made elsewhere and given to a socket as a descriptor. */
async function byDescriptor(port: number): Promise<void> {
  const args = [...process.execArgv, self, 'descriptor', ''];
  const connection = net.connect(port, '127.0.0.1');
  await once(connection, 'connect');
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc', connection] });
  connection.destroy();
  child.on('message', (message) => report('answer', message as Record<string, unknown>));
}

/** Asks who answers, and by what it was reached. */
async function ask(options: net.TcpNetConnectOpts): Promise<void> {
  const socket = net.connect(options);
  try {
    await once(socket, 'connect');
    let text = '';
    for await (const part of socket.setEncoding('utf8')) text += part;
    const { provider, reason } = carrier(socket);
    // A machine that is too busy for the connect's budget says nothing about ports.
    if (reason === 'connect-timeout') await ask(options);
    else report('answer', { ...JSON.parse(text), client: provider });
  } catch (error) {
    report('answer', { code: (error as NodeJS.ErrnoException).code });
  }
}

if (role === 'server') {
  const server = serve(name);
  orders(server);
  process.channel!.ref();
  attempt(server, () => server.listen(JSON.parse(given) as net.ListenOptions));
} else if (role === 'receiver') {
  process.channel!.ref();
  process.on('message', (_message, received) => {
    const server = received as unknown as net.Server;
    server.on('connection', (socket) => {
      socket.on('error', () => {});
      socket.resume();
      socket.end(JSON.stringify({ server: name, provider: carrier(socket).provider }));
    });
    report('received', { reason: carrier(server).reason });
  });
} else if (role === 'descriptor') {
  const socket = new net.Socket({ fd: 4, readable: true, writable: true });
  let text = '';
  for await (const part of socket.setEncoding('utf8')) text += part;
  process.send!({ ...JSON.parse(text), client: carrier(socket).provider, remotePort: typeof socket.remotePort });
} else {
  process.channel!.ref();
  onOrder('ask', ({ options }) => void ask(options as net.TcpNetConnectOpts));
  onOrder('descriptor', ({ port }) => void byDescriptor(port as number));
  process.channel!.ref();
  report('ready');
}
