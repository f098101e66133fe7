/** What the ends of a connection are told to do, and what they tell. */

import type { Census } from './census.js';

export interface Plan {
  /** Bytes of the test stream to send. */
  readonly bytes: number | 'endless';
  /** When this side ends its sending. */
  readonly end: 'after sending' | 'after the peer';
  /** Milliseconds for which the loop is busy with each piece that arrives. */
  readonly pieceTime?: number;
  /** Sends when it is told to. */
  readonly waits?: boolean;
}

export const plans = {
  /** Something in both directions, and both end. */
  exchange: { bytes: 100_000, end: 'after sending' },
  greet: { bytes: 1000, end: 'after sending' },
  /** More than both rings hold. */
  stream: { bytes: 32 * 1024 * 1024, end: 'after sending' },
  /** Nothing until it is told to begin. */
  idle: { bytes: 100_000, end: 'after sending', waits: true },
  flood: { bytes: 'endless', end: 'after the peer' },
  listen: { bytes: 0, end: 'after the peer' },
  /** Takes its time with each piece, so that much is on the way when the peer dies. */
  'listen slowly': { bytes: 0, end: 'after the peer', pieceTime: 3 },
} as const satisfies Record<string, Plan>;

export type PlanName = keyof typeof plans;

/** A connection that is over. */
export interface Ended {
  /** 'end', or the code of the error, or both. */
  readonly how: string;
  /** When the first of them came, in milliseconds since the epoch. */
  readonly time: number;
  readonly provider: string | null;
  /** Received bytes, and whether they were those of the test stream. */
  readonly bytes: number;
  readonly correct: boolean;
}

/** A connection that has come about. */
export interface Opened {
  readonly provider: string | null;
  /** The connector's port. */
  readonly port: number;
}

/** All connections since the account was last cleared, and what the package holds now. */
export interface Account {
  readonly opened: readonly Opened[];
  readonly ended: readonly Ended[];
  readonly failed: { readonly code: string; readonly reason: string | null; readonly time: number }[];
  /** When a link ended or failed to come about since then, in milliseconds since the epoch; 0: none has. */
  readonly lastLinkEnd: number;
  readonly census: Census;
}
