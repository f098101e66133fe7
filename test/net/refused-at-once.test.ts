import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Stage } from '../support/stage.js';

test('where a fallback is an error, it is told after connect has returned, and no tick runs before', async (t) => {
  const program = new Stage(t).start(new URL('programs/refused-at-once.js', import.meta.url));
  const { order } = await program.next<{ order: string[] }>('order');
  assert.deepEqual(order, ['connect has returned', 'tick', 'error ENETUNREACH']);
});
