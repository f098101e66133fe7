/** A bound on each negotiation (WSD-NEG-16). One timer serves all, because almost none ever expires. */

import type { Scheduler } from './scheduler.js';

export interface Negotiating {
  /** Who waits for the end of the negotiation; null afterwards. */
  readonly negotiation: object | null;
  /** When the connection was made, in milliseconds of the clock. */
  readonly established: number;
  negotiationExpired(): void;
}

/** Milliseconds between two looks; a negotiation expires after one to two of them. */
const period = 10_000;

export class NegotiationTimeouts {
  readonly #scheduler: Scheduler;
  readonly #now: () => number;
  readonly #connections: Iterable<Negotiating>;
  #armed = false;

  /** `now`: milliseconds. Looks after those `connections` that negotiate. */
  constructor(scheduler: Scheduler, now: () => number, connections: Iterable<Negotiating>) {
    this.#scheduler = scheduler;
    this.#now = now;
    this.#connections = connections;
  }

  /** A negotiation begins. */
  arm(): void {
    if (this.#armed) return;
    this.#armed = true;
    this.#scheduler.later(() => {
      this.#armed = false;
      this.#look();
    }, period);
  }

  #look(): void {
    const before = this.#now() - period;
    let left = false;
    for (const connection of this.#connections) {
      if (connection.negotiation === null) continue;
      if (connection.established <= before) connection.negotiationExpired();
      else left = true;
    }
    if (left) this.arm();
  }
}
