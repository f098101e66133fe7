/** How programs end: nothing that was written is lost, and nothing of ours keeps them. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type Program, processorTime, Stage } from '../support/stage.js';

interface Closed {
  how: string;
  bytes: number;
  correct: boolean;
  provider: string;
}

const limit = { timeout: 60_000 };

async function port(server: Program): Promise<number> {
  return (await server.next<{ port: number }>('listening')).port;
}

async function checkAll(receiver: Program, bytes: number): Promise<void> {
  const { how, bytes: received, correct, provider } = await receiver.next<Closed>('closed');
  assert.deepEqual(
    { how, received, correct, provider },
    { how: 'end', received: bytes, correct: true, provider: 'shared-memory' },
  );
}

/** As server, as client, and in a handler, where the program is in the middle of a call of ours. */
async function checkExits(t: TestContext, bytes: number, piece: number): Promise<void> {
  const stage = new Stage(t);
  const client = stage.start('stream', ['client', 0]);
  const server = stage.start('exit', ['server', bytes, piece]);
  client.tell({ kind: 'connect', port: await port(server) });
  await checkAll(client, bytes);
  assert.equal((await server.ended()).code, 0);

  const receiver = stage.start('stream', ['server', 0]);
  const sender = stage.start('exit', ['client', bytes, piece, await port(receiver)]);
  await checkAll(receiver, bytes);
  assert.equal((await sender.ended()).code, 0);

  const answering = stage.start('exit', ['answer', bytes, piece]);
  const asking = stage.start('stream', ['client', 5]);
  asking.tell({ kind: 'connect', port: await port(answering) });
  await checkAll(asking, bytes);
  assert.equal((await answering.ended()).code, 0);
}

for (const bytes of [1, 65_536, 262_144, 1_048_576]) {
  test(`[shared-memory] process.exit() right after end(${bytes} bytes) loses nothing`, limit, (t) =>
    checkExits(t, bytes, bytes),
  );
}

test('[shared-memory] process.exit() after many writes and end() loses nothing', limit, (t) =>
  checkExits(t, 1_048_576, 65_536),
);

test(
  '[shared-memory] process.exit() by a reader that has read everything is an end, and no reset',
  limit,
  async (t) => {
    const stage = new Stage(t);
    const leaving = stage.start('exit', ['leave', 0, 0]);
    const asking = stage.start('stream', ['client', 5]);
    asking.tell({ kind: 'connect', port: await port(leaving) });
    await checkAll(asking, 0);
    assert.equal((await leaving.ended()).code, 0);
  },
);

test(
  '[shared-memory] a program that ends by itself after destroy() loses nothing of what was written',
  limit,
  async (t) => {
    const stage = new Stage(t);
    const receiver = stage.start('stream', ['server', 0]);
    const sender = stage.start('exit', ['destroy', 1_048_576, 1_048_576, await port(receiver)]);
    await checkAll(receiver, 1_048_576);
    assert.equal((await sender.ended()).code, 0);
  },
);

test(
  '[shared-memory] a peer that takes nothing holds process.exit() up for about a second, then the stream is cut off by a reset',
  limit,
  async (t) => {
    const stage = new Stage(t);
    const receiver = stage.start('stream', ['server', 0]);
    const sender = stage.start('exit', ['ordered', 1_048_576, 1_048_576, await port(receiver)]);
    await sender.next('open');
    await receiver.next('open');
    receiver.kill('SIGSTOP');
    const from = performance.now();
    sender.tell({ kind: 'exit' });
    const { code, time } = await sender.ended();
    assert.equal(code, 0);
    assert.ok(time - from < 2500, `${time - from} ms`);
    receiver.kill('SIGCONT');
    const { how, correct } = await receiver.next<Closed>('closed');
    // Something is missing, so it must not look like the end of the data.
    assert.deepEqual({ how, correct }, { how: 'ECONNRESET', correct: true });
  },
);

/** Milliseconds of processor time that two programs with one idle connection use in a second. */
async function idleTime(t: TestContext, preload: null | undefined): Promise<number> {
  const stage = new Stage(t);
  const options = preload === null ? { preload } : {};
  const server = stage.start('stream', ['server', 0], options);
  const client = stage.start('stream', ['client', 0], options);
  client.tell({ kind: 'connect', port: await port(server) });
  for (const program of [server, client]) {
    const { provider } = await program.next<{ provider: string | null }>('open');
    assert.equal(provider, preload === null ? null : 'shared-memory');
  }
  const used = (): number => processorTime(server.pid) + processorTime(client.pid);
  // Start-up goes on for a while: optimizing, collecting garbage.
  let before = used();
  let last = Number.POSITIVE_INFINITY;
  for (let second = 0; second < 4; second++) {
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const now = used();
    last = Math.min(last, (now - before) / 1e6);
    before = now;
    if (last < 5) break;
  }
  return last;
}

test('[shared-memory] an idle connection costs no processor time', limit, async (t) => {
  const direct = await idleTime(t, undefined);
  const stock = await idleTime(t, null);
  t.diagnostic(`${direct.toFixed(2)} ms in a second, TCP ${stock.toFixed(2)} ms`);
  assert.ok(direct <= stock + 5, `${direct} ms in a second, TCP ${stock} ms`);
});

for (const [kind, title] of [
  ['unref-sockets', 'unreferenced sockets do not keep a program'],
  ['unref-server', 'an unreferenced server does not keep a program'],
  ['closed', 'closed sockets and servers do not keep a program'],
  ['pending', 'a socket that was destroyed while it connected does not keep a program'],
  ['listening', 'a server keeps a program'],
  ['open', 'an open socket keeps a program'],
  ['paused', 'a paused socket keeps a program'],
]) {
  test(`[shared-memory] ${title}, as with TCP`, limit, async (t) => {
    const outcome = async (preload: null | undefined): Promise<string> => {
      const stage = new Stage(t);
      const options = preload === null ? { preload } : {};
      const server = stage.start('echo-server', [], options);
      const program = stage.start('liveness', [kind, await port(server)], options);
      const { provider } = await program.next<{ provider: string | null }>('ready');
      if (kind !== 'pending') assert.equal(provider, preload === null ? null : 'shared-memory');
      return await program.ended(700).then(
        ({ code }) => `ended with ${code}`,
        () => 'running',
      );
    };
    const direct = await outcome(undefined);
    assert.equal(direct, await outcome(null));
    assert.equal(direct, ['listening', 'open', 'paused'].includes(kind) ? 'running' : 'ended with 0');
  });
}
