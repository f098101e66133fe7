/** The acceptor's receive buffers come late: the connector's negotiation message waits, and nothing is lost. */

import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import type { PlanName } from '../../stress/account.js';
import { accountOf, armPoint, postLate, sideProgram, within } from '../../stress/accounts.js';
import type { Point } from '../../stress/points.js';
import { modules } from '../support/preload.js';
import { type Program, Stage } from '../support/stage.js';

const limit = { timeout: 60_000 };
const plan: PlanName = 'exchange';

/** A server with that preload, and `count` connects to it. */
async function connectTo(stage: Stage, preload: string, env: NodeJS.ProcessEnv, count = 1): Promise<Program[]> {
  const server = stage.start(sideProgram, ['acceptor', plan], { preload: modules, flags: ['--import', preload], env });
  const client = stage.start(sideProgram, ['connector', plan], { preload: modules });
  const { port } = await server.next<{ port: number }>('listening');
  await client.next('ready');
  client.tell({ kind: 'connect', port, count });
  return [server, client];
}

/** Connected by shared memory, and every byte there. */
async function checkAll(programs: readonly Program[], count = 1): Promise<void> {
  for (const program of programs) {
    const { ended } = await within(
      15_000,
      () => accountOf(program),
      ({ ended, failed }) => ended.length + failed.length === count,
      'not all connections came to their end',
    );
    assert.equal(ended.length, count);
    for (const { how, provider, bytes, correct } of ended) {
      assert.deepEqual(
        { how, provider, bytes, correct },
        { how: 'end', provider: 'shared-memory', bytes: 100_000, correct: true },
      );
    }
  }
}

/** The acceptor's loop is blocked at a point between the acceptance and the first posted buffer. */
async function checkBlocked(t: TestContext, point: Point, milliseconds: number): Promise<void> {
  const env = { STRESS_POINT: JSON.stringify(point), STRESS_STALL: String(milliseconds) };
  const programs = await connectTo(new Stage(t), armPoint, env);
  const { hasRecords } = await programs[0].next<{ hasRecords: boolean }>('stalled');
  assert.ok(hasRecords, 'the negotiation message was there before any buffer');
  await checkAll(programs);
}

// They wait most of the time.
describe('late receive buffers', { concurrency: true }, () => {
  test(
    '[shared-memory] WSD-NEG-8 an acceptor that is blocked inside WSPAccept for 100 ms, 1 s, 3 s loses nothing',
    limit,
    async (t) => {
      const point: Point = { owner: 'PeerLink', method: 'accept', phase: 'after' };
      await Promise.all([100, 1000, 3000].map((milliseconds) => checkBlocked(t, point, milliseconds)));
    },
  );

  test(
    '[shared-memory] WSD-NEG-8 an acceptor that is blocked before its first WSPRecv for 100 ms, 1 s, 3 s loses nothing',
    limit,
    async (t) => {
      const point: Point = { owner: 'ProviderConnection', method: 'post', phase: 'before' };
      await Promise.all([100, 1000, 3000].map((milliseconds) => checkBlocked(t, point, milliseconds)));
    },
  );

  test(
    '[shared-memory] WSD-NEG-8 WSD-NEG-9 a negotiation message before the buffers is kept for up to 3 s, then handed over',
    limit,
    async (t) => {
      const count = 20;
      await Promise.all(
        [100, 1000, 3000].map(async (milliseconds) => {
          const programs = await connectTo(new Stage(t), postLate, { STRESS_LATE: String(milliseconds) }, count);
          // One message each: the connector says nothing more before it has the answer.
          for (let i = 0; i < count; i++) await programs[0].next('early');
          await checkAll(programs, count);
          await assert.rejects(programs[0].next('early', 1), /no report/);
        }),
      );
    },
  );
});
