/** Round trips of one small message over one connection: the frame carries a number, so a lost, doubled or stale echo is seen. */

import type { Socket } from 'node:net';
import { quantile } from '../harness/statistics.js';
import type { Totals } from './protocol.js';

export const MESSAGE_BYTES = 64;

export interface RoundTrips {
  count: number;
  p50Us: number;
  p99Us: number;
}

/** One message under way at a time. */
export class Echo {
  readonly #socket: Socket;
  readonly #sent: Totals;
  readonly #message = Buffer.alloc(MESSAGE_BYTES, 7);
  #missing = 0;
  #number = 0;
  #received: () => void = () => {};

  constructor(socket: Socket, sent: Totals) {
    this.#socket = socket;
    this.#sent = sent;
    socket.on('data', (chunk) => this.#take(chunk));
    socket.on('end', () => {
      throw new Error('the server ended an echo connection');
    });
  }

  /** Sends the next message; `received` is called when all of it has come back. */
  send(received: () => void): void {
    this.#received = received;
    this.#missing = MESSAGE_BYTES;
    // The previous message has come back, so the socket holds no reference to these bytes any more.
    this.#message.writeUInt32LE(++this.#number >>> 0, 0);
    this.#sent.bytes += MESSAGE_BYTES;
    this.#socket.write(this.#message);
  }

  /** Round trips for `ms`, with a pause of `thinkMs` after each. */
  run(ms: number, thinkMs = 0): Promise<RoundTrips> {
    return new Promise((resolve) => {
      const times: number[] = [];
      const end = performance.now() + ms;
      let start = 0;
      const next = () => {
        start = performance.now();
        this.send(received);
      };
      const received = () => {
        const now = performance.now();
        times.push((now - start) * 1000);
        if (now >= end) resolve(summary(times));
        else if (thinkMs > 0) setTimeout(next, thinkMs);
        else next();
      };
      next();
    });
  }

  #take(chunk: Buffer): void {
    if (chunk.length > this.#missing) throw new Error(`${chunk.length - this.#missing} bytes more came back than sent`);
    // TCP may cut even 64 bytes in two; the number is checked where it comes whole, which is practically always.
    if (chunk.length === MESSAGE_BYTES && chunk.readUInt32LE(0) !== this.#number >>> 0) {
      throw new Error(`echo ${chunk.readUInt32LE(0)} came back instead of ${this.#number}`);
    }
    this.#missing -= chunk.length;
    if (this.#missing === 0) this.#received();
  }
}

function summary(times: number[]): RoundTrips {
  const sorted = Float64Array.from(times).sort();
  return { count: sorted.length, p50Us: quantile(sorted, 0.5), p99Us: quantile(sorted, 0.99) };
}
