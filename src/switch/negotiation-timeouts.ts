/** Negotiations under way, with a bound on each (WSD-NEG-16). One timer serves all, because almost none ever expires. */

import type { Scheduler } from './scheduler.js';

export interface Negotiating {
  negotiationExpired(): void;
}

/** Milliseconds between two looks; a negotiation expires after one to two of them. */
const period = 10_000;

export class NegotiationTimeouts {
  readonly #scheduler: Scheduler;
  #young = new Set<Negotiating>();
  #old = new Set<Negotiating>();
  #armed = false;

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  add(negotiating: Negotiating): void {
    this.#young.add(negotiating);
    this.#arm();
  }

  remove(negotiating: Negotiating): void {
    if (!this.#young.delete(negotiating)) this.#old.delete(negotiating);
  }

  #arm(): void {
    if (this.#armed) return;
    this.#armed = true;
    this.#scheduler.later(() => {
      this.#armed = false;
      const expired = this.#old;
      this.#old = this.#young;
      this.#young = new Set();
      for (const negotiating of expired) negotiating.negotiationExpired();
      if (this.#old.size > 0) this.#arm();
    }, period);
  }
}
