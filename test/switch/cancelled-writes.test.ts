/** Writes that are cancelled: whose memory it is, and when. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WSA_OPERATION_ABORTED } from '../../src/spi/index.js';
import { Bench } from './stage.js';

test('WSD-BLK-5 WSD-BLK-6 a cancelled write ends at once, and nothing reads its memory any more [simulated]', () => {
  const bench = new Bench();
  const { mine, theirs } = bench.pair(false);
  const chunk = Buffer.alloc(8_000_000, 1);
  const results: number[] = [];
  assert.equal(
    mine.connection.write(chunk, (wsaError) => results.push(wsaError)),
    false,
    'the peer does not read, so the write waits',
  );
  mine.connection.reset();
  chunk.fill(2);
  bench.stage.settle();
  assert.deepEqual(results, [WSA_OPERATION_ABORTED]);
  theirs.connection.readStart();
  bench.stage.settle();
  assert.ok(
    theirs.bytes.every((byte) => byte === 1),
    'what was sent before the cancellation',
  );
});
