/**
 * What the program writes, on its way to the wire: at once while there are credits, else from the queue, as messages or,
 * where a block is large enough, by RDMA.
 */

import type { Credits } from './credits.js';
import type { Delivery } from './delivery.js';
import type { SessionOptions, SessionOwner, SessionWire } from './face.js';
import { HEADER_SIZE, TYPE_DATA } from './header.js';
import { LargeTransfers } from './large.js';
import type { MessageWriter } from './message-writer.js';
import type { LargeMethod } from './negotiation.js';
import { type Done, SendQueue } from './send-queue.js';
import type { UrgentMarks } from './urgent.js';

/** A write of at most this many bytes is gathered rather than made to wait. */
const gatherWriteMax = 4096;

export class Outgoing {
  readonly #wire: SessionWire;
  readonly #owner: SessionOwner;
  readonly #options: SessionOptions;
  readonly #credits: Credits;
  readonly #writer: MessageWriter;
  readonly #urgent: UrgentMarks;
  readonly queue = new SendQueue();
  readonly completed: Done[] = [];
  #pumping = false;
  /** The program must not be called any more. */
  #silent = false;
  /** Nothing can be sent any more. */
  stopped = false;
  /** Largest payload of a message, in bytes. */
  payloadMax = 0;
  /** Once the program may send large blocks, or the peer does. */
  large: LargeTransfers | null = null;

  constructor(
    wire: SessionWire,
    owner: SessionOwner,
    options: SessionOptions,
    credits: Credits,
    writer: MessageWriter,
    urgent: UrgentMarks,
  ) {
    this.#wire = wire;
    this.#owner = owner;
    this.#options = options;
    this.#credits = credits;
    this.#writer = writer;
    this.#urgent = urgent;
  }

  makeLarge(delivery: Delivery, method: LargeMethod): LargeTransfers {
    this.large ??= new LargeTransfers({
      wire: this.#wire,
      owner: this.#owner,
      writer: this.#writer,
      credits: this.#credits,
      queue: this.queue,
      completed: this.completed,
      delivery,
      outgoing: method,
      incoming: this.#options.offer.large!,
      payloadMax: this.payloadMax,
      storedMax: this.#options.acceptMax,
    });
    return this.large;
  }

  write(chunk: Uint8Array, done: Done): boolean {
    const { queue } = this;
    const length = chunk.length;
    if (length === 0) return true;
    if (!queue.isEmpty) return this.#writeLater(chunk, 0, done);
    const { payloadMax } = this;
    if (length <= payloadMax) {
      if (!this.#credits.forData) return this.#writeLater(chunk, 0, done);
      const buffer = this.#writer.begin(TYPE_DATA, length);
      if (buffer === null) return this.#failWithConnection(chunk, 0, done);
      buffer.buf.bytes.set(chunk, buffer.offset + HEADER_SIZE);
      this.#wire.send(HEADER_SIZE + length);
      queue.sent += length;
      return true;
    }
    if (this.large !== null && length > this.large.threshold) {
      this.large.write(chunk, done);
      return false;
    }
    let from = 0;
    while (from < length && this.#credits.forData) {
      const n = Math.min(length - from, payloadMax);
      const buffer = this.#writer.begin(TYPE_DATA, n);
      if (buffer === null) return this.#failWithConnection(chunk, from, done);
      buffer.buf.bytes.set(chunk.subarray(from, from + n), buffer.offset + HEADER_SIZE);
      this.#wire.send(HEADER_SIZE + n);
      queue.sent += n;
      from += n;
    }
    return from === length ? true : this.#writeLater(chunk, from, done);
  }

  writev(chunks: readonly Uint8Array[], done: Done): boolean {
    const { queue, payloadMax } = this;
    const sent = queue.isEmpty && this.#credits.forData ? this.#writer.gathered(chunks, payloadMax) : 0;
    queue.sent += sent;
    if (sent > 0) return true;
    const borrows = queue.add(chunks, gatherWriteMax, this.#options.gatherMax, payloadMax);
    this.pump();
    if (!borrows || queue.borrowedBytes === 0 || this.stopped) return true;
    queue.push(chunks[0], chunks[0].length, done);
    this.#owner.onWriteWaiting();
    return false;
  }

  /** At most URGENT_MAX bytes, of which the last is urgent; they keep their place in the stream. */
  writeUrgent(chunk: Uint8Array, done: Done): boolean {
    const { queue } = this;
    this.#urgent.set(queue.sent + queue.bytes + chunk.length);
    if (!queue.isEmpty) return this.#writeLater(chunk, 0, done);
    queue.append(chunk, this.payloadMax);
    this.pump();
    return true;
  }

  #writeLater(chunk: Uint8Array, start: number, done: Done): boolean {
    const { queue } = this;
    const left = chunk.length - start;
    const fits = left <= gatherWriteMax && queue.bytes + left <= this.#options.gatherMax;
    if (fits && queue.borrowedBytes === 0) {
      queue.append(start === 0 ? chunk : chunk.subarray(start), this.payloadMax);
      return true;
    }
    queue.push(chunk, start, done);
    this.#owner.onWriteWaiting();
    return false;
  }

  /** The connection is lost, or there is no memory for the message (WSD-XFR-25): `lost` follows, with the error. */
  #failWithConnection(chunk: Uint8Array, start: number, done: Done): boolean {
    this.queue.push(chunk, start, done);
    return false;
  }

  /** Sends what waits, as far as there are credits. False: it does so already. */
  pump(): boolean {
    if (this.#pumping) return false;
    this.#pumping = true;
    try {
      if (this.large !== null) {
        this.large.tell();
        this.complete(0);
      }
      this.#sendQueued();
    } finally {
      this.#pumping = false;
    }
    return true;
  }

  #sendQueued(): void {
    const { queue } = this;
    while (!queue.isEmpty && this.#credits.forData && !this.stopped && !queue.lent) {
      if (this.large?.isDue === true && (this.large.offer() || this.large.isDue)) return;
      const size = this.#urgent.limit(queue.sent, Math.min(queue.bytes, this.payloadMax));
      if (size > 0) {
        const buffer = this.#writer.begin(TYPE_DATA, size);
        if (buffer === null) return;
        queue.moveTo(buffer.buf.bytes, buffer.offset + HEADER_SIZE, size, this.completed);
        if (this.#urgent.isAt(queue.sent + size)) this.#writer.markUrgent(buffer);
        this.#wire.send(HEADER_SIZE + size);
        queue.sent += size;
      }
      if (queue.bytes === 0 && !queue.isEmpty) for (const done of queue.clear()) this.completed.push(done);
      this.complete(0);
    }
  }

  /** Counts waiting writes as taken by copying them, if no more than `bytesMax` wait. */
  adopt(bytesMax: number): void {
    this.queue.adopt(bytesMax, this.payloadMax, this.completed);
    this.complete(0);
  }

  /** Tells who waits for what is done. */
  complete(error: number): void {
    const { completed } = this;
    if (this.#silent) completed.length = 0;
    while (completed.length > 0) completed.shift()!(error);
  }

  /** Everything that waits ends with this error. */
  fail(error: number): void {
    for (const done of this.queue.clear()) this.completed.push(done);
    this.complete(error);
  }

  /** The program is told nothing more. It may be in the middle of a call of ours, which never goes on. */
  silence(): void {
    this.#silent = true;
    this.#pumping = false;
  }

  /** A chunk of the program is being read by the peer, or written to it, and the program may still change it. */
  get isExposed(): boolean {
    return this.queue.lent && !this.#silent;
  }
}
