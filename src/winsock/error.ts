/** The one error of this face. */

import { errorName } from '../spi/index.js';

/** A Winsock error: what WSAGetLastError would tell, and which call failed. */
export class WSAError extends Error {
  override readonly name = 'WSAError';
  /** For example 10061. */
  readonly number: number;
  /** For example `WSAECONNREFUSED`. */
  readonly code: string;
  /** Name of the call, for example `connect`. */
  readonly syscall: string;

  /** `cause`: the reason of an AbortSignal, for an operation that was cancelled. */
  constructor(number: number, syscall: string, cause?: unknown) {
    const code = errorName(number);
    super(`${syscall} ${code} (${number})`, cause === undefined ? {} : { cause });
    this.number = number;
    this.code = code;
    this.syscall = syscall;
  }
}
