/** The fate of a connection request. */

import { type SOCKADDR, WSAECONNREFUSED, WSAENOBUFS, WSAETIMEDOUT } from '../../spi/index.js';

/** Why a request is turned away, as the caller's provider is told. */
const refusals = {
  refused: WSAECONNREFUSED,
  'no-listener': WSAETIMEDOUT,
  'peer-gone': WSAETIMEDOUT,
  'resources-exhausted': WSAENOBUFS,
} as const;
export type Refusal = keyof typeof refusals;

/** Who has asked for a connection. */
export interface Requester {
  refused(error: number, reason: string | null): void;
}

/** A connection request. Its state is decided once, by whoever comes first (decision 8 of the design). */
export class ConnectRequest<R extends Requester> {
  #state: 'pending' | 'accepted' | 'ended' = 'pending';

  constructor(
    readonly caller: SOCKADDR,
    readonly callee: SOCKADDR,
    readonly initiator: R,
    /** Runs what it is given after the time that an answer takes. */
    readonly answer: (arrive: () => void) => void,
  ) {}

  get isPending(): boolean {
    return this.#state === 'pending';
  }

  accept(): boolean {
    return this.#decide('accepted');
  }

  /** True: the acceptor will never accept. False: it has decided already, and its answer is on the way. */
  withdraw(): boolean {
    return this.#decide('ended');
  }

  refuse(cause: Refusal): void {
    if (this.#decide('ended')) this.answer(() => this.initiator.refused(refusals[cause], cause));
  }

  #decide(state: 'accepted' | 'ended'): boolean {
    if (this.#state !== 'pending') return false;
    this.#state = state;
    return true;
  }
}
