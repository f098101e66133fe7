import { fstatSync } from 'node:fs';
import type { Libc, PollHandle } from './libc.js';

/** A wait for readability of a socket. */
export interface ReadableWait {
  /** Resolves, never rejects: true when the descriptor can be read or its peer has gone, false after `cancel`. */
  readonly promise: Promise<boolean>;
  /** Ends the wait at once. To be called before the descriptor is closed or given to somebody who reads it. */
  cancel(): void;
}

/** Descriptors that are being waited for, with the waits: a handle that nobody references is collected and goes silent. */
const waits = new Map<number, Wait>();

/**
 * The only user of koffi's poll handle, whose misuse ends the process: a second handle for a descriptor or one for a regular
 * file aborts, `unref` after `close` is a segmentation fault, closing the descriptor first aborts, and an exception of the
 * callback surfaces in somebody else's. The handle lives for one event only.
 */
class Wait implements ReadableWait {
  readonly promise: Promise<boolean>;
  readonly #descriptor: number;
  #handle: PollHandle | null;
  #settle: ((readable: boolean) => void) | null = null;

  constructor(libc: Libc, descriptor: number) {
    if (waits.has(descriptor)) throw new Error(`descriptor ${descriptor} is being waited for already`);
    if (!fstatSync(descriptor).isSocket()) throw new Error(`descriptor ${descriptor} is not a socket`);
    this.#descriptor = descriptor;
    this.promise = new Promise((resolve) => {
      this.#settle = resolve;
    });
    this.#handle = libc.startPoll(descriptor, { readable: true, disconnect: true }, () => this.#finish(true));
    this.#handle.unref();
    waits.set(descriptor, this);
  }

  cancel(): void {
    this.#finish(false);
  }

  #finish(readable: boolean): void {
    const handle = this.#handle;
    if (handle === null) return;
    this.#handle = null;
    waits.delete(this.#descriptor);
    handle.close();
    const settle = this.#settle!;
    // Promise reactions would run before the loop has left koffi's callback, where an exception must not happen.
    if (readable) setImmediate(settle, true);
    else settle(false);
  }
}

export function waitReadable(libc: Libc, descriptor: number): ReadableWait {
  return new Wait(libc, descriptor);
}
