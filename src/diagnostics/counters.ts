/** How often each decision was taken in this process. */

import type { Reason } from './reasons.js';

const counts = new Map<Reason, number>();

export function count(reason: Reason): void {
  counts.set(reason, (counts.get(reason) ?? 0) + 1);
}

/** A copy: reason code to number of decisions. */
export function reasonCounts(): Partial<Record<Reason, number>> {
  return Object.fromEntries(counts);
}
