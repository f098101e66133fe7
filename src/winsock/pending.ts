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

/** What a call that may wait gives back: its result if that is known at once. */
export type Outcome<T> = T | Pending<T>;

export class Pending<T> {
  readonly promise: Promise<T>;
  settled = false;
  readonly #syscall: string;
  readonly #signal: AbortSignal | undefined;
  readonly #onabort = (): void => this.cancel(this.#signal!.reason);
  readonly #undo: () => void;
  #resolve!: (value: T) => void;
  #reject!: (error: unknown) => void;
  #onsettled: (() => void) | null = null;

  /** `undo` ends what the call does when it is given up. */
  constructor(syscall: string, signal: AbortSignal | undefined, undo: () => void) {
    this.#syscall = syscall;
    this.#signal = signal;
    this.#undo = undo;
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    signal?.addEventListener('abort', this.#onabort, { once: true });
    hold();
  }

  /** Called once, before anybody who waits for the promise. */
  set onsettled(callback: () => void) {
    this.#onsettled = callback;
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

  /** The program does not want it any more. */
  cancel(reason?: unknown): void {
    this.#giveUp(new WSAError(WSA_OPERATION_ABORTED, this.#syscall, reason));
  }

  /** It has taken too long. */
  expire(wsaError: number): void {
    this.#giveUp(new WSAError(wsaError, this.#syscall));
  }

  /** Fails first, because undoing the call may make it fail with what that does to it. */
  #giveUp(error: WSAError): void {
    if (this.settled) return;
    this.fail(error);
    this.#undo();
  }

  #settle(): boolean {
    if (this.settled) return false;
    this.settled = true;
    this.#signal?.removeEventListener('abort', this.#onabort);
    release();
    this.#onsettled?.();
    return true;
  }
}

/** The promise of a call that may be done already. */
export function promiseOf<T>(outcome: Outcome<T>): Promise<T> {
  return outcome instanceof Pending ? outcome.promise : Promise.resolve(outcome);
}
