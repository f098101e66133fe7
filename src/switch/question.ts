/**
 * The condition function that goes with every WSPAccept of a listener, and the check that the provider uses it as it must:
 * at most once, before WSPAccept returns, and exactly once if that returns a socket, WSAECONNREFUSED or WSATRY_AGAIN
 * (WSD-ACC-7 to WSD-ACC-9, WSD-ACC-21).
 */

import {
  CF_ACCEPT,
  CF_DEFER,
  CF_REJECT,
  type ConditionFunction,
  type SOCKADDR,
  WSAECONNREFUSED,
  WSATRY_AGAIN,
} from '../spi/index.js';

export class Question {
  /** The called address that the provider has told. */
  callee: SOCKADDR | null = null;
  /** The caller for whom the answer was CF_ACCEPT. */
  admitted: SOCKADDR | null = null;
  #calls = 0;
  #verdict = CF_REJECT;
  #asking = false;
  readonly #decide: (caller: SOCKADDR, callee: SOCKADDR) => number;
  readonly #tooLate: () => void;

  /** `tooLate` is called if the provider asks after its WSPAccept has returned. */
  constructor(decide: (caller: SOCKADDR, callee: SOCKADDR) => number, tooLate: () => void) {
    this.#decide = decide;
    this.#tooLate = tooLate;
  }

  /** WSPAccept is about to be called. */
  begin(): void {
    this.#calls = 0;
    this.#asking = true;
    this.callee = null;
    this.admitted = null;
  }

  /** WSPAccept has not returned, because the program has thrown. */
  end(): void {
    this.#asking = false;
  }

  /** In the middle of a WSPAccept. */
  get isAsking(): boolean {
    return this.#asking;
  }

  readonly condition: ConditionFunction = (caller, _callerData, _sqos, _gqos, callee) => {
    // The program is not asked about a request that may not be one.
    if (!this.#asking) this.#tooLate();
    if (++this.#calls > 1 || !this.#asking) return CF_REJECT;
    this.callee = callee;
    this.#verdict = this.#decide(caller, callee);
    if (this.#verdict === CF_ACCEPT) this.admitted = caller;
    return this.#verdict;
  };

  /** WSPAccept has returned with `error` (0: a socket): true if it asked as it must, and did what it was told. */
  answeredFor(error: number): boolean {
    this.#asking = false;
    if (this.#calls > 1) return false;
    if (error === 0) return this.#calls === 1 && this.#verdict === CF_ACCEPT;
    if (error === WSATRY_AGAIN) return this.#calls === 1 && this.#verdict === CF_DEFER;
    if (error === WSAECONNREFUSED) return this.#calls === 1 && this.#verdict === CF_REJECT;
    return true;
  }
}
