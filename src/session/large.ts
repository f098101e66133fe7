/** Large transfers of a session (section 9.2 of the digest): one out and one in at a time, each a state of its own. */

import type { WSABUF } from '../spi/index.js';
import type { Credits } from './credits.js';
import type { Delivery } from './delivery.js';
import type { SessionOwner, SessionWire } from './face.js';
import { HEADER_SIZE, TYPE_GRANT, TYPE_READ } from './header.js';
import { LargeReceive } from './large-receive.js';
import { LargeSend } from './large-send.js';
import type { MessageWriter } from './message-writer.js';
import type { LargeMethod } from './negotiation.js';
import type { Done, SendQueue } from './send-queue.js';
import { URGENT_MAX } from './urgent.js';

/** What a session lends to its large transfers. */
export interface LargeParts {
  readonly wire: SessionWire;
  readonly owner: SessionOwner;
  readonly writer: MessageWriter;
  readonly credits: Credits;
  readonly queue: SendQueue;
  readonly completed: Done[];
  readonly delivery: Delivery;
  /** How the peer takes large sends, and how this side does. */
  readonly outgoing: LargeMethod;
  readonly incoming: LargeMethod;
  readonly payloadMax: number;
  /** Bytes that are taken from the peer although the program does not read. */
  readonly storedMax: number;
}

export class LargeTransfers {
  readonly #owner: SessionOwner;
  readonly #queue: SendQueue;
  readonly #payloadMax: number;
  readonly #send: LargeSend;
  readonly #receive: LargeReceive;
  #threshold = Number.POSITIVE_INFINITY;
  /** A chunk of the program is in use. */
  #lends = false;

  constructor(parts: LargeParts) {
    const { wire, owner, writer, credits, queue, completed, delivery, outgoing, incoming, payloadMax, storedMax } =
      parts;
    const rdma = wire.rdma!;
    this.#owner = owner;
    this.#queue = queue;
    this.#payloadMax = payloadMax;
    this.#send = new LargeSend(rdma, wire, writer, credits, queue, completed, outgoing, payloadMax);
    this.#receive = new LargeReceive(rdma, writer, credits, delivery, incoming, storedMax);
    delivery.large = this.#receive;
  }

  /** Blocks of more bytes go by RDMA (WSD-XFR-6). What fits one message, or may be urgent, never does (WSD-XFR-7). */
  get threshold(): number {
    return this.#threshold;
  }

  set threshold(bytes: number) {
    if (!this.#send.refused) this.#threshold = Math.max(bytes, this.#payloadMax, URGENT_MAX);
  }

  get isReceiving(): boolean {
    return this.#receive.isOpen;
  }

  /** A block of the program; `done` is called later. */
  write(chunk: Uint8Array, done: Done): void {
    this.#queue.push(chunk, 0, done);
    if (this.offer()) return;
    this.#owner.onWriteWaiting();
    // What is not to be had by RDMA goes in messages, in a later turn: `done` may be called then.
    if (this.#send.refused) this.#owner.onDeliverable();
  }

  /** Whether the first chunk of the queue is to go by RDMA. */
  get isDue(): boolean {
    return this.#queue.lendable > this.#threshold;
  }

  /** Sends the message for the first chunk of the queue. False: it waits, or `isDue` is not true any more. */
  offer(): boolean {
    const sent = this.#send.offer();
    if (sent) this.#lends = true;
    if (this.#send.refused) this.#threshold = Number.POSITIVE_INFINITY;
    return sent;
  }

  /** The peer's message for a large send: where its first portion begins behind the fixed header, or -1. */
  begin(buffer: WSABUF, payload: number): number {
    return this.#receive.begin(buffer.buf.bytes, buffer.buf.words, buffer.offset, payload);
  }

  /**
   * A message about a transfer under way, in a buffer that is still the caller's. False: it breaks the protocol. What it
   * makes possible is left to `tell` and `pump`.
   */
  answered(type: number, buffer: WSABUF, payload: number): boolean {
    const count = buffer.buf.words[(buffer.offset >> 2) + 3];
    if (type === TYPE_GRANT) {
      const from = buffer.offset + HEADER_SIZE;
      return this.#send.granted(count, buffer.buf.bytes.slice(from, from + payload));
    }
    if (payload !== 0) return false;
    return type === TYPE_READ ? this.#send.read(count) : this.#receive.written(count);
  }

  /** What RDMA had pending has come to its end: the bytes that were read, or null for a write. */
  transferred(bytes: Buffer | null): void {
    if (bytes === null) this.#send.pieceWritten();
    else this.#receive.pieceRead(bytes);
  }

  /** Says what waits for a credit to be said. */
  tell(): void {
    this.#receive.tell();
    this.#send.tell();
    if (!this.#lends || this.#queue.lent) return;
    this.#lends = false;
    if (this.#send.refused) this.#threshold = Number.POSITIVE_INFINITY;
    // Nobody has looked after writes that wait behind the block.
    if (this.#queue.borrowedBytes > 0) this.#owner.onWriteWaiting();
  }

  /** Moves as much as there is room for. */
  pump(): void {
    this.#receive.pump();
  }

  /** The connection ends: memory that the program has lent is its own again when this returns. */
  abandon(): void {
    this.#send.abandon();
    this.#receive.abandon();
  }
}
