/** How long a suspended peer waits: nobody tells if the system that has asked for it fails (WSD-DUP-42). */

import type { Scheduler } from './scheduler.js';

/**
 * Milliseconds between two looks, and looks after which it is over. Two, because in a process that has stood still the timer
 * comes before what has arrived meanwhile.
 */
const period = 5000;
const looksMax = 2;

export class SuspensionTimeout {
  readonly #scheduler: Scheduler;
  readonly #expired: () => void;
  #looks = 0;
  #cancel: (() => void) | null = null;

  constructor(scheduler: Scheduler, expired: () => void) {
    this.#scheduler = scheduler;
    this.#expired = expired;
  }

  set(suspended: boolean): void {
    this.#cancel?.();
    this.#cancel = null;
    this.#looks = 0;
    if (suspended) this.#watch();
  }

  #watch(): void {
    this.#cancel = this.#scheduler.later(() => {
      if (++this.#looks >= looksMax) this.#expired();
      else this.#watch();
    }, period);
  }
}
