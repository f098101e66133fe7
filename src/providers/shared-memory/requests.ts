/** The words in the arena by which both sides of a link agree on the fate of a connection request (decision 8). */

import { SLOTS } from './arena.js';
import { REQUEST_ACCEPTED, REQUEST_ENDED, REQUEST_PENDING, requestWord } from './records.js';

export class Requests {
  readonly #mine: Int32Array;
  readonly #peers: Int32Array;

  /** Byte offsets of the words of both sides. */
  constructor(arena: ArrayBuffer, mine: number, peers: number) {
    this.#mine = new Int32Array(arena, mine, SLOTS);
    this.#peers = new Int32Array(arena, peers, SLOTS);
  }

  /** A request of this side begins. */
  begin(id: number, generation: number): void {
    Atomics.store(this.#mine, id & (SLOTS - 1), requestWord(generation, REQUEST_PENDING));
  }

  /** True: the acceptor will never accept. False: it has decided already, and its answer is on the way. */
  withdraw(id: number, generation: number): boolean {
    return exchange(this.#mine, id, generation, REQUEST_ENDED);
  }

  /** True: the request has not been withdrawn, and is decided now. */
  decide(id: number, generation: number, accepted: boolean): boolean {
    return exchange(this.#peers, id, generation, accepted ? REQUEST_ACCEPTED : REQUEST_ENDED);
  }

  /** True while the request of the peer has been neither withdrawn nor decided. */
  isPending(id: number, generation: number): boolean {
    return Atomics.load(this.#peers, id & (SLOTS - 1)) === requestWord(generation, REQUEST_PENDING);
  }
}

function exchange(words: Int32Array, id: number, generation: number, state: number): boolean {
  const pending = requestWord(generation, REQUEST_PENDING);
  return Atomics.compareExchange(words, id & (SLOTS - 1), pending, requestWord(generation, state)) === pending;
}
