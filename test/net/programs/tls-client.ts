/** One way of having a TLS connection, by name; then bytes there and back. */

import { once } from 'node:events';
import https from 'node:https';
import net from 'node:net';
import type { Duplex } from 'node:stream';
import tls from 'node:tls';
import { Checker, carrier, connect, pattern, report, send } from '../../e2e/programs/support.js';
import { cert, key } from '../../support/certificate.js';

const [name, ...ports] = process.argv.slice(2);
const [alpnPort, upgradePort, nestedPort, httpsPort] = ports.map(Number);
const host = '127.0.0.1';
const common: tls.ConnectionOptions = { ca: cert, servername: 'localhost' };
const bytes = 300_000;

async function secure(options: tls.ConnectionOptions): Promise<tls.TLSSocket> {
  const socket = tls.connect({ ...common, ...options });
  await once(socket, 'secureConnect');
  return socket;
}

async function exchange(socket: tls.TLSSocket): Promise<void> {
  const checker = new Checker().watch(socket);
  await send(socket, bytes);
  while (checker.bytes < bytes) await once(socket, 'data');
  socket.end();
  await once(socket, 'close');
  const { authorized, alpnProtocol: alpn } = socket;
  report('done', { ...carrier(socket), correct: checker.correct, bytes: checker.bytes, authorized, alpn });
}

const ways: Record<string, () => Promise<void>> = {
  direct: async () => exchange(await secure({ host, port: alpnPort, ALPNProtocols: ['a'] })),

  clientCertificate: async () => exchange(await secure({ host, port: alpnPort, key, cert })),

  resumed: async () => {
    const first = await secure({ host, port: alpnPort });
    const session = once(first, 'session');
    first.resume();
    const [ticket] = (await session) as [Buffer];
    first.end();
    await once(first, 'close');
    const second = await secure({ host, port: alpnPort, session: ticket });
    report('resumed', { reused: second.isSessionReused() });
    await exchange(second);
  },

  renegotiated: async () => {
    const socket = await secure({ host, port: alpnPort, maxVersion: 'TLSv1.2' });
    await new Promise<void>((resolve, reject) => {
      socket.renegotiate({ rejectUnauthorized: true }, (error) => (error === null ? resolve() : reject(error)));
    });
    await exchange(socket);
  },

  overConnected: async () => exchange(await secure({ socket: await connect({ host, port: alpnPort }) })),

  upgraded: async () => {
    const plain = await connect({ host, port: upgradePort });
    plain.write('STARTTLS\r\n');
    await once(plain, 'data');
    await exchange(await secure({ socket: plain }));
  },

  nested: async () =>
    exchange(await secure({ socket: (await secure({ host, port: nestedPort })) as Duplex as net.Socket })),

  overConnecting: async () => exchange(await secure({ socket: net.connect({ host, port: alpnPort }) })),

  agent: async () => {
    const agent = new https.Agent({ keepAlive: true, maxSockets: 1, ca: cert });
    const sockets = new Set<net.Socket>();
    let correct = true;
    for (let i = 0; i < 3; i++) {
      const request = https.request({ host, port: httpsPort, method: 'POST', agent, servername: 'localhost' });
      request.end(pattern(i, 20_000));
      const [response] = (await once(request, 'response')) as [import('node:http').IncomingMessage];
      sockets.add(response.socket);
      const chunks: Buffer[] = await response.toArray();
      correct &&= Buffer.concat(chunks).equals(pattern(i, 20_000));
    }
    const [socket] = sockets;
    report('done', { ...carrier(socket), correct, sockets: sockets.size });
    agent.destroy();
  },
};

await ways[name]();
