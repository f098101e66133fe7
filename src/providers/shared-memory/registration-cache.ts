/**
 * What is kept of memory after it was deregistered, so that registering it again costs less (section 11.1 of the digest):
 * for shared memory that is its address, which a direct read needs and which only the foreign function interface can tell.
 *
 * The key is the ArrayBuffer, which stands for one range of addresses as long as it is not detached, and a detached one is
 * never registered again. Nothing is kept alive: with the buffer its entry goes too.
 */

import { WSAEFAULT, WSAEINVAL } from '../../spi/index.js';

interface Entry {
  /** Null: it has none that could be told. */
  readonly address: bigint | null;
  /** Registrations in force. */
  uses: number;
}

/** Of one socket: what is cached is released with its connection (WSD-CCH-11). */
export class RegistrationCache {
  readonly #addressOf: (buffer: ArrayBufferLike) => bigint | null;
  #entries = new WeakMap<ArrayBufferLike, Entry>();
  /** Registrations that found their memory here. */
  hits = 0;

  constructor(addressOf: (buffer: ArrayBufferLike) => bigint | null) {
    this.#addressOf = addressOf;
  }

  /** For a registration, of either kind: the address of the buffer (WSD-CCH-5, WSD-CCH-14). */
  take(buffer: ArrayBufferLike): bigint | null {
    let entry = this.#entries.get(buffer);
    if (entry === undefined) {
      entry = { address: this.#addressOf(buffer), uses: 0 };
      this.#entries.set(buffer, entry);
    } else {
      this.hits++;
    }
    entry.uses++;
    return entry.address;
  }

  /** The registration has ended; the entry stays (WSD-CCH-2, WSD-CCH-12). */
  give(buffer: ArrayBufferLike): void {
    const entry = this.#entries.get(buffer);
    if (entry !== undefined) entry.uses--;
  }

  /** The address, while a registration is in force. */
  addressOf(buffer: ArrayBufferLike): bigint | null {
    return this.#entries.get(buffer)?.address ?? null;
  }

  /** 0; WSAEFAULT: registrations are in force; WSAEINVAL: it is not cached (WSD-CCH-7, WSD-CCH-10). */
  invalidate(buffer: ArrayBufferLike): number {
    const entry = this.#entries.get(buffer);
    if (entry === undefined) return WSAEINVAL;
    if (entry.uses > 0) return WSAEFAULT;
    this.#entries.delete(buffer);
    return 0;
  }

  clear(): void {
    this.#entries = new WeakMap();
  }
}
