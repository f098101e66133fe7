/** Writes the messages of one side: headers, sequence numbers, the credits that each takes and brings back. */

import type { WSABUF } from '../spi/index.js';
import type { Credits } from './credits.js';
import type { SessionWire } from './face.js';
import {
  FLAG_CLOSED,
  FLAG_URGENT,
  HEADER_SIZE,
  TYPE_CREDIT,
  TYPE_DATA,
  TYPE_FINISH,
  TYPE_NEGOTIATE,
  writeHeader,
} from './header.js';
import { NEGOTIATION_SIZE, type SessionOffer, writeNegotiation } from './negotiation.js';

export class MessageWriter {
  readonly #wire: SessionWire;
  readonly #credits: Credits;
  /** Sequence number of the last message, and of the last one with data. */
  sequence = 0;
  dataSequence = 0;

  constructor(wire: SessionWire, credits: Credits) {
    this.#wire = wire;
    this.#credits = credits;
  }

  /** A buffer with its header, for a payload of `length` bytes; null if the connection is lost. */
  begin(type: number, length: number): WSABUF | null {
    const buffer = this.#wire.getSendBuffer(HEADER_SIZE + length);
    if (buffer === null) return null;
    this.sequence = (this.sequence + 1) | 0;
    if (type === TYPE_DATA) this.dataSequence = this.sequence;
    writeHeader(buffer.buf.words, buffer.offset, type, this.#credits.take(), length, this.sequence);
    return buffer;
  }

  /** Sends a message without payload. */
  control(type: number): void {
    if (this.begin(type, 0) !== null) this.#wire.send(HEADER_SIZE);
  }

  /**
   * Sends a message that belongs to a large transfer: a number of bytes, and a descriptor with a grant. False: the
   * connection is lost.
   */
  transfer(type: number, bytes: number, descriptor: Uint8Array | null): boolean {
    const length = descriptor?.length ?? 0;
    const buffer = this.begin(type, length);
    if (buffer === null) return false;
    buffer.buf.words[(buffer.offset >> 2) + 3] = bytes;
    if (descriptor !== null) buffer.buf.bytes.set(descriptor, buffer.offset + HEADER_SIZE);
    this.#wire.send(HEADER_SIZE + length);
    return true;
  }

  /** Returns credits, if they have to go back in a message of their own. */
  returnCredits(): void {
    if (this.#credits.shouldReturn) this.control(TYPE_CREDIT);
  }

  /** Sends all chunks as one message of up to `max` bytes. Returns its length, or 0 if they do not fit or it is lost. */
  gathered(chunks: readonly Uint8Array[], max: number): number {
    let length = 0;
    for (let i = 0; i < chunks.length; i++) length += chunks[i].length;
    const buffer = length === 0 || length > max ? null : this.begin(TYPE_DATA, length);
    if (buffer === null) return 0;
    let at = buffer.offset + HEADER_SIZE;
    for (let i = 0; i < chunks.length; i++) {
      buffer.buf.bytes.set(chunks[i], at);
      at += chunks[i].length;
    }
    this.#wire.send(HEADER_SIZE + length);
    return length;
  }

  /** `taken`: sequence number of the last message that a closed program has taken; null if it has only ended its sending. */
  finish(taken: number | null): void {
    const buffer = this.begin(TYPE_FINISH, 0);
    if (buffer === null) return;
    if (taken !== null) {
      const i = buffer.offset >> 2;
      buffer.buf.words[i] |= FLAG_CLOSED;
      buffer.buf.words[i + 3] = taken;
    }
    this.#wire.send(HEADER_SIZE);
  }

  /**
   * The reply takes a buffer of the initiator as any message does. The initiator's own message comes before anything is
   * known of the peer, and its credit is implied by WSD-NEG-3 and WSD-NEG-8.
   */
  negotiation(offer: SessionOffer): void {
    const buffer = this.begin(TYPE_NEGOTIATE, NEGOTIATION_SIZE);
    if (buffer === null) return;
    writeNegotiation(buffer.buf.words, buffer.offset + HEADER_SIZE, offer);
    this.#wire.send(HEADER_SIZE + NEGOTIATION_SIZE);
  }

  /** Marks the last byte of the message in `buffer`. */
  markUrgent(buffer: WSABUF): void {
    buffer.buf.words[buffer.offset >> 2] |= FLAG_URGENT;
  }

  /** True if the peer, having taken messages up to `sequence`, has not taken all data. */
  hasDataAfter(sequence: number): boolean {
    return ((this.dataSequence - sequence) | 0) > 0;
  }
}
