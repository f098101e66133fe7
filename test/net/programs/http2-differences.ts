/**
 * `http2-differences.js server` and `http2-differences.js client throws|tls PORT`: streams whose events come in another order,
 * or not at all, where the native layer is called from JavaScript.
 */

import { once } from 'node:events';
import http2 from 'node:http2';
import type net from 'node:net';
import tls from 'node:tls';
import { carrier, connect, listen, report } from '../../e2e/programs/support.js';
import { cert, key } from '../../support/certificate.js';

const [role, scenario, port] = process.argv.slice(2);

/** The events of a stream, in order. */
function watch(stream: http2.ClientHttp2Stream): string[] {
  const events: string[] = [];
  for (const name of ['response', 'data', 'end', 'error', 'close']) stream.on(name, () => events.push(name));
  return events;
}

async function serve(): Promise<void> {
  for (const server of [http2.createServer(), http2.createSecureServer({ key, cert })]) {
    server.on('stream', (stream) => {
      stream.respond({ ':status': 200 });
      // Its headers, its data and its end in one write.
      stream.end('all of it');
    });
    await listen(server as unknown as net.Server);
  }
}

/** A 'data' listener throws, and the process goes on. */
async function throws(): Promise<void> {
  const uncaught = once(process, 'uncaughtException');
  const session = http2.connect(`http://127.0.0.1:${port}`);
  const stream = session.request({ ':path': '/' });
  const events = watch(stream);
  stream.on('data', () => {
    throw new Error('thrown on purpose');
  });
  const [{ message }] = (await uncaught) as [Error];
  // Whatever was to come of the first one has come when another one is over.
  const other = session.request({ ':path': '/' });
  const others = watch(other.resume());
  await once(other, 'close');
  report('told', { ...carrier(session.socket as net.Socket), message, events, others });
  session.destroy();
}

/** TLS that offers h2 on a socket that is connected already. */
async function overTls(): Promise<void> {
  const socket = await connect({ port: Number(port), host: '127.0.0.1' });
  const { provider, reason } = carrier(socket);
  const session = http2.connect(`https://127.0.0.1:${port}`, {
    createConnection: () => tls.connect({ socket, ALPNProtocols: ['h2'], ca: cert, servername: 'localhost' }),
  });
  const stream = session.request({ ':path': '/' });
  const events = watch(stream);
  await once(stream, 'close');
  report('told', { provider, reason, events });
  session.destroy();
}

if (role === 'server') await serve();
else await (scenario === 'tls' ? overTls() : throws());
