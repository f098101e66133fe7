/** Either side is killed while a block goes by RDMA, read directly or over the ring; `npm run stress -- --rdma 20000` does it many times. */

import { test } from 'node:test';
import { KillRounds } from '../../stress/kill-rounds.js';
import { blockSteps, type Side } from '../../stress/steps.js';
import { Stage } from '../support/stage.js';

const [out, into] = blockSteps;
const cases = [
  { step: out!, side: 'acceptor', peerMemory: '' },
  { step: into!, side: 'connector', peerMemory: '' },
  { step: out!, side: 'connector', peerMemory: 'off' },
  { step: into!, side: 'acceptor', peerMemory: 'off' },
] as const satisfies readonly { side: Side; [key: string]: unknown }[];

test('[shared-memory] a side that is killed with a block under way leaves a correct beginning, an outcome, and nothing else', {
  timeout: 60_000,
}, async (t) => {
  const run = async ({ step, side, peerMemory }: (typeof cases)[number]): Promise<void> => {
    const stage = new Stage(t);
    const env = { SOCKETS_DIRECT_RDMA_THRESHOLD: '20000', SOCKETS_DIRECT_PEER_MEMORY: peerMemory };
    const killing = await KillRounds.begin(stage, step, side, env);
    // Beginning has been a round as well, at the first point.
    const { outcome, delay } = await killing.round();
    t.diagnostic(`${step.name} ${side}: ${outcome} after ${delay.toFixed(1)} ms`);
    await stage.close();
  };
  const [first, second, third, fourth] = cases;
  await Promise.all([run(first).then(() => run(second)), run(third).then(() => run(fourth))]);
});
