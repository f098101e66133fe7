/** Bytes whose every position is known, so that a loss, a repetition or another order shows at once. */

import { fail } from './failure.js';

/** A prime, so that no size of message or buffer is a multiple of the pattern. */
const period = 65_521;
const pattern = Buffer.alloc(2 * period);
for (let i = 0, state = 1; i < period; i++) {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  pattern[i] = pattern[i + period] = state >>> 24;
}

/** One direction of a connection. */
export class Stream {
  readonly #start: number;
  /** Bytes that the program has given to the connection. */
  written = 0;
  received = 0;
  /** The sender has said that no more comes. */
  finished = false;

  /** Streams with different numbers have different bytes. */
  constructor(number: number) {
    this.#start = (number * 7919) % period;
  }

  /** The next bytes to write. */
  next(length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length);
    for (let at = 0; at < length; ) {
      const from = (this.#start + this.written + at) % period;
      at += pattern.copy(bytes, at, from, Math.min(from + length - at, pattern.length));
    }
    this.written += length;
    return bytes;
  }

  /** Every byte once and in order, and none that was not written. */
  receive(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length; ) {
      const from = (this.#start + this.received + at) % period;
      const n = Math.min(chunk.length - at, pattern.length - from);
      if (pattern.compare(chunk, at, at + n, from, from + n) !== 0) {
        fail(`wrong bytes after ${this.received + at} of ${this.written}`);
      }
      at += n;
    }
    this.received += chunk.length;
    if (this.received > this.written) fail(`${this.received} bytes received, ${this.written} written`);
  }
}
