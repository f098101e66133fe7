/** Connections between the event loops of one process, and of a loop with itself. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Stage } from '../support/stage.js';

const limit = { timeout: 30_000 };
const exchanged = { provider: 'shared-memory', bytes: 8 * 1024 * 1024, correct: true };

for (const [kind, title] of [
  ['to-main', 'a worker connects to the main thread'],
  ['to-worker', 'the main thread connects to a worker'],
  ['workers', 'a worker connects to another worker'],
  ['same-loop', 'an event loop connects to itself'],
]) {
  test(`[shared-memory] ${title}`, limit, async (t) => {
    const stage = new Stage(t);
    const program = stage.start('workers', [kind]);
    const { server, client } = await program.next<{ server: object; client: object }>('seen');
    assert.deepEqual(server, exchanged);
    assert.deepEqual(client, exchanged);
    assert.equal((await program.ended()).code, 0, program.output);
    assert.deepEqual(stage.leftovers(), []);
  });
}

for (const [kind, title] of [
  ['terminated', 'server'],
  ['terminated-client', 'client'],
]) {
  test(
    `[shared-memory] the peer of a ${title} in a terminated worker gets a correct prefix and a prompt end`,
    limit,
    async (t) => {
      const stage = new Stage(t);
      const program = stage.start('workers', [kind]);
      const seen = await program.next<{ how: string; after: number; correct: boolean; provider: string }>('seen');
      assert.ok(seen.correct);
      assert.equal(seen.provider, 'shared-memory');
      assert.equal(seen.how, 'end');
      assert.ok(seen.after <= 100, `${seen.after} ms after terminate()`);
      assert.equal((await program.ended()).code, 0, program.output);
      // A terminated worker cannot take back its names; the next one that listens does.
      const next = stage.start('workers', ['same-loop']);
      assert.equal((await next.ended()).code, 0, next.output);
      assert.deepEqual(stage.leftovers(), []);
    },
  );
}

test('[shared-memory] workers leave no descriptors behind in their process', limit, async (t) => {
  const stage = new Stage(t);
  const program = stage.start('workers', ['churn']);
  const { before, after } = await program.next<{ before: number; after: number }>('seen');
  assert.equal(after, before);
  assert.equal((await program.ended()).code, 0, program.output);
});
