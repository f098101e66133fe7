/**
 * Sending and receiving on an established connection. Waiting and cancelling happen here and nowhere below (WSD-BLK-1): the
 * carrier is only told to start and stop reading, and gets one write at a time.
 */

import { WSA_OPERATION_ABORTED, WSAECONNABORTED, WSAEMSGSIZE, WSAESHUTDOWN, WSAEWOULDBLOCK } from '../spi/index.js';
import type { ConnectionEvents, Scheduler } from '../switch/index.js';
import { WSAError } from './error.js';
import { checkSignal, Pending } from './pending.js';
import type { Stream } from './stream.js';

/** Bytes that are taken from the carrier before anybody asks for them: what it brings in one turn. Beyond it the peer is held back. */
const storeMax = 262_144;

interface Receiver {
  readonly buffer: Uint8Array;
  readonly pending: Pending<number>;
}

interface Sending {
  readonly chunk: Uint8Array;
  /** Null: nobody waits, because the socket does not block. */
  readonly pending: Pending<number> | null;
}

/** A failed or ended connection fails calls with this. */
function rejected(syscall: string, wsaError: number): Promise<never> {
  return Promise.reject(new WSAError(wsaError, syscall));
}

export class Transfer implements ConnectionEvents {
  /** Why the connection is lost; 0 while it is not. */
  error = 0;
  readonly #stream: Stream;
  readonly #stored: Buffer[] = [];
  #storedBytes = 0;
  readonly #receivers: Receiver[] = [];
  readonly #sends: Sending[] = [];
  #reading = false;
  #writing = false;
  #ended = false;
  #receiveShut = false;
  #sendShut = false;
  /** Called when everything is sent. */
  #onDrained: (() => void) | null = null;
  #shutdownDone = false;
  #closed = false;

  constructor(stream: Stream) {
    this.#stream = stream;
    stream.events = this;
  }

  get provider(): string {
    return this.#stream.provider;
  }

  /** Bytes that a recv would get at once. */
  get available(): number {
    return this.#storedBytes;
  }

  /** The connection belongs to a socket of the program now, so what arrives is taken. */
  begin(): void {
    this.#readOn();
  }

  #readOn(): void {
    if (this.#reading || this.#ended || this.error !== 0 || this.#closed) return;
    this.#reading = true;
    this.#stream.readStart();
  }

  // ---- receiving

  recv(syscall: string, buffer: Uint8Array, nonBlocking: boolean, signal?: AbortSignal): Promise<number> {
    if (this.#receiveShut) return rejected(syscall, WSAESHUTDOWN);
    if (this.#receivers.length === 0) {
      if (this.#storedBytes > 0) return Promise.resolve(this.#take(buffer));
      if (this.error !== 0) return rejected(syscall, this.error);
      if (this.#ended) return Promise.resolve(0);
    }
    if (nonBlocking) return rejected(syscall, WSAEWOULDBLOCK);
    checkSignal(syscall, signal);
    const pending = new Pending<number>(syscall, signal, () => {
      const i = this.#receivers.indexOf(receiver);
      if (i >= 0) this.#receivers.splice(i, 1);
    });
    const receiver = { buffer, pending };
    this.#receivers.push(receiver);
    this.#readOn();
    return pending.promise;
  }

  /** As much as there is, and fits. A buffer of no bytes only waits for data. */
  #take(buffer: Uint8Array): number {
    let taken = 0;
    while (this.#stored.length > 0 && taken < buffer.length) {
      const chunk = this.#stored[0]!;
      const length = Math.min(chunk.length, buffer.length - taken);
      buffer.set(length === chunk.length ? chunk : chunk.subarray(0, length), taken);
      taken += length;
      if (length === chunk.length) this.#stored.shift();
      else this.#stored[0] = chunk.subarray(length);
    }
    this.#storedBytes -= taken;
    if (this.#storedBytes <= storeMax / 2) this.#readOn();
    return taken;
  }

  onData(chunk: Buffer): void {
    if (this.#closed || this.error !== 0) return;
    if (this.#receiveShut) {
      // Nobody will ever take it: the peer learns it, as from TCP/IP on Windows.
      this.#abort(WSAECONNABORTED);
      return;
    }
    this.#stored.push(chunk);
    this.#storedBytes += chunk.length;
    while (this.#receivers.length > 0 && this.#storedBytes > 0) {
      const { buffer, pending } = this.#receivers.shift()!;
      pending.resolve(this.#take(buffer));
    }
    if (this.#storedBytes >= storeMax && this.#reading) {
      this.#reading = false;
      this.#stream.readStop();
    }
  }

  onEnd(): void {
    this.#ended = true;
    for (const { pending } of this.#receivers.splice(0)) pending.resolve(0);
  }

  onError(wsaError: number): void {
    this.#lose(wsaError);
  }

  /** The process ends: what the carrier has not been given yet. */
  unwritten(): readonly Uint8Array[] {
    return this.#sends.slice(1).map(({ chunk }) => chunk);
  }

  #lose(wsaError: number): void {
    if (this.error !== 0) return;
    this.error = wsaError;
    this.#settleLoss(wsaError);
  }

  #settleLoss(wsaError: number): void {
    for (const { pending } of this.#receivers.splice(0)) {
      if (this.#ended) pending.resolve(0);
      else pending.reject(wsaError);
    }
    // The first may be with the carrier, which tells it itself.
    for (const { pending } of this.#sends.splice(this.#writing ? 1 : 0)) pending?.reject(wsaError);
    if (!this.#writing) this.#drained();
  }

  /** Ends the connection at once, and everything that waits on it. */
  #abort(wsaError: number): void {
    const first = this.error === 0;
    // Before the carrier says what resetting means to it.
    if (first) this.error = wsaError;
    this.#stream.reset();
    if (first) this.#settleLoss(wsaError);
  }

  // ---- sending

  send(syscall: string, chunk: Uint8Array, nonBlocking: boolean, signal?: AbortSignal): Promise<number> {
    if (this.#sendShut) return rejected(syscall, WSAESHUTDOWN);
    if (this.error !== 0) return rejected(syscall, this.error);
    if (chunk.length > 0x7fffffff) return rejected(syscall, WSAEMSGSIZE);
    if (chunk.length === 0) return Promise.resolve(0);
    if (nonBlocking) {
      if (this.#sends.length > 0) return rejected(syscall, WSAEWOULDBLOCK);
      // The program may use its buffer again when the call returns.
      this.#sends.push({ chunk: Buffer.from(chunk), pending: null });
      this.#pump();
      return Promise.resolve(chunk.length);
    }
    checkSignal(syscall, signal);
    const pending = new Pending<number>(syscall, signal, () => this.#cancelSend(sending));
    const sending: Sending = { chunk, pending };
    this.#sends.push(sending);
    this.#pump();
    return pending.promise;
  }

  #pump(): void {
    while (!this.#writing && this.#sends.length > 0) {
      const sending = this.#sends[0]!;
      this.#writing = true;
      const taken = this.#stream.write(sending.chunk, (wsaError) => this.#written(sending, wsaError));
      if (taken) this.#sent(sending, 0);
    }
    if (this.#sends.length === 0) this.#drained();
  }

  #written(sending: Sending, wsaError: number): void {
    this.#sent(sending, wsaError);
    if (wsaError !== 0) this.#lose(wsaError);
    this.#pump();
  }

  #sent(sending: Sending, wsaError: number): void {
    this.#writing = false;
    if (this.#sends[0] === sending) this.#sends.shift();
    // A stream that has been reset may call its last write done.
    const error = this.error || wsaError;
    if (error === 0) sending.pending?.resolve(sending.chunk.length);
    else sending.pending?.reject(error);
  }

  /**
   * WSD-BLK-4: what has not been given to the carrier is dropped, and the connection goes on. Of a send that is under way
   * nobody knows how much has left, so the connection is lost (WSD-BLK-7).
   */
  #cancelSend(sending: Sending): void {
    const i = this.#sends.indexOf(sending);
    if (i < 0) return;
    if (i > 0) this.#sends.splice(i, 1);
    else this.#abort(WSAECONNABORTED);
  }

  #drained(): void {
    const drained = this.#onDrained;
    this.#onDrained = null;
    drained?.();
  }

  /** Calls back when all sends are with the carrier; at once, if they are. */
  #whenDrained(callback: () => void): void {
    const earlier = this.#onDrained;
    this.#onDrained = () => {
      earlier?.();
      callback();
    };
    if (this.#sends.length === 0) this.#drained();
  }

  // ---- ending

  /** Ends the sending direction after everything sent so far. */
  shutdownSend(): void {
    if (this.#sendShut || this.error !== 0) return;
    this.#sendShut = true;
    this.#whenDrained(() => {
      if (this.error !== 0) return;
      this.#stream.shutdown((wsaError) => {
        this.#shutdownDone = true;
        if (wsaError !== 0) this.#lose(wsaError);
        this.#drained();
      });
    });
  }

  /** Nothing more is received; what is there, or still comes, makes it a reset. */
  shutdownReceive(): void {
    this.#receiveShut = true;
    for (const { pending } of this.#receivers.splice(0)) pending.reject(WSAESHUTDOWN);
    if (this.#storedBytes > 0) this.#abort(WSAECONNABORTED);
    else this.#readOn();
  }

  /** The default of closesocket: everything sent is still delivered, in the background (WSD-CLS-5). */
  close(): void {
    this.#closed = true;
    for (const { pending } of this.#receivers.splice(0)) pending.reject(WSA_OPERATION_ABORTED);
    if (this.#storedBytes > 0) {
      this.#abort(WSAECONNABORTED);
    } else {
      this.#sendShut = true;
      this.#whenDrained(() => this.#stream.close());
    }
  }

  /** SO_LINGER with a time: waits until everything is sent, or the time is over and the connection is ended abortively. */
  linger(scheduler: Scheduler, milliseconds: number): Promise<void> {
    for (const { pending } of this.#receivers.splice(0)) pending.reject(WSA_OPERATION_ABORTED);
    if (this.#storedBytes > 0 || this.error !== 0) {
      this.close();
      return Promise.resolve();
    }
    const pending = new Pending<void>('closesocket', undefined, () => {});
    const cancel = scheduler.later(() => {
      this.reset();
      pending.resolve();
    }, milliseconds);
    this.shutdownSend();
    this.#afterShutdown(() => {
      cancel();
      this.close();
      pending.resolve();
    });
    return pending.promise;
  }

  #afterShutdown(callback: () => void): void {
    if (this.#shutdownDone || this.error !== 0) callback();
    else this.#onDrained = this.#after(this.#onDrained, callback);
  }

  /** The shutdown itself drains as well, in a later turn than the sends. */
  #after(earlier: (() => void) | null, callback: () => void): () => void {
    return () => {
      earlier?.();
      this.#afterShutdown(callback);
    };
  }

  /** Ends the connection abortively; what waits fails with WSA_OPERATION_ABORTED. */
  reset(): void {
    this.#closed = true;
    this.#abort(WSA_OPERATION_ABORTED);
  }
}
