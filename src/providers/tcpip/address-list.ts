/**
 * The addresses of this host's interfaces, which are TCP/IP's to assign (WSD-TBL-12), and whether they have changed. Node.js
 * tells nobody of changes, so the list is looked at when somebody asks, and remembered for a while.
 */

import { networkInterfaces } from 'node:os';

/** Milliseconds for which the list is remembered: reading it costs as much as a connection. */
const maxAge = 1000;

export class AddressList {
  readonly #now: () => number;
  #time = Number.NEGATIVE_INFINITY;
  #addresses: ReadonlySet<string> = new Set();
  #version = 0;

  /** `now`: milliseconds, monotonic. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** All addresses in textual form, without zones. */
  get addresses(): ReadonlySet<string> {
    this.#look();
    return this.#addresses;
  }

  /** Another number after each change. */
  get version(): number {
    this.#look();
    return this.#version;
  }

  #look(): void {
    const now = this.#now();
    if (now - this.#time <= maxAge) return;
    this.#time = now;
    const list = Object.values(networkInterfaces()).flatMap((entries) => entries ?? []);
    const addresses = new Set(list.map(({ address }) => address).sort());
    if ([...addresses].join() !== [...this.#addresses].join()) this.#version++;
    this.#addresses = addresses;
  }
}
