/**
 * The session protocol between two switches (section 9 of the digest): negotiation, credits, data, half-close.
 *
 * A pure state machine: it has no socket, no clock and no provider, only the functions of {@link SessionWire} and
 * {@link SessionOwner}. Messages arrive through `receive` in posted buffers, one message a buffer, in order.
 */

import { WSA_OPERATION_ABORTED, type WSABUF, WSAECONNRESET, WSAENOTCONN, WSAESHUTDOWN } from '../spi/index.js';
import { copyOut } from './copy-pool.js';
import { Credits } from './credits.js';
import { Delivery } from './delivery.js';
import { Ends } from './ends.js';
import type { SessionOptions, SessionOwner, SessionWire } from './face.js';
import {
  FLAG_CLOSED,
  HEADER_SIZE,
  TYPE_CREDIT,
  TYPE_DATA,
  TYPE_FINISH,
  TYPE_LARGE,
  TYPE_NEGOTIATE,
  TYPE_WRITTEN,
} from './header.js';
import { MessageWriter } from './message-writer.js';
import { restoreParts, type SessionParts, takeParts } from './moving.js';
import { type LargeMethod, largeMethod, readNegotiation } from './negotiation.js';
import { Outgoing } from './outgoing.js';
import type { Done } from './send-queue.js';
import type { SessionState } from './state.js';
import { isSuspension, Suspension } from './suspension.js';
import { UrgentMarks } from './urgent.js';

export class Session {
  readonly #wire: SessionWire;
  readonly #owner: SessionOwner;
  readonly #options: SessionOptions;
  readonly #credits: Credits;
  readonly #writer: MessageWriter;
  #sequenceReceived = 0;
  readonly #outgoing: Outgoing;
  readonly #urgent = new UrgentMarks();
  readonly #delivery: Delivery;
  readonly #suspension: Suspension;
  /** How the peer takes large sends; undefined: not at all. */
  #largeMethod: LargeMethod | undefined;
  #negotiated = false;
  #closing = false;
  /** The connection below is gone, or must not be used any more. */
  #dead = false;
  readonly #ends = new Ends();

  constructor(wire: SessionWire, owner: SessionOwner, options: SessionOptions) {
    this.#wire = wire;
    this.#owner = owner;
    this.#options = options;
    this.#credits = new Credits(options.offer.postedBuffers);
    this.#writer = new MessageWriter(wire, this.#credits);
    this.#outgoing = new Outgoing(wire, owner, options, this.#credits, this.#writer, this.#urgent);
    this.#delivery = new Delivery(owner, this.#credits, this.#writer, this.#urgent);
    this.#suspension = new Suspension(wire, this.#credits, this.#writer, owner, options.initiator);
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

  get bytesReceived(): number {
    return this.#delivery.bytesReceived;
  }

  get bytesSent(): number {
    return this.#outgoing.queue.sent;
  }

  /** The program has closed, and what it wrote is still being sent. */
  get closing(): boolean {
    return this.#closing;
  }

  /** Bytes of the program that wait in its own memory. */
  get writeQueueSize(): number {
    return this.#outgoing.queue.borrowedBytes;
  }

  /** True if bytes wait to be sent that the program counts as written. */
  get hasUnsent(): boolean {
    return !this.#dead && (!this.#outgoing.queue.isEmpty || (this.#ends.writesEnded && !this.#ends.finishSent));
  }

  // ---- sending

  write(chunk: Uint8Array, done: Done): boolean {
    return this.#writable(done) && this.#outgoing.write(chunk, done);
  }

  writev(chunks: readonly Uint8Array[], done: Done): boolean {
    if (!this.#writable(done)) return false;
    if (chunks.length === 1) return this.#outgoing.write(chunks[0], done);
    const taken = this.#outgoing.writev(chunks, done);
    return this.#dead ? this.#failLater(done) : taken;
  }

  /** Writes at most URGENT_MAX bytes, of which the last is urgent; they keep their place in the stream. */
  writeUrgent(chunk: Uint8Array, done: Done): boolean {
    return this.#writable(done) && this.#outgoing.writeUrgent(chunk, done);
  }

  #writable(done: Done): boolean {
    if (this.#dead || this.#closing || this.#ends.writesEnded) return this.#failLater(done);
    return true;
  }

  #failLater(done: Done): boolean {
    this.#owner.defer(done, this.#writeError());
    return false;
  }

  #writeError(): number {
    if (this.#closing) return WSA_OPERATION_ABORTED;
    return this.#dead && !this.#ends.finishReceived ? this.#ends.error || WSAECONNRESET : WSAESHUTDOWN;
  }

  /** Nothing more is written from now on; `shutdown` follows. */
  endWrites(): void {
    this.#ends.writesEnded = true;
  }

  /** `done` is called, in a later turn, once the end of sending is on the wire. */
  shutdown(done: Done): void {
    if (this.#dead) return this.#owner.defer(done, this.#ends.moves ? 0 : WSAENOTCONN);
    if (this.#closing) return this.#owner.defer(done, WSA_OPERATION_ABORTED);
    if (this.#ends.finishWanted) return this.#owner.defer(done, WSAESHUTDOWN);
    this.#ends.writesEnded = true;
    this.#ends.finishWanted = true;
    this.#ends.shutdownDone = done;
    this.#flush();
  }

  /** Counts waiting writes as taken by copying them, within `acceptMax`: called after a while without progress. */
  acceptWaiting(): void {
    if (!this.#dead) this.#outgoing.adopt(this.#options.acceptMax);
  }

  #flush(): void {
    if (!this.#negotiated) return;
    if (!this.#dead) this.#suspension.advance();
    if (!this.#outgoing.pump()) return;
    // A transfer that has just come to its end may be all that a suspension has waited for.
    if (!this.#dead) this.#suspension.advance();
    if (!this.#ends.isFinishDue || this.#dead) return;
    if (!this.#outgoing.queue.isEmpty || !this.#credits.forControl) return;
    this.#ends.finishSent = true;
    this.#writer.finish(this.#closing ? this.#sequenceReceived : null);
    this.#shutdownEnds(0);
    this.#checkFinished();
  }

  // ---- large transfers

  /** Blocks of more bytes go by RDMA, if the peer takes them so. */
  set largeThreshold(bytes: number) {
    if (this.#largeMethod === undefined || bytes === Number.POSITIVE_INFINITY) return;
    const large = this.#outgoing.makeLarge(this.#delivery, this.#largeMethod);
    large.threshold = bytes;
  }

  #receiveLarge(type: number, buffer: WSABUF, payload: number): void {
    if (!this.#negotiated || this.#largeMethod === undefined) return this.#violate('large transfer out of place');
    const large = this.#outgoing.makeLarge(this.#delivery, this.#largeMethod);
    const room = type !== TYPE_LARGE ? 0 : this.#ends.finishReceived ? -1 : large.begin(buffer, payload);
    if (room < 0 || (room === 0 && !large.answered(type, buffer, payload))) return this.#violate('large transfer');
    // A handler of the program may throw; the transfer must still go on.
    let thrown = true;
    try {
      if (room > 0) {
        this.#receiveData(buffer, room, payload - room, 0);
      } else {
        this.#wire.repost(buffer);
        this.#credits.oweControl();
        this.#flush();
        this.#writer.returnCredits();
      }
      thrown = false;
    } finally {
      if (thrown) this.#owner.onDeliverable();
    }
    large.pump();
  }

  /** What RDMA had pending has come to its end: the bytes that were read, or null for a write. */
  transferred(bytes: Buffer | null): void {
    if (this.#dead) return;
    this.#outgoing.large?.transferred(bytes);
    this.#flush();
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
    if (type === TYPE_DATA) this.#receiveData(buffer, 0, payload, word0);
    else if (type === TYPE_CREDIT || type === TYPE_FINISH) this.#receiveControl(type, buffer, payload);
    else if (type === TYPE_NEGOTIATE) this.#receiveNegotiation(buffer, payload);
    else if (type >= TYPE_LARGE && type <= TYPE_WRITTEN) this.#receiveLarge(type, buffer, payload);
    else if (isSuspension(type)) this.#receiveControl(type, buffer, payload);
    else this.#violate('message type');
  }

  /** `length` bytes of data, `room` bytes behind the fixed header. */
  #receiveData(buffer: WSABUF, room: number, length: number, word0: number): void {
    if (!this.#negotiated || this.#ends.finishReceived || length === 0) return this.#violate('data out of place');
    if (this.#closing) {
      // TCP answers data for a closed socket with a reset.
      this.#abort();
      return;
    }
    let chunk: Buffer;
    const at = buffer.offset + HEADER_SIZE + room;
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
    this.#urgent.arrive(chunk, word0);
    this.#delivery.arrive(chunk);
    if (!this.#outgoing.queue.isEmpty || this.#ends.finishWanted || this.#outgoing.large !== null) this.#flush();
  }

  /** The first large payload shows that the connection carries more than small messages: it gets all its buffers. */
  #postMore(): void {
    this.#credits.postMore(this.#wire.postMore(this.#options.offer.postedBuffersMax - this.#credits.posted));
  }

  #receiveControl(type: number, buffer: WSABUF, length: number): void {
    if (!this.#negotiated || length !== 0 || (type === TYPE_FINISH && !this.#mayFinish)) {
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
    if (type === TYPE_FINISH) this.#ends.finishReceived = true;
    if (isSuspension(type) && !this.#suspension.receive(type)) return this.#violate('suspension out of place');
    this.#flush();
    this.#writer.returnCredits();
    // Also if the flush has sent our own end and with it finished the session: the program is still to be told.
    if (type === TYPE_FINISH) {
      this.#deliverEnd();
      this.#checkFinished();
    }
  }

  /** The peer may end its sending: it has not, and nothing large is under way from it. */
  get #mayFinish(): boolean {
    return !this.#ends.finishReceived && this.#outgoing.large?.isReceiving !== true;
  }

  #receiveNegotiation(buffer: WSABUF, length: number): void {
    const offer = this.#negotiated ? null : readNegotiation(buffer.buf.words, buffer.offset + HEADER_SIZE, length);
    if (offer === null) return this.#violate('negotiation');
    this.#outgoing.payloadMax = Math.min(offer.payloadSize, this.#options.offer.payloadSize);
    this.#largeMethod = largeMethod(this.#options.offer, offer);
    // One more for answers to its large sends.
    this.#credits.begin(offer.postedBuffers, offer.postedBuffersMax + (this.#largeMethod === undefined ? 0 : 1));
    this.#wire.repost(buffer);
    // The reply takes one of the initiator's buffers, so its credit is owed.
    if (this.#options.initiator) this.#credits.oweControl();
    else this.#writer.negotiation(this.#options.offer);
    this.#negotiated = true;
    this.largeThreshold = this.#options.largeThreshold ?? Number.POSITIVE_INFINITY;
    this.#owner.onNegotiated();
  }

  readStart(): void {
    const delivery = this.#delivery;
    if (delivery.reading) return;
    delivery.reading = true;
    if (!delivery.isEmpty || this.#ends.isUntold || this.#outgoing.large?.isReceiving === true)
      this.#owner.onDeliverable();
  }

  readStop(): void {
    this.#delivery.reading = false;
  }

  /** Delivers what is stored, as far as the program reads; asks again if more is left. */
  deliverStored(): void {
    this.#delivery.deliver();
    this.#outgoing.large?.pump();
    if (!this.#dead) this.#flush();
    this.#deliverEnd();
  }

  #deliverEnd(): void {
    if (this.#ends.ended || this.#closing || !this.#delivery.reading || !this.#delivery.isEmpty) return;
    if (this.#ends.finishReceived) {
      this.#ends.ended = true;
      this.#owner.onEnd();
    } else if (this.#ends.error !== 0) {
      this.#ends.ended = true;
      this.#owner.onError(this.#ends.error);
    }
  }

  // ---- moving to another process

  /** `done` is called, from inside whatever is going on, once the wire is silent in both directions, or the connection gone. */
  suspend(done: () => void): void {
    this.#suspension.suspend(done, this.#dead);
  }

  /** After `suspend`, in the same process or, with the state from there, in another: both sides send again. */
  resume(): void {
    this.#suspension.resume(this.#dead);
    this.#flush();
  }

  #parts(): SessionParts {
    const [credits, writer, { queue }, delivery] = [this.#credits, this.#writer, this.#outgoing, this.#delivery];
    return {
      credits,
      writer,
      queue,
      delivery,
      urgent: this.#urgent,
      suspension: this.#suspension,
      ends: this.#ends,
    };
  }

  /** What goes on in another process. Writes that wait are done, and nothing is left here. */
  takeState(): SessionState {
    this.#shutdownEnds(0);
    const state = takeParts(this.#parts(), {
      payloadMax: this.#outgoing.payloadMax,
      largeMethod: this.#largeMethod ?? null,
      sequenceReceived: this.#sequenceReceived,
      dead: this.#dead,
    });
    this.#outgoing.fail(0);
    this.#die();
    this.#closing = true;
    return state;
  }

  /** Before anything else is done with the session. */
  restore(state: SessionState): void {
    restoreParts(this.#parts(), state);
    this.#negotiated = true;
    this.#outgoing.payloadMax = state.payloadMax;
    this.#largeMethod = state.largeMethod ?? undefined;
    this.#sequenceReceived = state.sequenceReceived;
    this.#dead = this.#outgoing.stopped = state.dead;
    if (this.#options.largeThreshold !== undefined && !state.dead) this.largeThreshold = this.#options.largeThreshold;
  }

  // ---- ending

  /**
   * The program closes: unread bytes make it a reset, else what is written is still sent and the peer's end awaited.
   * `onFinished` tells when the companion can go.
   */
  close(): void {
    if (this.#closing) return;
    this.#closing = true;
    const unread = !this.#delivery.isEmpty || this.#outgoing.large?.isReceiving === true;
    // What the peer reads from the program's memory cannot be kept for it: the program may use its memory again.
    const exposed = this.#outgoing.isExposed;
    this.#delivery.close();
    if (this.#dead) return;
    if (unread || exposed || !this.#negotiated) {
      this.#abort();
      return;
    }
    // Bytes that still lie in the program's memory may change once it is told that its write was cancelled.
    this.#outgoing.adopt(Number.POSITIVE_INFINITY);
    this.#ends.writesEnded = true;
    this.#ends.finishWanted = true;
    this.#flush();
  }

  /**
   * The process ends: what the program has written is still to be sent, but the program is told nothing more. It may be in
   * the middle of a call of ours, which never goes on. `rest` comes after everything written so far.
   */
  endWithProcess(rest: readonly Uint8Array[]): void {
    this.#outgoing.silence();
    if (rest.length > 0) this.writev(rest, () => {});
    if (this.#closing) this.#flush();
    else this.close();
  }

  /** Ends at once: nothing more is sent, and the peer sees a reset. */
  reset(): void {
    this.#closing = true;
    this.#delivery.close();
    if (this.#dead) return;
    this.#abort();
  }

  /** The connection below is gone. `wsaError` 0: the peer ended in order, which is an end of data like any other. */
  lost(wsaError: number): void {
    if (this.#dead) return;
    this.#die();
    if (wsaError === 0) this.#ends.finishReceived = true;
    else this.#ends.error = wsaError;
    this.#outgoing.fail(this.#writeError());
    this.#shutdownEnds(WSAENOTCONN);
    if (this.#closing) return;
    if (!this.#negotiated) {
      this.#ends.ended = true;
      this.#owner.onError(wsaError || WSAECONNRESET);
    } else if (this.#delivery.reading) {
      this.#owner.onDeliverable();
    }
  }

  /**
   * The peer's process has ended. As with TCP that is an end of data, unless it leaves bytes of ours unread: then it is a
   * reset. `unconsumed` messages, the last ones sent, never reached it.
   */
  peerDied(unconsumed: number): void {
    const unread = this.#writer.hasDataAfter((this.#writer.sequence - unconsumed) | 0) || !this.#outgoing.queue.isEmpty;
    this.lost(unread || !this.#negotiated ? WSAECONNRESET : 0);
  }

  /** What waits is lost, and the peer sees a reset. */
  #abort(): void {
    this.#die();
    this.#outgoing.fail(WSA_OPERATION_ABORTED);
    this.#shutdownEnds(WSA_OPERATION_ABORTED);
    this.#owner.onFinished('reset');
  }

  #die(): void {
    this.#dead = true;
    this.#outgoing.stopped = true;
    this.#outgoing.large?.abandon();
    this.#suspension.died();
  }

  #shutdownEnds(error: number): void {
    const done = this.#ends.shutdownDone;
    this.#ends.shutdownDone = null;
    if (done !== null) this.#owner.defer(done, error);
  }

  #checkFinished(): void {
    if (!this.#ends.areBothFinished || this.#dead) return;
    this.#die();
    this.#owner.onFinished('ended');
  }

  #violate(what: string): void {
    if (!this.#dead) this.#owner.onViolation(what);
  }
}
