/**
 * Writes that wait for credit while the peer does not read. Stock sockets accept some MiB before they hold a writer back;
 * so do we, by copying, but only after a while without progress, because most waits end sooner.
 */

import type { Scheduler } from './scheduler.js';

export interface WaitingWriter {
  acceptWaiting(): void;
}

/** Milliseconds after which waiting writes are taken over. */
const patience = 2;

export class WaitingWrites {
  readonly #scheduler: Scheduler;
  #waiting = new Set<WaitingWriter>();
  #armed = false;

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  add(writer: WaitingWriter): void {
    this.#waiting.add(writer);
    if (this.#armed) return;
    this.#armed = true;
    this.#scheduler.later(() => {
      this.#armed = false;
      const waiting = this.#waiting;
      this.#waiting = new Set();
      for (const writer of waiting) writer.acceptWaiting();
    }, patience);
  }

  remove(writer: WaitingWriter): void {
    this.#waiting.delete(writer);
  }
}
