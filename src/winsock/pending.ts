/** A call that waits: the promise of the program, its cancellation, and the event loop, which must not end meanwhile. */

import { WSA_OPERATION_ABORTED } from '../spi/index.js';
import { hold, release } from '../switch/index.js';
import { WSAError } from './error.js';

/** Options of every call that may wait. */
export interface Waiting {
  /** Cancels the call, which then fails with WSA_OPERATION_ABORTED and the signal's reason as `cause` (WSD-BLK-1). */
  readonly signal?: AbortSignal | undefined;
}

/** Throws if the call is cancelled before it begins. */
export function checkSignal(syscall: string, signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new WSAError(WSA_OPERATION_ABORTED, syscall, signal.reason);
}

export class Pending<T> {
  readonly promise: Promise<T>;
  settled = false;
  readonly #syscall: string;
  readonly #signal: AbortSignal | undefined;
  readonly #onabort = (): void => {
    const { reason } = this.#signal!;
    // First, because undoing the call may make it fail with what that does to it.
    this.fail(new WSAError(WSA_OPERATION_ABORTED, this.#syscall, reason));
    this.#cancel();
  };
  readonly #cancel: () => void;
  #resolve!: (value: T) => void;
  #reject!: (error: unknown) => void;

  /** `cancel` undoes the call when the signal fires. */
  constructor(syscall: string, signal: AbortSignal | undefined, cancel: () => void) {
    this.#syscall = syscall;
    this.#signal = signal;
    this.#cancel = cancel;
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    signal?.addEventListener('abort', this.#onabort, { once: true });
    hold();
  }

  resolve(value: T): void {
    if (this.#settle()) this.#resolve(value);
  }

  reject(wsaError: number): void {
    this.fail(new WSAError(wsaError, this.#syscall));
  }

  fail(error: unknown): void {
    if (this.#settle()) this.#reject(error);
  }

  #settle(): boolean {
    if (this.settled) return false;
    this.settled = true;
    this.#signal?.removeEventListener('abort', this.#onabort);
    release();
    return true;
  }
}
