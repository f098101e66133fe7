/** `npm run stress`: kills either side of connections at each step, many times, and connects very often at once. */

import { parseArgs } from 'node:util';
import { Stage } from '../test/support/stage.js';
import { burst } from './burst.js';
import { type KillRound, KillRounds } from './kill-rounds.js';
import { blockSteps, type Side, type Step, sides, steps as usualSteps } from './steps.js';

const usage = `npm run stress -- [--rounds N] [--step NAME,...] [--side acceptor|connector]

  --rounds N  of each step on each side (50)
  --step      of these: ${[...usualSteps, ...blockSteps].map(({ name }) => name).join(', ')}
  --side      who is killed; both without it
  --burst N   connects in one turn at the end (4000); 0: none
  --rdma N    writes of more bytes go by RDMA: with 20000, most of what the programs write; the block- steps need it
  --peer-memory off
              no process reads the memory of another one, as where the kernel does not allow it`;

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '50' },
    step: { type: 'string' },
    side: { type: 'string' },
    burst: { type: 'string', default: '4000' },
    rdma: { type: 'string' },
    'peer-memory': { type: 'string', default: '' },
  },
});
const rounds = Number(values.rounds);
const steps = values.rdma === undefined ? usualSteps : [...usualSteps, ...blockSteps];
const wantedSteps =
  values.step === undefined ? steps : steps.filter(({ name }) => values.step!.split(',').includes(name));
const env: NodeJS.ProcessEnv = {
  ...(values.rdma === undefined ? {} : { SOCKETS_DIRECT_RDMA_THRESHOLD: values.rdma }),
  SOCKETS_DIRECT_PEER_MEMORY: values['peer-memory'],
};
const wantedSides = values.side === undefined ? sides : sides.filter((side) => side === values.side);
if (
  !Number.isInteger(rounds) ||
  rounds < 1 ||
  !/^\d*$/.test(values.rdma ?? '') ||
  wantedSteps.length === 0 ||
  wantedSides.length === 0
) {
  console.error(usage);
  process.exit(2);
}

/** Runs with a stage of its own. */
async function withStage<T>(body: (stage: Stage) => Promise<T>): Promise<T> {
  let end: unknown;
  const stage = new Stage({
    after: (action) => {
      end = action;
    },
  });
  try {
    return await body(stage);
  } finally {
    await (end as () => Promise<void>)();
  }
}

async function runStep(stage: Stage, step: Step, side: Side): Promise<void> {
  const from = performance.now();
  const killing = await KillRounds.begin(stage, step, side, env);
  const outcomes = new Map<string, number>();
  const delays: { delay: number; gone: number }[] = [];
  for (let i = 0; i < rounds; i++) {
    const { outcome, delay, gone }: KillRound = await killing.round();
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    delays.push({ delay, gone });
  }
  delays.sort((a, b) => a.delay - b.delay);
  const told = [...outcomes].map(([outcome, count]) => `${outcome} ${count}`).join(', ');
  const [median, longest] = [delays[delays.length >> 1], delays.at(-1)!];
  const times = `median ${median.delay.toFixed(1)} ms, longest ${longest.delay.toFixed(1)} ms (process gone after ${longest.gone.toFixed(1)})`;
  const seconds = ((performance.now() - from) / 1000).toFixed(1);
  console.log(
    `${step.name.padEnd(14)} ${side.padEnd(10)} ${String(rounds).padStart(4)} rounds  ${told}  ${times}  (${seconds} s)`,
  );
}

let failures = 0;
for (const step of wantedSteps) {
  for (const side of wantedSides) {
    try {
      await withStage((stage) => runStep(stage, step, side));
    } catch (error) {
      failures++;
      console.log(
        `${step.name.padEnd(14)} ${side.padEnd(10)} FAILED: ${error instanceof Error ? error.message : error}`,
      );
    }
  }
}
const connects = Number(values.burst);
if (connects > 0 && values.step === undefined && values.side === undefined) {
  try {
    const { ways, milliseconds } = await withStage((stage) => burst(stage, connects));
    console.log(`burst of ${connects}: ${JSON.stringify(ways)} in ${milliseconds.toFixed(0)} ms`);
  } catch (error) {
    failures++;
    console.log(`burst of ${connects} FAILED: ${error instanceof Error ? error.message : error}`);
  }
}
if (failures > 0) process.exitCode = 1;
