/** A server for undici that speaks HTTP/1.1 and HTTP/2 over TLS. */

import http2 from 'node:http2';
import type { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { cert, key } from '../../support/certificate.js';
import { bytes, closed, collect, connectionsBegun, deferred, digest, listen, type Serving } from './side.js';

const MiB = 1 << 20;

/** How a client has to connect to it. */
export const connect = { ca: cert, servername: 'localhost' };

export async function server(): Promise<Serving> {
  const abandoned = deferred();
  const both = http2.createSecureServer({ key, cert, allowHTTP1: true }, (req, res) => {
    void (async () => {
      const [, name, rest] = req.url.split('/');
      if (name === 'number') res.end(bytes(1000 + Number(rest), Number(rest)));
      else if (name === 'version') res.end(req.httpVersion);
      else if (name === 'digest') {
        const body = await collect(req);
        res.end(`${body.length} ${digest(body)}`);
      } else if (name === 'echo') await pipeline(req, res as unknown as Writable);
      else if (name === 'abandoned') {
        await abandoned.promise;
        res.end('closed');
      } else {
        res.on('close', () => abandoned.resolve());
        res.writeHead(200, { 'content-type': 'text/plain' });
        res.write(bytes(MiB));
      }
    })();
  });
  return { port: await listen(both), close: () => closed(both) };
}

/** Asks for so many answers at once, and tells how many were right. */
export async function numbers(count: number, ask: (path: string) => Promise<Uint8Array>): Promise<string> {
  const before = connectionsBegun();
  const right = await Promise.all(
    Array.from({ length: count }, async (_, i) => bytes(1000 + i, i).equals(await ask(`/number/${i}`))),
  );
  return `${right.filter((one) => one).length} of ${count} over ${connectionsBegun() - before} connections`;
}
