/** HTTP/2, in plain text and over TLS: echo, trailers, push, errors, and one handler that throws. */

import http2 from 'node:http2';
import type net from 'node:net';
import { carrier, listen, report } from '../../e2e/programs/support.js';
import { cert, key } from '../../support/certificate.js';

process.on('uncaughtException', (error) => report('uncaught', { message: error.message }));

function onStream(stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders): void {
  const path = headers[':path']!;
  const events: string[] = [];
  stream.on('aborted', () => events.push('aborted'));
  stream.on('error', (error) => events.push(error.message));
  stream.on('close', () => report('stream', { path, events, code: stream.rstCode }));
  switch (path) {
    case '/echo':
      stream.respond({ ':status': 200 });
      stream.pipe(stream);
      break;
    case '/trailers':
      stream.respond({ ':status': 200 }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ checksum: 'abc' }));
      stream.end('body');
      break;
    case '/push':
      stream.pushStream({ ':path': '/pushed' }, (error, pushed) => {
        if (error !== null) throw error;
        pushed.respond({ ':status': 200 });
        pushed.end('pushed body');
        stream.respond({ ':status': 200 });
        stream.end('body');
      });
      break;
    case '/destroy':
      stream.destroy(new Error('destroyed by the handler'));
      break;
    case '/throw':
      throw new Error('thrown by the handler');
    case '/goaway':
      stream.respond({ ':status': 200 });
      stream.end('body');
      stream.session!.close();
      break;
    case '/gone':
      stream.session!.destroy();
      break;
    default:
      stream.respond({ ':status': 404 });
      stream.end();
  }
}

function onSession(session: http2.ServerHttp2Session): void {
  report('session', { ...carrier(session.socket as net.Socket), encrypted: session.encrypted });
  session.on('error', () => {});
}

for (const server of [http2.createServer(), http2.createSecureServer({ key, cert })]) {
  server.on('stream', onStream);
  server.on('session', onSession);
  await listen(server as unknown as net.Server);
}
