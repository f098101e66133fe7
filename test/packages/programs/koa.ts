/** koa: middleware around a stream, bodies, errors; asked by fetch, directly or through the program `proxy`. */

import http from 'node:http';
import { Readable } from 'node:stream';
import Koa from 'koa';
import { bytes, closed, collect, compared, fact, host, listen, pieces, play } from './side.js';

const MiB = 1 << 20;

async function server() {
  const app = new Koa();
  app.use(async (ctx, next) => {
    await next();
    ctx.set('x-after', 'yes');
  });
  app.use(async (ctx) => {
    if (ctx.method === 'POST') ctx.body = await collect(ctx.req);
    else if (ctx.path === '/missing') ctx.throw(404, 'not here');
    else ctx.body = Readable.from(pieces(bytes(4 * MiB, 17)));
  });
  const serving = http.createServer(app.callback());
  return { port: await listen(serving), close: () => closed(serving) };
}

async function client(port: number): Promise<void> {
  const url = `http://${host}:${port}`;
  const answers = await Promise.all(
    Array.from({ length: 20 }, async (_, i) => {
      const sent = bytes(200_000 + i, i);
      const answer = await fetch(url, { method: 'POST', body: sent });
      return answer.headers.get('x-after') === 'yes' && sent.equals(Buffer.from(await answer.arrayBuffer()));
    }),
  );
  fact(`${answers.filter((one) => one).length} of 20 echoes`);
  const stream = await fetch(url);
  fact(`stream: ${compared(Buffer.from(await stream.arrayBuffer()), bytes(4 * MiB, 17))}`);
  const missing = await fetch(`${url}/missing`);
  fact(`${missing.status}: ${await missing.text()}`);
}

await play({ server, client });
