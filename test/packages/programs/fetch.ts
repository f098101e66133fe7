/** The fetch that is part of Node.js: many at once, streams in both directions at once, forms, abort. */

import http from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  bytes,
  closed,
  collect,
  compared,
  deferred,
  digest,
  fact,
  failure,
  host,
  listen,
  pieces,
  play,
} from './side.js';

const MiB = 1 << 20;

async function server() {
  const abandoned = deferred<string>();
  const serving = http.createServer((req, res) => {
    void (async () => {
      const [, name, rest] = (req.url ?? '').split('/');
      if (name === 'number') res.end(bytes(1000 + Number(rest), Number(rest)));
      else if (name === 'echo') await pipeline(req, res);
      else if (name === 'upload') {
        await collect(req).then(
          () => abandoned.resolve('complete'),
          (error: NodeJS.ErrnoException) => abandoned.resolve(String(error.code)),
        );
      } else if (name === 'abandoned') res.end(await abandoned.promise);
      else if (name === 'json') {
        const { numbers } = JSON.parse((await collect(req)).toString()) as { numbers: number[] };
        res.setHeader('content-type', 'application/json');
        res.end(JSON.stringify({ sum: numbers.reduce((sum, one) => sum + one, 0) }));
      } else res.end(digest(await collect(req)));
    })();
  });
  return { port: await listen(serving), close: () => closed(serving) };
}

async function client(port: number): Promise<void> {
  const url = (path: string): string => `http://${host}:${port}${path}`;
  const right = await Promise.all(
    Array.from({ length: 100 }, async (_, i) => {
      const answer = await fetch(url(`/number/${i}`));
      return bytes(1000 + i, i).equals(Buffer.from(await answer.arrayBuffer()));
    }),
  );
  fact(`${right.filter((one) => one).length} of 100 at once`);

  const sent = bytes(8 * MiB, 7);
  const body = Readable.toWeb(Readable.from(pieces(sent))) as ReadableStream<Uint8Array>;
  const echo = await fetch(url('/echo'), { method: 'POST', body, duplex: 'half' });
  fact(`streams in both directions: ${compared(await collect(echo.body as AsyncIterable<Uint8Array>), sent)}`);

  const numbers = Array.from({ length: 100_000 }, (_, i) => i);
  const sum = await fetch(url('/json'), { method: 'POST', body: JSON.stringify({ numbers }) });
  fact(`JSON: ${JSON.stringify(await sum.json())}`);
  const blob = await fetch(url('/digest'), { method: 'POST', body: new Blob([sent]) });
  fact(`a Blob arrives ${(await blob.text()) === digest(sent) ? 'as sent' : 'changed'}`);

  const controller = new AbortController();
  const { signal } = controller;
  const endless = new ReadableStream<Uint8Array>({
    async pull(stream) {
      await new Promise((resolve) => setImmediate(resolve));
      // Node.js 20 goes on asking a stream whose request was aborted.
      if (signal.aborted) stream.close();
      else stream.enqueue(bytes(65536));
    },
  });
  const upload = failure(fetch(url('/upload'), { method: 'POST', body: endless, duplex: 'half', signal }));
  const until = await fetch(url('/number/1'));
  await until.arrayBuffer();
  controller.abort();
  fact(`upload aborted: ${await upload}`);
  fact(`the server saw it: ${await (await fetch(url('/abandoned'))).text()}`);
  fact(`nobody there: ${await failure(fetch(`http://${host}:1/`))}`);
}

await play({ server, client });
