/** A bound on each negotiation (WSD-NEG-16). One timer serves all, because almost none ever expires. */

import type { Scheduler } from './scheduler.js';

export interface Negotiating {
  /** Who waits for the end of the negotiation; null afterwards. */
  readonly negotiation: object | null;
  /** How often it has been found negotiating. Counted, because time in which this loop did not turn is not the peer's. */
  looks: number;
  negotiationExpired(): void;
}

/** Milliseconds between two looks, and the look at which a negotiation expires: after 10 to 15 s. */
const period = 5_000;
const looksMax = 3;

export class NegotiationTimeouts {
  readonly #scheduler: Scheduler;
  readonly #connections: Iterable<Negotiating>;
  #armed = false;

  /** Looks after those `connections` that negotiate. */
  constructor(scheduler: Scheduler, connections: Iterable<Negotiating>) {
    this.#scheduler = scheduler;
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
    let left = false;
    for (const connection of this.#connections) {
      if (connection.negotiation === null) continue;
      if (++connection.looks >= looksMax) connection.negotiationExpired();
      else left = true;
    }
    if (left) this.arm();
  }
}
