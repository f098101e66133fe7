/** A plain HTTP server. It knows nothing of Sockets Direct. */

import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { CHUNK_BYTES, CHUNKS_PER_MIB, payload } from './payload.js';

const small = 'x'.repeat(64);

const server = http.createServer((request, response) => {
  const url = new URL(request.url ?? '/', 'http://localhost');
  switch (url.pathname) {
    case '/hello':
      response.end('hello\n');
      return;
    case '/small':
      response.end(small);
      return;
    case '/stream': {
      const mib = Number(url.searchParams.get('mib'));
      response.setHeader('content-length', mib * CHUNKS_PER_MIB * CHUNK_BYTES);
      Readable.from(payload(mib), { objectMode: false }).pipe(response);
      return;
    }
    default:
      response.statusCode = 404;
      response.end();
  }
});

// Long enough for a visitor to look at an open connection that is not in use.
server.keepAliveTimeout = 60_000;
server.listen({ host: '127.0.0.1', port: 0 }, () => {
  console.log(JSON.stringify({ port: (server.address() as AddressInfo).port }));
});

process.stdin.resume();
process.stdin.on('end', () => server.close());
