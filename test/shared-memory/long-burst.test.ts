/** A burst of connects that takes longer than any one of them may: it is not cut off while the peer goes on deciding. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import sharedMemory, { openSharedMemory } from '../../src/providers/shared-memory/conformance.js';
import { SharedMemoryProvider } from '../../src/providers/shared-memory/provider.js';
import { INVALID_SOCKET, WSAETIMEDOUT } from '../../src/spi/index.js';
import { Node, ProviderBench } from '../provider/support.js';
import { realTime, scheduler } from '../support/real-time.js';

/** No other timer of the provider has this period, so a test can tell the ticks of the budget from them. */
const tick = 7;
/** More than the provider allows without a decision. */
const ticksPerDecision = 150;

test('[shared-memory] each decision of the peer gives the connects that wait new time, and silence ends them', async () => {
  const rig = openSharedMemory({ connectBudget: 15_000 });
  const bench = new ProviderBench(rig, sharedMemory);
  const ticks: (() => void)[] = [];
  const provider = new SharedMemoryProvider({
    ...realTime,
    environment: { SOCKETS_DIRECT_DIR: rig.place },
    // The peer has always been heard of just now.
    now: () => 1,
    scheduler: {
      soon: scheduler.soon,
      later: (task, milliseconds) => {
        if (milliseconds !== tick) return scheduler.later(task, milliseconds);
        ticks.push(task);
        return () => {};
      },
    },
    random: () => 0,
    count: () => {},
    connectBudget: 4 * tick,
  });
  const client = new Node({ ...rig.client, provider, kill: () => {} });
  const pass = (count: number): void => {
    for (let i = 0; i < count; i++) for (const task of ticks.splice(0)) task();
  };
  try {
    const port = bench.port();
    const listener = bench.server.listen(port);
    const connects = Array.from({ length: 4 }, () => client.connect(bench.server.name(port), bench.port()));
    for (const connect of connects.slice(0, 3)) {
      await bench.until(() => listener.event.signalled, 'a request has arrived');
      pass(ticksPerDecision);
      bench.server.enumerate(listener);
      assert.ok(bench.server.accept(listener) !== INVALID_SOCKET);
      assert.equal(await bench.outcome(connect, client), 0);
    }
    const [, , , last] = connects;
    assert.ok(!last!.event.signalled, 'the last one still waits');
    pass(2 * ticksPerDecision);
    assert.equal(await bench.outcome(last!, client), WSAETIMEDOUT);
  } finally {
    client.stop();
    await bench.close();
  }
});
