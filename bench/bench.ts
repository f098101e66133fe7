/** `npm run bench`: Sockets Direct and TCP side by side, in pairs, as plain programs in two processes. */

import { type Contender, contender } from './contender.js';
import { isBuilt } from './harness/environment.js';
import { measure } from './measure.js';
import { type BenchOptions, parseOptions, usage } from './options.js';
import type { Measurement } from './plan.js';
import { provenance } from './provenance.js';
import { formatReport, makeReport } from './report.js';
import { problems, type RoundResult } from './results.js';
import { figure } from './table.js';

/** What --quick promises. */
const QUICK_LIMIT_S = 60;
const LONGEST_PAIR_S = 4;

function readOptions(): BenchOptions {
  try {
    return parseOptions(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${usage}\n`);
    process.exit(2);
  }
}

const options = readOptions();
if (process.platform !== 'linux') {
  process.stderr.write('The bench needs Linux: processor time and the carrier of the bytes are read from /proc.\n');
  process.exit(2);
}
if (!options.stubbed && options.contenders.includes('sockets-direct') && !isBuilt()) {
  process.stderr.write('dist/register is missing: run `npm run build` first.\n');
  process.exit(2);
}

const origin = provenance();
const start = performance.now();
const results: RoundResult[] = [];
for (let round = 0; round < options.rounds; round++) {
  for (const measurement of options.measurements) {
    if (measurement.together !== true) results.push(...(await runPair(measurement, round)));
    else if (round === 0) results.push(...(await runTogether(measurement)));
  }
}
const report = makeReport(origin, options.rounds, (performance.now() - start) / 1000, options.measurements, results);
process.stdout.write(
  `${options.json ? JSON.stringify(report, null, 1) : formatReport(report, options.measurements, options.stubbed)}\n`,
);
process.exitCode = problems(results).some(({ status }) => status === 'failed') ? 1 : 0;

/** Every contender once; who goes first changes from round to round, so that a trend of the host favours nobody. */
async function runPair(measurement: Measurement, round: number): Promise<RoundResult[]> {
  const contenders = options.contenders.map((name) => contender(name, options.stubbed));
  if (round % 2 === 1) contenders.reverse();
  const pair: RoundResult[] = [];
  if (round > 0 && timeIsOver()) {
    const outcome = { status: 'skipped', why: `${QUICK_LIMIT_S} s are over` } as const;
    return contenders.map(({ name }, order) => ({
      round,
      measurement: measurement.name,
      contender: name,
      order,
      outcome,
    }));
  }
  for (const [order, one] of contenders.entries()) pair.push(await runOne(measurement, one, round, order));
  return pair;
}

/** Two rounds take 50 s on an idle host. A slow or busy one gets fewer rather than later results, and is told so. */
function timeIsOver(): boolean {
  return options.quick && performance.now() - start > (QUICK_LIMIT_S - LONGEST_PAIR_S) * 1000;
}

async function runTogether(measurement: Measurement): Promise<RoundResult[]> {
  const rounds = Array.from({ length: options.rounds }, (_, round) => round);
  const contenders = options.contenders.map((name) => contender(name, options.stubbed));
  return Promise.all(rounds.flatMap((round) => contenders.map((one, order) => runOne(measurement, one, round, order))));
}

async function runOne(measurement: Measurement, one: Contender, round: number, order: number): Promise<RoundResult> {
  const outcome = await measure(measurement, one, options.quick ? measurement.quick : measurement.full);
  const seconds = figure((performance.now() - start) / 1000);
  process.stderr.write(
    `${seconds} s, round ${round + 1}/${options.rounds}, ${measurement.name}, ${one.name}: ${progress(outcome, measurement)}\n`,
  );
  return { round, measurement: measurement.name, contender: one.name, order, outcome };
}

function progress(outcome: RoundResult['outcome'], measurement: Measurement): string {
  if (outcome.status === 'failed') return `failed: ${outcome.error}`;
  if (outcome.status === 'skipped') return `skipped: ${outcome.why}`;
  return measurement.metrics
    .map(({ key, label, unit }) => `${label} ${figure(outcome.metrics[key] ?? Number.NaN)} ${unit}`.trimEnd())
    .join(', ');
}
