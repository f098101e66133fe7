/** fastify, loaded by autocannon: schemas, streams, hooks, and a close that waits for who is being served. */

import { Readable } from 'node:stream';
import autocannon from 'autocannon';
import fastify from 'fastify';
import { bytes, compared, deferred, digest, fact, host, pieces, play, portOf } from './side.js';

const MiB = 1 << 20;
const body = bytes(6 * MiB, 13);

async function server() {
  const app = fastify({ bodyLimit: 10 * MiB, forceCloseConnections: 'idle' });
  const closing = deferred();
  app.addHook('onSend', (_request, reply, payload, done) => {
    reply.header('x-hook', 'was here');
    done(null, payload);
  });
  app.addContentTypeParser('application/octet-stream', { parseAs: 'buffer' }, (_request, raw, done) => done(null, raw));
  app.get('/small', () => ({ hello: 'world' }));
  app.get('/stream', (_request, reply) => reply.send(Readable.from(pieces(body))));
  app.post('/digest', (request) => ({ digest: digest(request.body as Buffer) }));
  app.post(
    '/checked',
    { schema: { body: { type: 'object', required: ['n'], properties: { n: { type: 'integer' } } } } },
    (request) => ({ twice: (request.body as { n: number }).n * 2 }),
  );
  app.addHook('onRequest', (request, _reply, done) => {
    if (request.url === '/late') void app.close().then(() => closing.resolve());
    done();
  });
  // Answered after closing has begun.
  app.get('/late', async () => {
    await new Promise((resolve) => setImmediate(resolve));
    return { served: 'while closing' };
  });
  await app.listen({ port: 0, host });
  const close = async (): Promise<void> => {
    await closing.promise;
    fact('closed when all were served');
  };
  return { port: portOf(app.server), close };
}

async function client(port: number): Promise<void> {
  const url = `http://${host}:${port}`;
  const load = await autocannon({
    url: `${url}/small`,
    connections: 10,
    amount: 2000,
    expectBody: '{"hello":"world"}',
  });
  const { errors, timeouts, mismatches, non2xx } = load;
  fact(`autocannon: ${load['2xx']} answers, ${errors + timeouts + mismatches + non2xx} errors`);
  const stream = await fetch(`${url}/stream`);
  fact(`stream, ${stream.headers.get('x-hook')}: ${compared(Buffer.from(await stream.arrayBuffer()), body)}`);
  const post = (path: string, type: string, data: Buffer | string): Promise<Response> =>
    fetch(`${url}${path}`, { method: 'POST', headers: { 'content-type': type }, body: data });
  const { digest: got } = (await (await post('/digest', 'application/octet-stream', body)).json()) as {
    digest: string;
  };
  fact(`upload ${got === digest(body) ? 'as sent' : 'changed'}`);
  for (const n of ['21', '"x"']) {
    const checked = await post('/checked', 'application/json', `{"n":${n}}`);
    fact(`${checked.status}: ${await checked.text()}`);
  }
  fact(`late: ${await (await fetch(`${url}/late`)).text()}`);
}

await play({ server, client });
