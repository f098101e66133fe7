/** undici over HTTP/1.1: request, Client with pipelining, Pool, streams, fetch, a request that is aborted. */

import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Agent, Client, fetch, Pool, request } from 'undici';
import { bytes, compared, fact, host, pieces, play } from './side.js';
import { connect, numbers, server } from './undici-server.js';

const MiB = 1 << 20;

async function client(port: number): Promise<void> {
  const origin = `https://${host}:${port}`;

  const pipelined = new Client(origin, { pipelining: 10, connect });
  fact(
    `Client: ${await numbers(100, async (path) => (await pipelined.request({ path, method: 'GET' })).body.bytes())}`,
  );
  const sent = bytes(3 * MiB, 3);
  const got: Buffer[] = [];
  await pipeline(
    Readable.from(pieces(sent)),
    pipelined.pipeline({ path: '/echo', method: 'POST' }, ({ body }) => body),
    new Writable({
      write(chunk: Buffer, _encoding, done) {
        got.push(chunk);
        done();
      },
    }),
  );
  fact(`pipeline: ${compared(Buffer.concat(got), sent)}`);
  await pipelined.close();

  const pool = new Pool(origin, { connections: 4, connect });
  fact(`Pool: ${await numbers(200, async (path) => (await pool.request({ path, method: 'GET' })).body.bytes())}`);
  const controller = new AbortController();
  const stalled = await pool.request({ path: '/stall', method: 'GET', signal: controller.signal });
  for await (const _ of stalled.body) {
    controller.abort();
    break;
  }
  fact(`the server saw it: ${await (await pool.request({ path: '/abandoned', method: 'GET' })).body.text()}`);
  await pool.close();

  const agent = new Agent({ connect });
  const answer = await request(`${origin}/digest`, { method: 'POST', body: sent, dispatcher: agent });
  fact(`request: ${await answer.body.text()}`);
  const fetched = await fetch(`${origin}/echo`, { method: 'POST', body: sent, dispatcher: agent });
  fact(`fetch: ${compared(await fetched.bytes(), sent)}`);
  await agent.close();
}

await play({ server, client });
