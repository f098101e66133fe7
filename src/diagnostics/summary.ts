/** What a process tells `run --summary` at its end: how many connections it made and accepted, by reason. */

import type { Reason } from './reasons.js';

export type SideCounts = Partial<Record<Reason, number>>;

/** The sides of a connection that a process can be on. */
export const sides = ['made', 'accepted'] as const;

export type Counts = Record<(typeof sides)[number], SideCounts>;

export function emptyCounts(): Counts {
  return { made: {}, accepted: {} };
}
