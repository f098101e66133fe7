/** ioredis: single commands, pipelines, binary, transactions, channels, blocking pops, a connection that is cut. */

import { once } from 'node:events';
import { Redis } from 'ioredis';
import { createRespServer } from './resp-server.js';
import { bytes, closed, compared, fact, host, listen, play } from './side.js';

const MiB = 1 << 20;

async function server() {
  const serving = createRespServer();
  return { port: await listen(serving), close: () => closed(serving) };
}

async function client(port: number): Promise<void> {
  const connect = (): Redis => new Redis({ port, host, retryStrategy: () => null });
  const redis = connect();
  let right = 0;
  for (let i = 0; i < 200; i++) {
    await redis.set(`key ${i}`, `value ${i}`);
    if ((await redis.get(`key ${i}`)) === `value ${i}`) right += 1;
  }
  fact(`one after another: ${right} of 200`);

  const batch = redis.pipeline();
  for (let i = 0; i < 2500; i++) batch.set(`b${i}`, bytes(i % 300, i)).getBuffer(`b${i}`);
  const results = (await batch.exec())!;
  const good = results.filter(([error, value], i) => {
    const n = (i - 1) / 2;
    return error === null && (i % 2 === 0 ? value === 'OK' : bytes(n % 300, n).equals(value as Buffer));
  });
  fact(`pipeline: ${good.length} of 5000 answers`);

  const large = bytes(4 * MiB, 29);
  await redis.set('large', large);
  fact(`large: ${compared((await redis.getBuffer('large'))!, large)}`);

  const [, second] = (await redis.multi().set('n', '41').incr('n').get('n').exec())!;
  fact(`transaction: ${JSON.stringify(second)}`);
  const other = connect();
  await redis.watch('n');
  await other.set('n', '0');
  fact(`watched: ${JSON.stringify(await redis.multi().incr('n').exec())}`);
  fact(`error: ${await redis.incr('key 1').catch((error: Error) => error.message)}`);
  fact(`unknown: ${await redis.call('NONSENSE').catch((error: Error) => error.message)}`);

  const ear = connect();
  const heard: string[] = [];
  const all = new Promise<void>((resolve) => {
    ear.on('message', (_channel, text) => {
      if (heard.push(text) === 1000) resolve();
    });
  });
  await ear.subscribe('news');
  await Promise.all(Array.from({ length: 1000 }, (_, i) => redis.publish('news', `news ${i}`)));
  await all;
  fact(`channel: ${heard.filter((text, i) => text === `news ${i}`).length} of 1000 in order`);
  await ear.unsubscribe('news');

  const popped = other.blpop('jobs', 0);
  await redis.rpush('jobs', 'one', 'two');
  fact(`blocking pop: ${JSON.stringify(await popped)}, left ${await redis.lrange('jobs', 0, -1)}`);

  // In the middle of an answer.
  const cut = connect();
  await cut.ping();
  const lost = cut.getBuffer('large').catch((error: Error) => error.message);
  const ended = once(cut, 'end');
  cut.stream.once('data', () => cut.stream.destroy());
  await ended;
  fact(`cut: ${await lost}`);
  await Promise.all([redis, other, ear].map((one) => one.quit()));
}

await play({ server, client });
