/** The results for people. */

import type { Spread } from './harness/statistics.js';
import type { Measurement } from './plan.js';
import type { Provenance } from './provenance.js';
import { type Comparison, compareMetric, problems, type RoundResult } from './results.js';
import { figure, table } from './table.js';

export interface Report {
  provenance: Provenance;
  rounds: number;
  wallSeconds: number;
  comparisons: Comparison[];
  results: RoundResult[];
}

export function makeReport(
  provenance: Provenance,
  rounds: number,
  wallSeconds: number,
  measurements: readonly Measurement[],
  results: RoundResult[],
): Report {
  const comparisons = measurements.flatMap((measurement) =>
    measurement.metrics.map((metric) => compareMetric(results, measurement, metric)),
  );
  return { provenance, rounds, wallSeconds, comparisons, results };
}

export function formatReport(report: Report, measurements: readonly Measurement[], stubbed: boolean): string {
  const { provenance } = report;
  const commit = provenance.commit?.slice(0, 12) ?? 'unknown commit';
  const head = [
    `Sockets Direct bench, ${provenance.date}, ${commit}${provenance.modified ? ' with changes' : ''}`,
    `Node.js ${provenance.node}, ${provenance.kernel}, ${provenance.cpus} x ${provenance.cpu}, load ${figure(provenance.load)}`,
    `${report.rounds} rounds in ${figure(report.wallSeconds)} s; medians with (min - max); ratios are ours / TCP, of the medians, with those of single rounds`,
    ...(stubbed ? ['Trial of the bench itself: both contenders are TCP, the ratios mean nothing.'] : []),
  ];
  const rows = [['measurement', 'figure', 'sockets-direct', '', 'tcp', '', 'ratio', '', 'target', '']];
  for (const measurement of measurements) {
    measurement.metrics.forEach((metric, index) => {
      const comparison = report.comparisons.find(
        (candidate) => candidate.measurement === measurement.name && candidate.metric === metric.key,
      );
      if (comparison === undefined) return;
      const label = metric.unit === '' ? metric.label : `${metric.label}, ${metric.unit}`;
      rows.push([index === 0 ? measurement.title : '', label, ...cells(comparison)]);
    });
  }
  const notes = problemLines(report);
  const met = report.comparisons.filter((comparison) => comparison.met === true).length;
  const judged = report.comparisons.filter((comparison) => comparison.met !== null).length;
  return [...head, '', table(rows, [0, 1, 3, 5, 7, 8, 9]), '', ...notes, `${met} of ${judged} targets met`].join('\n');
}

/** What failed or was left out; the same text is printed once, however many measurements it concerns. */
function problemLines(report: Report): string[] {
  const byText = new Map<string, string[]>();
  for (const { measurement, contender, status, rounds, text } of problems(report.results)) {
    const key = `${status}, ${rounds} of ${report.rounds} rounds: ${text}`;
    byText.set(key, [...(byText.get(key) ?? []), `${measurement} (${contender})`]);
  }
  return [...byText].map(([text, who]) => `${text}\n  in ${who.join(', ')}`);
}

function cells(comparison: Comparison): string[] {
  const { ours, theirs, ratio, ratioRange, target, met } = comparison;
  return [
    ...spreadCells(ours),
    ...spreadCells(theirs),
    ratio === null ? '-' : figure(ratio),
    ratioRange === null ? '' : `(${figure(ratioRange[0])} - ${figure(ratioRange[1])})`,
    target ?? '',
    met === null ? '' : met ? 'met' : 'NOT met',
  ];
}

function spreadCells(spread: Spread | null): [string, string] {
  if (spread === null) return ['-', ''];
  return [figure(spread.median), `(${figure(spread.min)} - ${figure(spread.max)})`];
}
