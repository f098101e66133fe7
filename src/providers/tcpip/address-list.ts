/**
 * The addresses of this host's interfaces, which are TCP/IP's to assign (WSD-TBL-12), and whether they have changed. While
 * somebody watches, the kernel tells of changes; else the list is looked at when somebody asks, and remembered for a while.
 */

import { networkInterfaces } from 'node:os';
import type { Reason } from '../../diagnostics/reasons.js';
import { type AddressListener, type InterfaceAddress, loadPlatform, PlatformError } from '../../platform/index.js';

/** Milliseconds for which the list is remembered: reading it costs as much as a connection. */
const maxAge = 1000;

/** Tells of all addresses at once and of changes later, until what is returned is called. Throws PlatformError where that cannot be had. */
export type NotifyAddresses = (listener: AddressListener) => () => void;

export class AddressList implements AddressListener {
  readonly #now: () => number;
  readonly #notify: NotifyAddresses;
  readonly #watchers = new Set<() => void>();
  /** What the kernel has told, by interface and address. */
  readonly #told = new Map<string, string>();
  /** Null: the kernel does not tell, or all that is there at first has not been told yet. */
  #stop: (() => void) | null = null;
  #time = Number.NEGATIVE_INFINITY;
  #addresses: ReadonlySet<string> = new Set();
  #version = 0;
  /** Why the kernel does not tell of changes to who wants to watch; null: it does, or nobody has wanted it. */
  unwatched: Reason | null = null;

  /** `now`: milliseconds, monotonic. The kernel is asked for changes only when somebody watches. */
  constructor(now: () => number, notify: NotifyAddresses = (listener) => loadPlatform().notifyAddresses(listener)) {
    this.#now = now;
    this.#notify = notify;
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

  /** `changed` is called after each change until what is returned is called; null where nobody tells. */
  watch(changed: () => void): (() => void) | null {
    try {
      this.#stop ??= this.#notify(this);
    } catch (error) {
      if (!(error instanceof PlatformError)) throw error;
      this.unwatched = error.reason;
      return null;
    }
    this.#take(this.#told.values());
    this.#watchers.add(changed);
    return () => {
      if (!this.#watchers.delete(changed) || this.#watchers.size > 0) return;
      this.#stop?.();
      this.#stop = null;
      this.#told.clear();
      this.#time = Number.NEGATIVE_INFINITY;
    };
  }

  added({ device, address }: InterfaceAddress): void {
    this.#told.set(`${device} ${address}`, address);
    if (this.#stop !== null) this.#take(this.#told.values());
  }

  removed({ device, address }: InterfaceAddress): void {
    this.#told.delete(`${device} ${address}`);
    if (this.#stop !== null) this.#take(this.#told.values());
  }

  /** Back to looking, as before. */
  ended(): void {
    this.unwatched = 'addresses-unwatched';
    this.#stop = null;
    this.#told.clear();
  }

  #take(list: Iterable<string>): void {
    const addresses = new Set([...list].sort());
    if ([...addresses].join() === [...this.#addresses].join()) return;
    this.#addresses = addresses;
    this.#version++;
    for (const changed of [...this.#watchers]) changed();
  }

  #look(): void {
    const now = this.#now();
    if (this.#stop !== null || now - this.#time <= maxAge) return;
    this.#time = now;
    const list = Object.values(networkInterfaces()).flatMap((entries) => entries ?? []);
    this.#take(list.map(({ address }) => address));
  }
}
