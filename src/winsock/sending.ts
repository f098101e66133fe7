/** What a connection sends, in order: the carrier gets one write at a time. */

import { WSAEMSGSIZE, WSAEWOULDBLOCK } from '../spi/index.js';
import { WSAError } from './error.js';
import { checkSignal, type Outcome, Pending } from './pending.js';
import { type Stream, urgentMax } from './stream.js';

/** Gives the next bytes of a long send, which stay as they are until more are asked for; null at its end. */
export type Source = () => Promise<readonly Uint8Array[] | null>;

/** SO_SNDBUF by default: bytes that are taken from a program that does not wait. */
export const sendBufferDefault = 65_536;
const sizeMax = 0x7fffffff;

/** One send. Its parts are given to the carrier one after the other: chunks, the urgent ones, and what the source gives. */
class Sending {
  chunks: readonly Uint8Array[] | null;
  /** At most `urgentMax` bytes, the last of which is urgent. */
  urgent: Uint8Array | null = null;
  source: Source | null = null;
  /** Null: nobody waits, because the socket does not block. */
  pending: Pending<number> | null = null;
  /** Bytes that the carrier has taken. */
  sent = 0;
  /** Bytes that count as buffered. */
  buffered = 0;

  constructor(chunks: readonly Uint8Array[], urgent: boolean) {
    this.chunks = chunks;
    if (!urgent) return;
    const all = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
    const ordinary = Math.max(0, all.length - urgentMax);
    this.chunks = ordinary === 0 ? null : [all.subarray(0, ordinary)];
    this.urgent = all.subarray(ordinary);
  }

  /** The part that the carrier has is taken. */
  advance(): void {
    if (this.chunks !== null) {
      this.sent += sizeOf(this.chunks);
      this.chunks = null;
    } else {
      this.sent += this.urgent?.length ?? 0;
      this.urgent = null;
    }
  }
}

function sizeOf(chunks: readonly Uint8Array[]): number {
  let length = 0;
  for (let i = 0; i < chunks.length; i++) length += chunks[i]!.length;
  return length;
}

/** What sending needs of its connection. */
export interface SendingOwner {
  /** Why the connection is lost; 0 while it is not. */
  readonly error: number;
  lose(wsaError: number): void;
  /** A send that is under way is cancelled: nobody knows how much has left, so the connection is lost (WSD-BLK-7). */
  cancelled(): void;
  /** A send that does not wait would be taken again. */
  writable(): void;
}

export class SendingQueue {
  /** SO_SNDBUF. */
  bufferSize = sendBufferDefault;
  readonly #stream: Stream;
  readonly #owner: SendingOwner;
  readonly #sends: Sending[] = [];
  #buffered = 0;
  #writing = false;
  /** A send has been told WSAEWOULDBLOCK. */
  #refused = false;
  #onDrained: (() => void) | null = null;

  constructor(stream: Stream, owner: SendingOwner) {
    this.#stream = stream;
    this.#owner = owner;
  }

  get isEmpty(): boolean {
    return this.#sends.length === 0;
  }

  get isWritable(): boolean {
    return this.#sends.length === 0 || this.#buffered < this.bufferSize;
  }

  /** The chunks must stay as they are until the send is done, unless it does not wait. */
  send(
    syscall: string,
    chunks: readonly Uint8Array[],
    urgent: boolean,
    nonBlocking: boolean,
    signal: AbortSignal | undefined,
  ): Outcome<number> {
    const length = sizeOf(chunks);
    if (length > sizeMax) throw new WSAError(WSAEMSGSIZE, syscall);
    if (length === 0) return 0;
    if (nonBlocking) {
      if (!this.isWritable) {
        this.#refused = true;
        throw new WSAError(WSAEWOULDBLOCK, syscall);
      }
      // The program may use its buffers again when the call returns.
      const copied = new Sending([Buffer.concat(chunks, length)], urgent);
      copied.buffered = length;
      this.#buffered += length;
      this.#sends.push(copied);
      this.#pump();
      return length;
    }
    checkSignal(syscall, signal);
    const sending = new Sending(chunks, urgent);
    // Most sends are done here, and nobody has to wait for anything.
    const first = this.#sends.length === 0;
    if (first && this.#write(sending)) return length;
    return this.#wait(syscall, sending, signal);
  }

  /** Sends what the source gives, without anything of other sends in between. */
  sendSource(syscall: string, source: Source, signal: AbortSignal | undefined): Pending<number> {
    const sending = new Sending([], false);
    sending.chunks = null;
    sending.source = source;
    const first = this.#sends.length === 0;
    if (first) this.#write(sending);
    return this.#wait(syscall, sending, signal);
  }

  #wait(syscall: string, sending: Sending, signal: AbortSignal | undefined): Pending<number> {
    const pending = new Pending<number>(syscall, signal, () => this.#cancel(sending));
    sending.pending = pending;
    this.#sends.push(sending);
    return pending;
  }

  /** True if the carrier has taken all of it. Else it is under way, and goes on when the carrier says so. */
  #write(sending: Sending): boolean {
    for (;;) {
      const { chunks, urgent } = sending;
      if (chunks === null && urgent === null) {
        if (sending.source === null) return true;
        this.#writing = true;
        this.#askSource(sending, sending.source);
        return false;
      }
      const done = (wsaError: number): void => this.#written(sending, wsaError);
      let taken: boolean;
      if (chunks === null) taken = this.#stream.writeUrgent(urgent!, done);
      else if (chunks.length === 1) taken = this.#stream.write(chunks[0]!, done);
      else taken = this.#stream.writev(chunks, done);
      if (!taken) {
        this.#writing = true;
        return false;
      }
      sending.advance();
    }
  }

  #written(sending: Sending, wsaError: number): void {
    this.#writing = false;
    if (wsaError === 0) {
      sending.advance();
      if (this.#owner.error === 0 && !this.#write(sending)) return;
    }
    this.#complete(sending, wsaError);
    if (wsaError !== 0) this.#owner.lose(wsaError);
    this.#pump();
  }

  #askSource(sending: Sending, source: Source): void {
    const given = (chunks: readonly Uint8Array[] | null): void => {
      sending.chunks = chunks;
      if (chunks === null) sending.source = null;
      this.#writing = false;
      if (this.#owner.error === 0 && !this.#write(sending)) return;
      this.#complete(sending, 0);
      this.#pump();
    };
    source().then(given, (error: unknown) => {
      sending.pending?.fail(error);
      sending.source = null;
      given(null);
    });
  }

  #pump(): void {
    while (!this.#writing && this.#sends.length > 0) {
      const sending = this.#sends[0]!;
      if (this.#write(sending)) this.#complete(sending, 0);
    }
    if (this.#sends.length === 0) this.#drained();
  }

  #complete(sending: Sending, wsaError: number): void {
    if (this.#sends[0] === sending) this.#sends.shift();
    this.#buffered -= sending.buffered;
    // A stream that has been reset may call its last write done.
    const error = this.#owner.error || wsaError;
    if (error === 0) sending.pending?.resolve(sending.sent);
    else sending.pending?.reject(error);
    if (error !== 0 || !this.#refused || !this.isWritable) return;
    this.#refused = false;
    this.#owner.writable();
  }

  /** WSD-BLK-4: what has not been given to the carrier is dropped, and the connection goes on. */
  #cancel(sending: Sending): void {
    const i = this.#sends.indexOf(sending);
    if (i < 0) return;
    if (i > 0) this.#sends.splice(i, 1);
    else this.#owner.cancelled();
  }

  /** The connection is lost. */
  settleLoss(wsaError: number): void {
    // The first may be with the carrier, which tells it itself.
    for (const { pending } of this.#sends.splice(this.#writing ? 1 : 0)) pending?.reject(wsaError);
    if (!this.#writing) this.#drained();
  }

  /** The process ends: what the carrier has not been given yet. */
  unwritten(): readonly Uint8Array[] {
    return this.#sends
      .slice(1)
      .flatMap(({ chunks, urgent }) => [...(chunks ?? []), ...(urgent === null ? [] : [urgent])]);
  }

  #drained(): void {
    const drained = this.#onDrained;
    this.#onDrained = null;
    drained?.();
  }

  /** Calls back when all sends are with the carrier; at once, if they are. */
  whenDrained(callback: () => void): void {
    this.onNextDrain(callback);
    if (this.#sends.length === 0) this.#drained();
  }

  /** Calls back, after earlier ones, the next time that all sends are with the carrier or `drain` says so. */
  onNextDrain(callback: () => void): void {
    const earlier = this.#onDrained;
    this.#onDrained = () => {
      earlier?.();
      callback();
    };
  }

  drain(): void {
    this.#drained();
  }
}
