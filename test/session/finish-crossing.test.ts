/** Both ends of sending meet: the message that tells the peer's end brings the credit by which ours can be told. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Pair } from './support.js';

test('WSD-CLS-1 the end is told to the program also if both ends of sending are settled by one message', () => {
  const pair = Pair.negotiated();
  const { a, b } = pair;
  for (const side of pair.sides) side.session.readStart();
  // All credits but the reserve; what follows has to wait.
  a.write(7 * 4096);
  a.write(4096);
  a.shutdown();
  for (let i = 0; i < 3; i++) b.deliver();
  assert.equal(a.inbox.length, 0, 'these credits are too few to go back alone');
  b.shutdown();
  pair.settle();
  assert.equal(b.receivedBytes, 8 * 4096);
  for (const side of pair.sides) {
    assert.equal(side.times('end'), 1, side.events.join(', '));
    assert.equal(side.times('finished'), 1);
  }
});
