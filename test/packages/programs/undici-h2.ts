/** undici over HTTP/2: streams at once on one connection, both ways, one that is aborted. */

import { Readable } from 'node:stream';
import { Client } from 'undici';
import { bytes, collect, digest, fact, failure, host, pieces, play } from './side.js';
import { connect, numbers, server } from './undici-server.js';

async function client(port: number): Promise<void> {
  const origin = `https://${host}:${port}`;
  const sent = bytes(3 << 20, 3);
  const h2 = new Client(origin, { allowH2: true, maxConcurrentStreams: 50, pipelining: 50, connect });
  const version = await h2.request({ path: '/version', method: 'GET' });
  fact(`over HTTP/${await version.body.text()}`);
  fact(`streams: ${await numbers(200, async (path) => (await h2.request({ path, method: 'GET' })).body.bytes())}`);
  const uploaded = await h2.request({ path: '/digest', method: 'POST', body: Readable.from(pieces(sent)) });
  fact(`upload ${(await uploaded.body.text()).endsWith(digest(sent)) ? 'as sent' : 'changed'}`);
  const stop = new AbortController();
  const flow = await h2.request({ path: '/stall', method: 'GET', signal: stop.signal });
  const reading = failure(collect(flow.body));
  stop.abort();
  fact(`aborted stream: ${await reading}`);
  fact(`others go on: ${await (await h2.request({ path: '/version', method: 'GET' })).body.text()}`);
  await h2.close();
}

await play({ server, client });
