/**
 * Urgent data keeps its place in the stream and is marked there (WSD-OOB-9). As with TCP there is one mark in each
 * direction: urgent data that is sent while an earlier mark waits for the wire makes the earlier byte an ordinary one.
 */

import type { SessionOwner } from './face.js';
import { FLAG_URGENT } from './header.js';
import type { UrgentState } from './state.js';

/** Most bytes of one urgent write; what is before them goes as ordinary data. */
export const URGENT_MAX = 4096;

export class UrgentMarks {
  /** Position in the outgoing stream behind the urgent byte. */
  #sendEnd = 0;
  /** Chunks that have arrived, end with an urgent byte and wait to be delivered, in order. */
  readonly #arrived: Buffer[] = [];

  /** For the process in which the session goes on; `unread` is what has arrived and is not delivered. */
  state(unread: readonly Buffer[]): UrgentState {
    const urgent = this.#arrived.map((chunk) => unread.indexOf(chunk));
    return { urgentEnd: this.#sendEnd, urgent: urgent.filter((index) => index >= 0) };
  }

  restore({ urgentEnd, urgent }: UrgentState, unread: readonly Buffer[]): void {
    this.#sendEnd = urgentEnd;
    for (const index of urgent) this.#arrived.push(unread[index]);
  }

  set(position: number): void {
    this.#sendEnd = position;
  }

  /** How many of `size` bytes, of which the first is at `position`, may go in one message: a message ends with the mark. */
  limit(position: number, size: number): number {
    return this.#sendEnd > position ? Math.min(size, this.#sendEnd - position) : size;
  }

  /** A message that ends at `position` carries the mark. */
  isAt(position: number): boolean {
    return this.#sendEnd === position;
  }

  /** `word0` of the header tells whether the chunk ends with an urgent byte. */
  arrive(chunk: Buffer, word0: number): void {
    if ((word0 & FLAG_URGENT) !== 0) this.#arrived.push(chunk);
  }

  /** Gives the oldest chunk to the program, as what it is. */
  give(chunk: Buffer, owner: SessionOwner): void {
    if (this.#arrived.length === 0 || this.#arrived[0] !== chunk) {
      owner.onData(chunk);
    } else {
      this.#arrived.shift();
      owner.onUrgent(chunk);
    }
  }
}
