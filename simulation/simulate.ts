/** `npm run simulate`: runs many seeds of the scenarios and reports what they have met. */

import { parseArgs } from 'node:util';
import { plants } from './plants.js';
import { type Outcome, runSeed } from './run.js';
import { scenarios } from './scenarios.js';

const usage = `npm run simulate -- [--seeds N] [--from S] [--scenario NAME] [--plant NAME] [--trace LINES]
  --seeds     seeds of each scenario, default 100
  --from      the first seed, default 1
  --scenario  only this one; all of them otherwise: ${Object.keys(scenarios).join(', ')}
  --plant     with a planted bug: ${Object.keys(plants).join(', ')}
  --trace     lines of the trace of a failing seed, default 60`;

const options = {
  seeds: { type: 'string', default: '100' },
  from: { type: 'string', default: '1' },
  scenario: { type: 'string' },
  plant: { type: 'string' },
  trace: { type: 'string', default: '60' },
  help: { type: 'boolean', default: false },
} as const;

function readArguments(): ReturnType<typeof parseArgs<{ options: typeof options }>>['values'] | null {
  try {
    return parseArgs({ options }).values;
  } catch {
    return null;
  }
}

function main(): number {
  const values = readArguments();
  if (values === null) {
    console.log(usage);
    return 2;
  }
  const [seeds, from, lines] = [Number(values.seeds), Number(values.from), Number(values.trace)];
  const chosen = values.scenario === undefined ? Object.keys(scenarios) : [values.scenario];
  const known = chosen.every((name) => Object.hasOwn(scenarios, name));
  const planted = values.plant === undefined || Object.hasOwn(plants, values.plant);
  if (
    values.help ||
    !known ||
    !planted ||
    !Number.isInteger(seeds) ||
    seeds < 1 ||
    !Number.isInteger(from) ||
    !(lines >= 0)
  ) {
    console.log(usage);
    return values.help ? 0 : 2;
  }
  const plant = values.plant ?? null;
  let failed = false;
  for (const scenario of chosen) {
    const started = performance.now();
    const outcomes: Outcome[] = [];
    for (let seed = from; seed < from + seeds; seed++) {
      const outcome = runSeed(seed, { scenario, plant });
      outcomes.push(outcome);
      if (outcome.failure === null) continue;
      failed = true;
      report(outcome, scenario, plant, lines);
      break;
    }
    summarize(scenario, outcomes, (performance.now() - started) / 1000);
  }
  return failed ? 1 : 0;
}

function report({ seed, failure, trace }: Outcome, scenario: string, plant: string | null, lines: number): void {
  const planted = plant === null ? '' : ` --plant ${plant}`;
  if (lines > 0) console.log(trace.slice(-lines).join('\n'));
  console.log(`\nseed ${seed} of ${scenario}: ${failure}`);
  console.log(`again: npm run simulate -- --scenario ${scenario} --from ${seed} --seeds 1${planted}\n`);
}

function summarize(scenario: string, outcomes: readonly Outcome[], seconds: number): void {
  const marks = new Map<string, number>();
  const kinds = new Map<number, number>();
  const tally = new Map<string, number>();
  let again = 0;
  for (const outcome of outcomes) {
    for (const [kind, count] of outcome.marks) marks.set(kind, (marks.get(kind) ?? 0) + count);
    kinds.set(outcome.kinds, (kinds.get(outcome.kinds) ?? 0) + 1);
    for (const [what, count] of Object.entries(outcome.tally)) tally.set(what, (tally.get(what) ?? 0) + count);
    if (outcome.draws > 1) again++;
  }
  const distribution = [...kinds].sort(([a], [b]) => a - b).map(([count, runs]) => `${count}: ${runs}`);
  const totals = [...tally].map(([what, count]) => `${what} ${count}`);
  console.log(`${scenario}: ${outcomes.length} seeds in ${seconds.toFixed(1)} s; ${totals.join(', ')}`);
  console.log(`  kinds of faults in a run: ${distribution.join(', ')}; drawn again: ${again}`);
  const counted = [...marks].sort(([a], [b]) => (a < b ? -1 : 1)).map(([kind, count]) => `${kind} ${count}`);
  console.log(`  ${counted.join('; ')}`);
}

process.exitCode = main();
