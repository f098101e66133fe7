/** The one line of `run --summary`. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Reason, reasons } from '../diagnostics/reasons.js';
import { type Counts, emptyCounts, type SideCounts, sides } from '../diagnostics/summary.js';

/** The sum over all event loops of the run. A file that cannot be read was being written when its process was killed. */
export function readSummary(folder: string): Counts {
  const total = emptyCounts();
  for (const name of readdirSync(folder)) add(total, readFileSync(join(folder, name), 'utf8'));
  return total;
}

function add(total: Counts, text: string): void {
  let counts: Partial<Counts>;
  try {
    counts = JSON.parse(text) as Partial<Counts>;
  } catch {
    return;
  }
  for (const side of sides) {
    for (const [reason, count] of Object.entries(counts[side] ?? {}) as [Reason, number][]) {
      if (Number.isSafeInteger(count)) total[side][reason] = (total[side][reason] ?? 0) + count;
    }
  }
}

export function summaryLine({ made, accepted }: Counts): string {
  const parts = [sideText(made), sideText(accepted)];
  const [first, second] = parts;
  if (first === null && second === null) return 'sockets-direct: no connections';
  if (second === null) return `sockets-direct: ${first}`;
  return first === null ? `sockets-direct: accepted: ${second}` : `sockets-direct: ${first}; accepted: ${second}`;
}

function sideText(counts: SideCounts): string | null {
  const entries = Object.entries(counts) as [Reason, number][];
  const total = entries.reduce((sum, [, count]) => sum + count, 0);
  if (total === 0) return null;
  const others = entries.filter(([reason]) => reason !== 'accelerated').sort(([, a], [, b]) => b - a);
  const why = others.map(([reason, count]) => `${count}: ${reasons[reason] ?? reason}`);
  return [`${counts.accelerated ?? 0} of ${total} connections accelerated`, ...why].join('; ');
}
