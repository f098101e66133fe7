/** What a listening socket is, for the process in which it goes on. It comes from another process, so it is checked. */

import { checkedListeners, type MovedListener } from '../switch/index.js';

/** A connection that has arrived and that no accept has taken. */
export interface MovedArrival {
  /** What the switch needs for it; null: TCP/IP carries it. */
  readonly san: unknown;
  /** Under which the kernel's socket is left, if TCP/IP carries it; else 0. */
  readonly number: number;
  /** Milliseconds since it was established. */
  readonly age: number;
}

export interface ListeningState {
  readonly backlog: number;
  readonly conditional: boolean;
  readonly listeners: readonly MovedListener[];
  readonly arrivals: readonly MovedArrival[];
}

const backlogMax = 0x7fff_ffff;

function isArrival(value: unknown): value is MovedArrival {
  if (typeof value !== 'object' || value === null) return false;
  const { san, number, age } = value as Partial<MovedArrival>;
  if (typeof age !== 'number' || !(age >= 0)) return false;
  return Number.isInteger(number) && (san === null) === (number as number) > 0;
}

/** The value, if it can be one; else null. */
export function checkedListening(value: unknown): ListeningState | null {
  if (typeof value !== 'object' || value === null) return null;
  const { backlog, conditional, listeners, arrivals } = value as Readonly<Record<string, unknown>>;
  if (!Number.isInteger(backlog) || (backlog as number) < 1 || (backlog as number) > backlogMax) return null;
  if (typeof conditional !== 'boolean' || checkedListeners(listeners) === null) return null;
  return Array.isArray(arrivals) && arrivals.every(isArrival) ? (value as ListeningState) : null;
}
