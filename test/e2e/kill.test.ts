/** Processes that die or stand still in the middle of a stream. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { type Program, resourcesOf, Stage, until } from '../support/stage.js';

interface Closed {
  how: string;
  time: number;
  provider: string;
  bytes: number;
  correct: boolean;
}

const rounds = 20;
/** The promise, from the kill on, in milliseconds. */
const promptness = 100;
/** With all processors busy the kernel may let this side wait: of 20 rounds two may take up to this long. */
const slack = 500;
const limit = { timeout: 90_000 };

async function listening(server: Program): Promise<number> {
  return (await server.next<{ port: number }>('listening')).port;
}

async function resources(client: Program): Promise<{ descriptors: number; arenas: number }> {
  client.tell({ kind: 'collect' });
  await client.next('collected');
  return resourcesOf(client.pid);
}

function now(): number {
  return performance.timeOrigin + performance.now();
}

/** Kills one side in the middle of its stream; how long the other side took to learn it. */
async function killSender(sender: Program, receiver: Program): Promise<{ closed: Closed; delay: number }> {
  await receiver.next('progress');
  const killed = now();
  sender.kill();
  const closed = await receiver.next<Closed>('closed');
  return { closed, delay: closed.time - killed };
}

function checkDelays(t: TestContext, delays: number[]): void {
  delays.sort((a, b) => a - b);
  t.diagnostic(
    `from the kill to the end of the stream: median ${delays[delays.length >> 1].toFixed(1)} ms, longest ${delays.at(-1)!.toFixed(1)} ms`,
  );
  assert.ok(delays.at(-3)! <= promptness, `${delays} ms`);
  assert.ok(delays.at(-1)! <= slack, `${delays} ms`);
}

test(
  '[shared-memory] 20 of 20 killed servers leave a correct prefix and a prompt end, and nothing else',
  limit,
  async (t) => {
    const stage = new Stage(t);
    const client = stage.start('stream', ['client', 0], { flags: ['--expose-gc'] });
    let before = { descriptors: 0, arenas: 0 };
    const delays: number[] = [];
    let server = stage.start('stream', ['server', -1]);
    // The first round is for what is made once.
    for (let round = 0; round <= rounds; round++) {
      const next = stage.start('stream', ['server', -1]);
      const port = await listening(server);
      client.tell({ kind: 'connect', port });
      const { closed, delay } = await killSender(server, client);
      assert.equal(closed.provider, 'shared-memory');
      assert.ok(closed.correct, `round ${round}: bytes that were not sent`);
      // This side owes nothing to the dead one, so it is an end as any other.
      assert.equal(closed.how, 'end');
      if (round > 0) delays.push(delay);
      else before = await resources(client);
      server = next;
    }
    checkDelays(t, delays);
    const after = await resources(client);
    assert.equal(after.descriptors, before.descriptors, 'descriptors of the client');
    assert.ok(after.arenas <= before.arenas, `${after.arenas} mapped arenas, ${before.arenas} before`);
    // Whoever listens for the first time sweeps what dead ones have left: only the two that live are there then.
    const sweeper = stage.start('stream', ['server', -1]);
    const ports = [await listening(server), await listening(sweeper)];
    assert.deepEqual(stage.leftovers().length, 4, stage.leftovers().join(' '));
    for (const one of [server, sweeper]) {
      one.kill();
      await one.ended();
    }
    // Whoever finds a dead one removes it.
    for (const port of ports) {
      client.tell({ kind: 'connect', port });
      assert.equal((await client.next<{ code: string }>('failed')).code, 'ENETUNREACH');
    }
    assert.deepEqual(stage.leftovers(), []);
  },
);

test('[shared-memory] 5 of 5 killed clients leave the server a correct prefix and a prompt end', limit, async (t) => {
  const stage = new Stage(t);
  const server = stage.start('stream', ['server', 0], { flags: ['--expose-gc'] });
  const port = await listening(server);
  const delays: number[] = [];
  let before = { descriptors: 0, arenas: 0 };
  for (let round = 0; round <= 5; round++) {
    const client = stage.start('stream', ['client', -1]);
    client.tell({ kind: 'connect', port });
    const { closed, delay } = await killSender(client, server);
    assert.equal(closed.provider, 'shared-memory');
    assert.ok(closed.correct);
    assert.equal(closed.how, 'end');
    if (round > 0) delays.push(delay);
    else before = await resources(server);
  }
  delays.sort((a, b) => a - b);
  assert.ok(delays[2] <= promptness && delays[4] <= slack, `${delays} ms`);
  const after = await resources(server);
  assert.equal(after.descriptors, before.descriptors);
  assert.ok(after.arenas <= before.arenas);
});

test(
  '[shared-memory] a peer that dies with bytes of ours unread makes it ECONNRESET, as with TCP',
  limit,
  async (t) => {
    const stage = new Stage(t);
    for (const preload of [undefined, null]) {
      const options = preload === null ? { preload } : {};
      const server = stage.start('stream', ['server', 0], options);
      const port = await listening(server);
      const client = stage.start('stream', ['client', 100_000_000], options);
      client.tell({ kind: 'connect', port });
      await client.next('open');
      await server.next('progress');
      server.kill('SIGSTOP');
      // The stopped server takes nothing any more: soon there are bytes that it never reads.
      await until(() => server.exit === null && stopped(server.pid), 'stopped');
      await new Promise((resolve) => setTimeout(resolve, 50));
      server.kill();
      const closed = await client.next<Closed>('closed');
      assert.match(closed.how, /ECONNRESET/);
    }
  },
);

for (const stoppedSide of ['server', 'client'] as const) {
  test(`[shared-memory] a ${stoppedSide} that stands still for 2 s loses nothing`, limit, async (t) => {
    const stage = new Stage(t);
    const bytes = 128 * 1024 * 1024;
    const server = stage.start('stream', ['server', bytes]);
    const port = await listening(server);
    const client = stage.start('stream', ['client', bytes]);
    client.tell({ kind: 'connect', port });
    const program = stoppedSide === 'server' ? server : client;
    await client.next('progress');
    program.kill('SIGSTOP');
    await until(() => stopped(program.pid), 'stopped');
    await new Promise((resolve) => setTimeout(resolve, 2000));
    program.kill('SIGCONT');
    for (const side of [server, client]) {
      const { how, provider, bytes: received, correct } = await side.next<Closed>('closed', 30_000);
      assert.deepEqual(
        { how, provider, received, correct },
        { how: 'end', provider: 'shared-memory', received: bytes, correct: true },
      );
    }
  });
}

function stopped(pid: number): boolean {
  return /^State:\s+T/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
}
