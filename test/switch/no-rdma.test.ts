/** What stands for the rules of RDMA while all data goes in messages: see the deviations. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WSA_OPERATION_ABORTED } from '../../src/spi/index.js';
import { Bench } from './stage.js';

const rdmaCalls = ['WSPRdmaRead', 'WSPRdmaWrite', 'WSPRegisterRdmaMemory', 'WSPDeregisterRdmaMemory'];

test('WSD-LIM-3 WSD-LIM-5 no size is above the threshold, so nobody asks for a descriptor, or how long one is [simulated]', () => {
  const bench = new Bench({ rdmaThreshold: 1 });
  const { mine, theirs } = bench.pair();
  const size = 8_000_000;
  mine.connection.write(Buffer.alloc(size, 7), () => {});
  bench.stage.until(() => theirs.received.reduce((sum, { length }) => sum + length, 0) === size, 'all arrives');
  for (const { log } of [bench.client, bench.server]) {
    for (const fn of rdmaCalls) assert.equal(log.of(fn).length, 0, fn);
  }
});

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
