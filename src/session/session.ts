/**
 * The session protocol between two switches (section 9 of the digest): negotiation, credits, data, half-close.
 *
 * A pure state machine: it has no socket, no clock and no provider, only the functions of {@link SessionWire} and
 * {@link SessionOwner}. Messages arrive through `receive` in posted buffers, one message a buffer, in order.
 */

import { WSA_OPERATION_ABORTED, type WSABUF, WSAECONNRESET, WSAENOTCONN, WSAESHUTDOWN } from '../spi/index.js';
import { copyOut } from './copy-pool.js';
import { Credits } from './credits.js';
import type { SessionOptions, SessionOwner, SessionWire } from './face.js';
import { FLAG_CLOSED, HEADER_SIZE, TYPE_CREDIT, TYPE_DATA, TYPE_FINISH, TYPE_NEGOTIATE } from './header.js';
import { MessageWriter } from './message-writer.js';
import { readNegotiation } from './negotiation.js';
import { ReceivedStore } from './received-store.js';
import { type Done, SendQueue } from './send-queue.js';
import { UrgentMarks } from './urgent.js';

/** A write of at most this many bytes is gathered rather than made to wait. */
const gatherWriteMax = 4096;
/** Bytes delivered from the store in one turn. */
const deliverMax = 262144;

export class Session {
  readonly #wire: SessionWire;
  readonly #owner: SessionOwner;
  readonly #options: SessionOptions;
  readonly #credits: Credits;
  /** Largest payload we send, in bytes. */
  #payloadMax = 0;
  readonly #writer: MessageWriter;
  #sequenceReceived = 0;
  readonly #queue = new SendQueue();
  readonly #completed: Done[] = [];
  #flushing = false;
  /** The program must not be called any more. */
  #silent = false;
  readonly #store = new ReceivedStore();
  readonly #urgent = new UrgentMarks();
  #reading = false;
  #negotiated = false;
  #shutdownDone: Done | null = null;
  /** The program has ended its sending. */
  #writesEnded = false;
  #finishWanted = false;
  #finishSent = false;
  #finishReceived = false;
  #ended = false;
  #closing = false;
  /** The connection below is gone, or must not be used any more. */
  #dead = false;
  #error = 0;
  bytesReceived = 0;
  bytesSent = 0;

  constructor(wire: SessionWire, owner: SessionOwner, options: SessionOptions) {
    this.#wire = wire;
    this.#owner = owner;
    this.#options = options;
    this.#credits = new Credits(options.offer.postedBuffers);
    this.#writer = new MessageWriter(wire, this.#credits);
  }

  /** Sends the negotiation message; the initiator's first act (WSD-NEG-2). */
  start(): void {
    this.#writer.negotiation(this.#options.offer);
  }

  get negotiated(): boolean {
    return this.#negotiated;
  }

  /** Messages that may be sent. */
  get credits(): number {
    return this.#credits.available;
  }

  /** The program has closed, and what it wrote is still being sent. */
  get closing(): boolean {
    return this.#closing;
  }

  /** Bytes of the program that wait in its own memory. */
  get writeQueueSize(): number {
    return this.#queue.borrowedBytes;
  }

  /** True if bytes wait to be sent that the program counts as written. */
  get hasUnsent(): boolean {
    return !this.#dead && (!this.#queue.isEmpty || (this.#writesEnded && !this.#finishSent));
  }

  // ---- sending

  write(chunk: Uint8Array, done: Done): boolean {
    if (!this.#writable(done)) return false;
    const length = chunk.length;
    if (length === 0) return true;
    if (!this.#queue.isEmpty) return this.#writeLater(chunk, 0, done);
    const payloadMax = this.#payloadMax;
    if (length <= payloadMax) {
      if (!this.#credits.forData) return this.#writeLater(chunk, 0, done);
      const buffer = this.#writer.begin(TYPE_DATA, length);
      if (buffer === null) return this.#failWithConnection(chunk, 0, done);
      buffer.buf.bytes.set(chunk, buffer.offset + HEADER_SIZE);
      this.#wire.send(HEADER_SIZE + length);
      this.bytesSent += length;
      return true;
    }
    let from = 0;
    while (from < length && this.#credits.forData) {
      const n = Math.min(length - from, payloadMax);
      const buffer = this.#writer.begin(TYPE_DATA, n);
      if (buffer === null) return this.#failWithConnection(chunk, from, done);
      buffer.buf.bytes.set(chunk.subarray(from, from + n), buffer.offset + HEADER_SIZE);
      this.#wire.send(HEADER_SIZE + n);
      this.bytesSent += n;
      from += n;
    }
    return from === length ? true : this.#writeLater(chunk, from, done);
  }

  writev(chunks: readonly Uint8Array[], done: Done): boolean {
    if (chunks.length === 1) return this.write(chunks[0], done);
    if (!this.#writable(done)) return false;
    const sent = this.#queue.isEmpty && this.#credits.forData ? this.#writer.gathered(chunks, this.#payloadMax) : 0;
    this.bytesSent += sent;
    if (sent > 0) return true;
    let pushed = false;
    for (const chunk of chunks) {
      if (chunk.length === 0) continue;
      if (chunk.length <= gatherWriteMax && this.#queue.bytes + chunk.length <= this.#options.gatherMax) {
        this.#queue.append(chunk, this.#payloadMax);
      } else {
        this.#queue.push(chunk, 0, null);
        pushed = true;
      }
    }
    this.#flush();
    if (this.#dead) return this.#failLater(done);
    if (!pushed || this.#queue.borrowedBytes === 0) return true;
    this.#queue.push(chunks[0], chunks[0].length, done);
    this.#owner.onWriteWaiting();
    return false;
  }

  /** Writes at most URGENT_MAX bytes, of which the last is urgent; they keep their place in the stream. */
  writeUrgent(chunk: Uint8Array, done: Done): boolean {
    if (!this.#writable(done)) return false;
    this.#urgent.set(this.bytesSent + this.#queue.bytes + chunk.length);
    if (!this.#queue.isEmpty) return this.#writeLater(chunk, 0, done);
    this.#queue.append(chunk, this.#payloadMax);
    this.#flush();
    return true;
  }

  #writable(done: Done): boolean {
    if (this.#dead || this.#closing || this.#writesEnded) return this.#failLater(done);
    return true;
  }

  #writeLater(chunk: Uint8Array, start: number, done: Done): boolean {
    const left = chunk.length - start;
    const fits = left <= gatherWriteMax && this.#queue.bytes + left <= this.#options.gatherMax;
    if (fits && this.#queue.borrowedBytes === 0) {
      this.#queue.append(start === 0 ? chunk : chunk.subarray(start), this.#payloadMax);
      return true;
    }
    this.#queue.push(chunk, start, done);
    this.#owner.onWriteWaiting();
    return false;
  }

  /** The connection is lost, or there is no memory for the message (WSD-XFR-25): `lost` follows, with the error. */
  #failWithConnection(chunk: Uint8Array, start: number, done: Done): boolean {
    this.#queue.push(chunk, start, done);
    return false;
  }

  #failLater(done: Done): boolean {
    this.#owner.defer(done, this.#writeError());
    return false;
  }

  #writeError(): number {
    if (this.#closing) return WSA_OPERATION_ABORTED;
    return this.#dead && !this.#finishReceived ? this.#error || WSAECONNRESET : WSAESHUTDOWN;
  }

  /** Nothing more is written from now on; `shutdown` follows. */
  endWrites(): void {
    this.#writesEnded = true;
  }

  /** `done` is called, in a later turn, once the end of sending is on the wire. */
  shutdown(done: Done): void {
    if (this.#dead) return this.#owner.defer(done, WSAENOTCONN);
    if (this.#closing) return this.#owner.defer(done, WSA_OPERATION_ABORTED);
    if (this.#finishWanted) return this.#owner.defer(done, WSAESHUTDOWN);
    this.#writesEnded = true;
    this.#finishWanted = true;
    this.#shutdownDone = done;
    this.#flush();
  }

  /** Counts waiting writes as taken by copying them, within `acceptMax`: called after a while without progress. */
  acceptWaiting(): void {
    if (this.#dead) return;
    this.#queue.adopt(this.#options.acceptMax, this.#payloadMax, this.#completed);
    this.#complete(0);
  }

  #flush(): void {
    if (this.#flushing || !this.#negotiated) return;
    this.#flushing = true;
    try {
      const queue = this.#queue;
      while (!queue.isEmpty && this.#credits.forData && !this.#dead) {
        const size = this.#urgent.limit(this.bytesSent, Math.min(queue.bytes, this.#payloadMax));
        if (size > 0) {
          const buffer = this.#writer.begin(TYPE_DATA, size);
          if (buffer === null) return;
          queue.moveTo(buffer.buf.bytes, buffer.offset + HEADER_SIZE, size, this.#completed);
          if (this.#urgent.isAt(this.bytesSent + size)) this.#writer.markUrgent(buffer);
          this.#wire.send(HEADER_SIZE + size);
          this.bytesSent += size;
        }
        if (queue.bytes === 0 && !queue.isEmpty) for (const done of queue.clear()) this.#completed.push(done);
        this.#complete(0);
      }
      if (this.#finishWanted && !this.#finishSent && queue.isEmpty && this.#credits.forControl && !this.#dead) {
        this.#finishSent = true;
        this.#writer.finish(this.#closing ? this.#sequenceReceived : null);
        this.#shutdownEnds(0);
        this.#checkFinished();
      }
    } finally {
      this.#flushing = false;
    }
  }

  #complete(error: number): void {
    const completed = this.#completed;
    if (this.#silent) completed.length = 0;
    while (completed.length > 0) completed.shift()!(error);
  }

  #returnCredits(): void {
    if (!this.#dead && this.#negotiated && this.#credits.shouldReturn) this.#writer.control(TYPE_CREDIT);
  }

  // ---- receiving

  /** One message, in the posted buffer it has filled: `length` bytes at the buffer's offset. */
  receive(buffer: WSABUF, length: number): void {
    if (this.#dead) return;
    const words = buffer.buf.words;
    const i = buffer.offset >> 2;
    if (length < HEADER_SIZE) return this.#violate('message without a header');
    const word0 = words[i];
    const payload = words[i + 1];
    if (payload !== length - HEADER_SIZE) return this.#violate('length of the payload');
    this.#sequenceReceived = (this.#sequenceReceived + 1) | 0;
    if (words[i + 2] !== this.#sequenceReceived) return this.#violate('sequence number');
    // Buffers are posted again at once, so only this bounds what a peer can make us store (WSD-FLW-2, WSD-FLW-9).
    if (!this.#credits.peerMaySend) return this.#violate('message without credit');
    const credits = word0 >>> 16;
    if (credits !== 0 && !this.#credits.give(credits)) return this.#violate('credits');
    const type = word0 & 0xff;
    if (type === TYPE_DATA) this.#receiveData(buffer, payload, word0);
    else if (type === TYPE_CREDIT || type === TYPE_FINISH) this.#receiveControl(type, buffer, payload);
    else if (type === TYPE_NEGOTIATE) this.#receiveNegotiation(buffer, payload);
    else this.#violate('message type');
  }

  #receiveData(buffer: WSABUF, length: number, word0: number): void {
    if (!this.#negotiated || this.#finishReceived || length === 0) return this.#violate('data out of place');
    if (this.#closing) {
      // TCP answers data for a closed socket with a reset.
      this.#abort();
      return;
    }
    let chunk: Buffer;
    const at = buffer.offset + HEADER_SIZE;
    if (length <= this.#options.copyMax) {
      chunk = copyOut(buffer.buf, at, length);
    } else {
      const bytes = buffer.buf.bytes;
      chunk = Buffer.from(bytes.buffer as ArrayBuffer, bytes.byteOffset + at, length);
      // The buffer has to be posted again whatever happens (WSD-NEG-7), so what stays in it is copied.
      if (!this.#wire.replaceMemory(buffer)) chunk = Buffer.from(chunk);
      if (this.#credits.posted < this.#options.offer.postedBuffersMax) this.#postMore();
    }
    this.#wire.repost(buffer);
    this.bytesReceived += length;
    this.#urgent.arrive(chunk, word0);
    if (this.#reading && this.#store.isEmpty) {
      this.#credits.oweData();
      this.#returnCredits();
      this.#urgent.give(chunk, this.#owner);
    } else {
      this.#credits.hold();
      this.#store.push(chunk);
      this.#returnCredits();
    }
    if (!this.#queue.isEmpty || this.#finishWanted) this.#flush();
  }

  /** The first large payload shows that the connection carries more than small messages: it gets all its buffers. */
  #postMore(): void {
    this.#credits.postMore(this.#wire.postMore(this.#options.offer.postedBuffersMax - this.#credits.posted));
  }

  #receiveControl(type: number, buffer: WSABUF, length: number): void {
    if (!this.#negotiated || length !== 0 || (type === TYPE_FINISH && this.#finishReceived)) {
      return this.#violate('control message out of place');
    }
    const i = buffer.offset >> 2;
    const closed = type === TYPE_FINISH && (buffer.buf.words[i] & FLAG_CLOSED) !== 0;
    const taken = buffer.buf.words[i + 3];
    this.#wire.repost(buffer);
    this.#credits.oweControl();
    if (closed && this.#writer.hasDataAfter(taken)) {
      // The peer has closed with bytes of ours unread, or on the way to it: as with TCP, that is a reset and no end.
      this.lost(WSAECONNRESET);
      return this.#owner.onFinished('reset-by-peer');
    }
    if (type === TYPE_FINISH) this.#finishReceived = true;
    this.#flush();
    this.#returnCredits();
    // Also if the flush has sent our own end and with it finished the session: the program is still to be told.
    if (type === TYPE_FINISH) {
      this.#deliverEnd();
      this.#checkFinished();
    }
  }

  #receiveNegotiation(buffer: WSABUF, length: number): void {
    const offer = this.#negotiated ? null : readNegotiation(buffer.buf.words, buffer.offset + HEADER_SIZE, length);
    if (offer === null) return this.#violate('negotiation');
    this.#payloadMax = Math.min(offer.payloadSize, this.#options.offer.payloadSize);
    this.#credits.begin(offer.postedBuffers, offer.postedBuffersMax);
    this.#wire.repost(buffer);
    // The reply takes one of the initiator's buffers, so its credit is owed.
    if (this.#options.initiator) this.#credits.oweControl();
    else this.#writer.negotiation(this.#options.offer);
    this.#negotiated = true;
    this.#owner.onNegotiated();
  }

  readStart(): void {
    if (this.#reading) return;
    this.#reading = true;
    if (!this.#store.isEmpty || ((this.#finishReceived || this.#error !== 0) && !this.#ended)) {
      this.#owner.onDeliverable();
    }
  }

  readStop(): void {
    this.#reading = false;
  }

  /** Delivers what is stored, as far as the program reads and up to 256 KiB; asks again if more is left. */
  deliverStored(): void {
    // A handler of the program may throw; what is left must still come.
    let thrown = true;
    try {
      this.#deliverSome();
      thrown = false;
    } finally {
      if (thrown && this.#reading && !this.#store.isEmpty) this.#owner.onDeliverable();
    }
    if (!this.#dead) this.#flush();
    this.#deliverEnd();
  }

  #deliverSome(): void {
    let budget = deliverMax;
    while (this.#reading && !this.#store.isEmpty) {
      if (budget <= 0) {
        this.#owner.onDeliverable();
        break;
      }
      const chunk = this.#store.shift();
      budget -= chunk.length;
      this.#credits.release();
      this.#returnCredits();
      this.#urgent.give(chunk, this.#owner);
    }
  }

  #deliverEnd(): void {
    if (this.#ended || this.#closing || !this.#reading || !this.#store.isEmpty) return;
    if (this.#finishReceived) {
      this.#ended = true;
      this.#owner.onEnd();
    } else if (this.#error !== 0) {
      this.#ended = true;
      this.#owner.onError(this.#error);
    }
  }

  // ---- ending

  /**
   * The program closes: unread bytes make it a reset, else what is written is still sent and the peer's end awaited.
   * `onFinished` tells when the companion can go.
   */
  close(): void {
    if (this.#closing) return;
    this.#closing = true;
    const unread = !this.#store.isEmpty;
    this.#store.clear();
    this.#reading = false;
    if (this.#dead) return;
    if (unread || !this.#negotiated) {
      this.#abort();
      return;
    }
    // Bytes that still lie in the program's memory may change once it is told that its write was cancelled.
    this.#queue.adopt(Number.POSITIVE_INFINITY, this.#payloadMax, this.#completed);
    this.#complete(0);
    this.#writesEnded = true;
    this.#finishWanted = true;
    this.#flush();
  }

  /**
   * The process ends: what the program has written is still to be sent, but the program is told nothing more. It may be in
   * the middle of a call of ours, which never goes on. `rest` comes after everything written so far.
   */
  endWithProcess(rest: readonly Uint8Array[]): void {
    this.#silent = true;
    this.#flushing = false;
    if (rest.length > 0) this.writev(rest, () => {});
    if (this.#closing) this.#flush();
    else this.close();
  }

  /** Ends at once: nothing more is sent, and the peer sees a reset. */
  reset(): void {
    this.#closing = true;
    this.#store.clear();
    this.#reading = false;
    if (this.#dead) return;
    this.#abort();
  }

  /** The connection below is gone. `wsaError` 0: the peer ended in order, which is an end of data like any other. */
  lost(wsaError: number): void {
    if (this.#dead) return;
    this.#dead = true;
    if (wsaError === 0) this.#finishReceived = true;
    else this.#error = wsaError;
    for (const done of this.#queue.clear()) this.#completed.push(done);
    this.#complete(this.#writeError());
    this.#shutdownEnds(WSAENOTCONN);
    if (this.#closing) return;
    if (!this.#negotiated) {
      this.#ended = true;
      this.#owner.onError(wsaError || WSAECONNRESET);
    } else if (this.#reading) {
      this.#owner.onDeliverable();
    }
  }

  /**
   * The peer's process has ended. As with TCP that is an end of data, unless it leaves bytes of ours unread: then it is a
   * reset. `unconsumed` messages, the last ones sent, never reached it.
   */
  peerDied(unconsumed: number): void {
    const unread = this.#writer.hasDataAfter((this.#writer.sequence - unconsumed) | 0) || !this.#queue.isEmpty;
    this.lost(unread || !this.#negotiated ? WSAECONNRESET : 0);
  }

  /** What waits is lost, and the peer sees a reset. */
  #abort(): void {
    this.#dead = true;
    for (const done of this.#queue.clear()) this.#completed.push(done);
    this.#complete(WSA_OPERATION_ABORTED);
    this.#shutdownEnds(WSA_OPERATION_ABORTED);
    this.#owner.onFinished('reset');
  }

  #shutdownEnds(error: number): void {
    const done = this.#shutdownDone;
    this.#shutdownDone = null;
    if (done !== null) this.#owner.defer(done, error);
  }

  #checkFinished(): void {
    if (!this.#finishSent || !this.#finishReceived || this.#dead) return;
    this.#dead = true;
    this.#owner.onFinished('ended');
  }

  #violate(what: string): void {
    if (!this.#dead) this.#owner.onViolation(what);
  }
}
