/** How long a suspended peer waits: nobody tells if the system that has asked for it fails (WSD-DUP-42). */

import type { Scheduler } from './scheduler.js';

/** Milliseconds. */
const patience = 10_000;

export class SuspensionTimeout {
  readonly #scheduler: Scheduler;
  readonly #expired: () => void;
  #cancel: (() => void) | null = null;

  constructor(scheduler: Scheduler, expired: () => void) {
    this.#scheduler = scheduler;
    this.#expired = expired;
  }

  set(suspended: boolean): void {
    this.#cancel?.();
    this.#cancel = suspended ? this.#scheduler.later(this.#expired, patience) : null;
  }
}
