import { fstatSync } from 'node:fs';
import type { Libc } from './libc.js';

/** A wait for readability of a socket. */
export interface ReadableWait {
  /** Resolves, never rejects: true when the descriptor can be read or its peer has gone, false after `cancel`. */
  readonly promise: Promise<boolean>;
  /** Ends the wait at once. To be called before the descriptor is closed or given to somebody who reads it. */
  cancel(): void;
}

const POLLIN = 1;
const POLLRDHUP = 0x2000;

/** Looks that are made once a turn of the loop; a peer that is there answers within them. */
const eagerLooks = 200;
/** Milliseconds between later looks, which double up to the last. */
const pauseMin = 1;
const pauseMax = 16;

/** Descriptors that are being waited for: two waits for one would each take what belongs to the other. */
const waits = new Set<number>();

/**
 * Waits by looking. libuv cannot be asked, because it would take the bytes and drop the descriptors that come with them,
 * and a foreign poll handle cannot be used in a worker: if the worker is terminated while its callback is due, the process
 * is aborted. Waits are short and rare, so looking costs little.
 */
class Wait implements ReadableWait {
  readonly promise: Promise<boolean>;
  readonly #libc: Libc;
  readonly #descriptor: number;
  readonly #entry = Buffer.alloc(8);
  #looks = 0;
  #pause = pauseMin;
  #immediate: NodeJS.Immediate | null = null;
  #timer: NodeJS.Timeout | null = null;
  #settle: ((readable: boolean) => void) | null = null;

  constructor(libc: Libc, descriptor: number) {
    if (waits.has(descriptor)) throw new Error(`descriptor ${descriptor} is being waited for already`);
    if (!fstatSync(descriptor).isSocket()) throw new Error(`descriptor ${descriptor} is not a socket`);
    this.#libc = libc;
    this.#descriptor = descriptor;
    this.#entry.writeInt32LE(descriptor, 0);
    this.#entry.writeInt16LE(POLLIN | POLLRDHUP, 4);
    this.promise = new Promise((resolve) => {
      this.#settle = resolve;
    });
    waits.add(descriptor);
    this.#lookLater();
  }

  cancel(): void {
    this.#finish(false);
  }

  #lookLater(): void {
    if (this.#looks < eagerLooks) {
      this.#looks++;
      this.#immediate = setImmediate(() => this.#look());
    } else {
      this.#timer = setTimeout(() => this.#look(), this.#pause).unref();
      this.#pause = Math.min(2 * this.#pause, pauseMax);
    }
  }

  #look(): void {
    // Anything but silence ends the wait: whoever reads next is told what it was.
    if (this.#libc.poll(this.#entry, 1, 0) !== 0) this.#finish(true);
    else this.#lookLater();
  }

  #finish(readable: boolean): void {
    const settle = this.#settle;
    if (settle === null) return;
    this.#settle = null;
    waits.delete(this.#descriptor);
    if (this.#immediate !== null) clearImmediate(this.#immediate);
    if (this.#timer !== null) clearTimeout(this.#timer);
    settle(readable);
  }
}

export function waitReadable(libc: Libc, descriptor: number): ReadableWait {
  return new Wait(libc, descriptor);
}
