/**
 * A large send (WSD-XFR-3 to WSD-XFR-5): its first portion goes in a message, the rest by RDMA. The block stays at the head
 * of the queue meanwhile, and nothing that was written later leaves, so the order of the stream is that of the writes.
 *
 * What follows the message is driven by the peer's messages and by completions alone, never by a later turn of the loop: a
 * process that ends still sends what was written (WSD-CLS-6).
 */

import type { Credits } from './credits.js';
import type { SessionRdma, SessionWire } from './face.js';
import { DESCRIPTOR_SIZE_MAX, HEADER_SIZE, LARGE_FIELDS_SIZE, TYPE_LARGE, TYPE_WRITTEN } from './header.js';
import type { MessageWriter } from './message-writer.js';
import type { LargeMethod } from './negotiation.js';
import type { Done, SendQueue } from './send-queue.js';

/**
 * Bytes of one large send; a block that is longer goes in several, so that whoever watches a write sees it get on, and no
 * more memory than this is registered at a time.
 */
const sendMax = 16_777_216;

export class LargeSend {
  readonly #rdma: SessionRdma;
  readonly #wire: SessionWire;
  readonly #writer: MessageWriter;
  readonly #credits: Credits;
  readonly #queue: SendQueue;
  readonly #completed: Done[];
  readonly #readByPeer: boolean;
  /** Largest payload of a message. */
  readonly #payloadMax: number;
  #answersExpected = false;
  /** Bytes that are to be moved by RDMA; 0 while nothing is. */
  #left = 0;
  /** Bytes that are being written, or have been: then the peer is to be told. */
  #granted = 0;
  /** Of those, how many there are to tell of; -1: none yet. */
  #written = -1;
  /** The peer, or this side, had no memory for it: everything goes in messages from now on. */
  refused = false;

  constructor(
    rdma: SessionRdma,
    wire: SessionWire,
    writer: MessageWriter,
    credits: Credits,
    queue: SendQueue,
    completed: Done[],
    method: LargeMethod,
    payloadMax: number,
  ) {
    this.#rdma = rdma;
    this.#wire = wire;
    this.#writer = writer;
    this.#credits = credits;
    this.#queue = queue;
    this.#completed = completed;
    this.#readByPeer = method === 'read';
    this.#payloadMax = payloadMax;
  }

  get isOpen(): boolean {
    return this.#left > 0;
  }

  /** Sends the message for the first chunk of the queue. False: not now, or if it is `refused`, only in messages. */
  offer(): boolean {
    if (!this.#credits.forLarge(this.#readByPeer)) return false;
    if (!this.#expectAnswers()) {
      this.refused = true;
      return false;
    }
    const queue = this.#queue;
    const amount = Math.min(queue.lendable, sendMax);
    const first = this.#payloadMax - LARGE_FIELDS_SIZE - DESCRIPTOR_SIZE_MAX;
    const descriptor = this.#readByPeer ? this.#rdma.expose(queue.peek(first, amount)) : noDescriptor;
    if (descriptor === null || descriptor.length > DESCRIPTOR_SIZE_MAX) {
      if (descriptor !== null) this.#rdma.conceal();
      this.refused = true;
      return false;
    }
    const room = LARGE_FIELDS_SIZE + ((descriptor.length + 7) & ~7);
    const buffer = this.#writer.begin(TYPE_LARGE, room + first);
    if (buffer === null) {
      this.#rdma.conceal();
      return false;
    }
    this.#writer.dataSequence = this.#writer.sequence;
    const { bytes, words } = buffer.buf;
    const i = buffer.offset >> 2;
    words[i + 3] = amount;
    words[i + 4] = descriptor.length;
    words[i + 5] = 0;
    bytes.set(descriptor, buffer.offset + HEADER_SIZE + LARGE_FIELDS_SIZE);
    queue.moveTo(bytes, buffer.offset + HEADER_SIZE + room, first, this.#completed);
    queue.lent = true;
    this.#left = amount - first;
    this.#credits.transfers++;
    this.#wire.send(HEADER_SIZE + room + first);
    queue.sent += first;
    return true;
  }

  #expectAnswers(): boolean {
    if (this.#answersExpected || this.#credits.answersExpected) return true;
    if (this.#wire.postMore(1) === 0) return false;
    this.#answersExpected = true;
    this.#credits.expectAnswers();
    return true;
  }

  /** The peer says that it has read so many bytes. False: it cannot have. */
  read(count: number): boolean {
    if (!this.#readByPeer || !this.isOpen || count < 0 || count > this.#left) return false;
    this.#rdma.conceal();
    // If it could read nothing at all, it never will.
    this.#end(count, count === 0);
    return true;
  }

  /** The peer has memory for so many bytes. False: it cannot have, or has been asked for nothing. */
  granted(count: number, descriptor: Uint8Array): boolean {
    if (this.#readByPeer || !this.isOpen || this.#granted > 0 || count < 0 || count > this.#left) return false;
    if (count === 0) {
      this.#end(0, true);
      return true;
    }
    if (descriptor.length === 0) return false;
    this.#granted = count;
    const result = this.#rdma.write(this.#queue.peek(0, count), descriptor);
    if (result !== 'pending') this.#written = result === 'done' ? count : 0;
    return true;
  }

  /** The write that was pending has come to its end. */
  pieceWritten(): void {
    this.#written = this.#granted;
  }

  /** Tells the peer what has been written, once it may be told. */
  tell(): void {
    const count = this.#written;
    if (count < 0 || !this.#credits.forTransfer || !this.#writer.transfer(TYPE_WRITTEN, count, null)) return;
    const complete = count === this.#granted && count < this.#left;
    this.#granted = 0;
    this.#written = -1;
    if (complete) {
      this.#left -= count;
      this.#queue.drop(count, this.#completed);
    } else {
      this.#end(count, count < this.#left);
    }
  }

  /** The rest, if there is one, is offered anew, or goes in messages. */
  #end(moved: number, refused: boolean): void {
    if (refused) this.refused = true;
    this.#left = 0;
    this.#credits.transfers--;
    this.#queue.lent = false;
    this.#queue.drop(moved, this.#completed);
  }

  /** The connection ends: the memory is the program's again when this returns. */
  abandon(): void {
    if (!this.isOpen) return;
    this.#left = 0;
    this.#written = -1;
    this.#rdma.end();
  }
}

const noDescriptor = new Uint8Array(0);
