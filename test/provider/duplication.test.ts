/** Sockets that go on in another process (section 18 of the digest). */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { text } from '../../src/conformance/memory.js';
import { duplication } from '../../src/conformance/scenarios/duplication.js';
import { testScenarios } from './run.js';
import { connectedOn } from './support.js';

testScenarios(duplication);

test(
  '[simulated] WSD-DUP-30 a socket that comes back to its descriptor gets no second handle',
  connectedOn(
    'simulated',
    async (bench, mine, theirs) => {
      const { client, next, server } = bench;
      const moved = next.received(client.duplicate(mine, next.processId));
      await bench.settle();
      client.log.length = 0;
      const back = client.received(next.duplicate(moved, client.processId));
      assert.equal(back, mine, 'the descriptor is the same');
      assert.deepEqual(client.log, [], 'no handle was asked for');
      const inbox = client.post(back, 64);
      // Its switch would wait for the session to be resumed.
      await bench.settle();
      server.say(theirs, 'back');
      await bench.until(() => inbox.overlapped.Internal === 0, 'it has arrived');
      assert.equal(text(inbox.at, 4), 'back');
    },
    { simulated: { revives: true } },
  ),
);
