/** Raw outcomes of all rounds, and what follows from them. */

import type { ContenderName } from './contender.js';
import { type Spread, spread } from './harness/statistics.js';
import type { Outcome } from './measure.js';
import type { Measurement, Metric } from './plan.js';

export interface RoundResult {
  round: number;
  measurement: string;
  contender: ContenderName;
  /** Place within the round: 0 ran first. */
  order: number;
  outcome: Outcome;
}

/** One figure compared. A side is null if it did not run or failed in every round. */
export interface Comparison {
  measurement: string;
  metric: string;
  unit: string;
  ours: Spread | null;
  theirs: Spread | null;
  /** Ratio of the medians. */
  ratio: number | null;
  /** Smallest and largest ratio within one round, where both ran side by side. */
  ratioRange: [number, number] | null;
  target: string | null;
  met: boolean | null;
}

export function compareMetric(results: readonly RoundResult[], measurement: Measurement, metric: Metric): Comparison {
  const ours = byRound(results, measurement, metric, 'sockets-direct');
  const theirs = byRound(results, measurement, metric, 'tcp');
  const paired = [...ours].flatMap(([round, value]) => {
    const other = theirs.get(round);
    return other === undefined ? [] : [value / other];
  });
  const us = ours.size > 0 ? spread([...ours.values()]) : null;
  const them = theirs.size > 0 ? spread([...theirs.values()]) : null;
  const complete = us !== null && them !== null;
  return {
    measurement: measurement.name,
    metric: metric.key,
    unit: metric.unit,
    ours: us,
    theirs: them,
    ratio: complete ? us.median / them.median : null,
    ratioRange: paired.length > 0 ? [Math.min(...paired), Math.max(...paired)] : null,
    target: metric.target?.text ?? null,
    met: complete && metric.target !== undefined ? metric.target.met(us.median, them.median) : null,
  };
}

export interface Problem {
  measurement: string;
  contender: ContenderName;
  status: 'failed' | 'skipped';
  /** In how many rounds. */
  rounds: number;
  /** Of the first round with this status. */
  text: string;
}

/** What failed or was left out, once per measurement and contender. */
export function problems(results: readonly RoundResult[]): Problem[] {
  const found = new Map<string, Problem>();
  for (const { measurement, contender, outcome } of results) {
    if (outcome.status === 'ok') continue;
    const key = `${measurement} ${contender} ${outcome.status}`;
    const known = found.get(key);
    if (known !== undefined) known.rounds++;
    else {
      const text = outcome.status === 'failed' ? outcome.error : outcome.why;
      found.set(key, { measurement, contender, status: outcome.status, rounds: 1, text });
    }
  }
  return [...found.values()];
}

function byRound(
  results: readonly RoundResult[],
  measurement: Measurement,
  metric: Metric,
  contender: ContenderName,
): Map<number, number> {
  const values = new Map<number, number>();
  for (const result of results) {
    if (result.measurement !== measurement.name || result.contender !== contender) continue;
    if (result.outcome.status !== 'ok') continue;
    const value = result.outcome.metrics[metric.key];
    if (value !== undefined) values.set(result.round, value);
  }
  return values;
}
