/**
 * Sending and receiving on an established connection. Waiting and cancelling happen here and nowhere below (WSD-BLK-1): the
 * carrier is only told to start and stop reading, and gets one write at a time.
 */

import {
  FD_CLOSE,
  FD_OOB,
  FD_READ,
  FD_WRITE,
  MSG_OOB,
  MSG_PEEK,
  MSG_WAITALL,
  WSA_OPERATION_ABORTED,
  WSAECONNABORTED,
  WSAEINVAL,
  WSAEOPNOTSUPP,
  WSAESHUTDOWN,
  WSAEWOULDBLOCK,
} from '../spi/index.js';
import type { ConnectionEvents, Scheduler } from '../switch/index.js';
import { WSAError } from './error.js';
import { checkSignal, type Outcome, Pending } from './pending.js';
import { ReceiveStore, Scatter } from './receive-store.js';
import { type SendingOwner, SendingQueue, type Source } from './sending.js';
import type { Stream } from './stream.js';
import type { TransferState } from './transfer-state.js';

/**
 * SO_RCVBUF by default: bytes that are taken from the carrier before anybody asks for them, what it brings in one turn.
 * Beyond it the peer is held back.
 */
export const receiveBufferDefault = 262_144;

interface Receiver {
  readonly into: Scatter;
  readonly flags: number;
  readonly pending: Pending<number>;
}

/** Told that something has become true of the connection: one of the FD_ constants, and the error of FD_CLOSE. */
export type Changed = (event: number, wsaError: number) => void;

export class Transfer implements ConnectionEvents, SendingOwner {
  error = 0;
  /** SO_RCVBUF. */
  receiveBuffer = receiveBufferDefault;
  readonly sending: SendingQueue;
  readonly #stream: Stream;
  readonly #changed: Changed;
  readonly #store = new ReceiveStore();
  readonly #receivers: Receiver[] = [];
  /** Those for urgent data, which do not wait for the others. */
  readonly #urgentReceivers: Receiver[] = [];
  #reading = false;
  #ended = false;
  #receiveShut = false;
  #sendShut = false;
  #shutdownDone = false;
  #closed = false;
  #onIdle: (() => void) | null = null;

  constructor(stream: Stream, changed: Changed) {
    this.#stream = stream;
    this.#changed = changed;
    this.sending = new SendingQueue(stream, this);
    stream.events = this;
  }

  get provider(): string {
    return this.#stream.provider;
  }

  // ---- what a program can ask without waiting

  /** FIONREAD: bytes that a recv would get at once. */
  get available(): number {
    return this.#store.available;
  }

  get isReadable(): boolean {
    return this.#store.isReadable;
  }

  /** Nothing more will be received. */
  get isOver(): boolean {
    return (this.#ended || this.error !== 0) && !this.#store.isReadable;
  }

  get isWritable(): boolean {
    return this.error !== 0 || this.#sendShut || this.sending.isWritable;
  }

  get hasUrgent(): boolean {
    return this.#store.hasUrgent;
  }

  /** SIOCATMARK. */
  get isAtMark(): boolean {
    return this.#store.isAtMark;
  }

  /** Whether the carrier can have urgent data at all. */
  get canBeUrgent(): boolean {
    return this.#stream.hasUrgent !== false;
  }

  /** SO_OOBINLINE. */
  set urgentInline(inline: boolean) {
    this.#store.inline = inline;
    if (!inline) return;
    for (const { pending } of this.#urgentReceivers.splice(0)) pending.reject(WSAEINVAL);
    this.#serve();
  }

  /** SO_RDMA_THRESHOLD_SIZE: sends of more bytes go by RDMA, where there is such a thing. */
  set largeThreshold(bytes: number) {
    this.#stream.largeThreshold = bytes;
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

  recv(
    syscall: string,
    buffers: readonly Uint8Array[],
    flags: number,
    nonBlocking: boolean,
    signal?: AbortSignal,
  ): Outcome<number> {
    if (this.#closed) throw new WSAError(WSA_OPERATION_ABORTED, syscall);
    if (this.#receiveShut) throw new WSAError(WSAESHUTDOWN, syscall);
    const into = new Scatter(buffers);
    const receivers = (flags & MSG_OOB) === 0 ? this.#receivers : this.#urgentReceivers;
    if (receivers === this.#urgentReceivers) this.#checkUrgent(syscall, into, flags);
    if (receivers.length === 0) {
      if (this.#attempt(into, flags)) return into.filled;
      if (this.error !== 0) throw new WSAError(this.error, syscall);
    }
    if (nonBlocking) throw new WSAError(WSAEWOULDBLOCK, syscall);
    checkSignal(syscall, signal);
    const pending = new Pending<number>(syscall, signal, () => this.#giveUp(receiver));
    const receiver = { into, flags, pending };
    receivers.push(receiver);
    this.#readOn();
    return pending;
  }

  #checkUrgent(syscall: string, { room }: Scatter, flags: number): void {
    if (!this.canBeUrgent || (flags & MSG_WAITALL) !== 0) throw new WSAError(WSAEOPNOTSUPP, syscall);
    if (this.#store.inline || room === 0) throw new WSAError(WSAEINVAL, syscall);
  }

  /** True if the receive is over: with what it has got, which is nothing at the end of data. */
  #attempt(into: Scatter, flags: number): boolean {
    const store = this.#store;
    if ((flags & MSG_OOB) !== 0) {
      if (store.hasUrgent) store.takeUrgent(into, (flags & MSG_PEEK) !== 0);
      return into.filled > 0 || this.#ended;
    }
    if (store.isReadable) {
      if ((flags & MSG_PEEK) !== 0) {
        store.peek(into);
        return true;
      }
      const atMark = store.take(into);
      this.#taken();
      if ((flags & MSG_WAITALL) === 0 || into.isFull || (atMark && into.filled > 0)) return true;
    }
    return this.#ended || (this.error !== 0 && into.filled > 0);
  }

  #taken(): void {
    if (this.#store.bytes <= this.receiveBuffer / 2) this.#readOn();
  }

  /** A cancelled receive costs nothing: what it has got already is there for the next one. */
  #giveUp(receiver: Receiver): void {
    for (const receivers of [this.#receivers, this.#urgentReceivers]) {
      const i = receivers.indexOf(receiver);
      if (i >= 0) receivers.splice(i, 1);
    }
    this.#store.unshift(receiver.into.content());
    this.#serve();
  }

  /** Gives what there is to those who wait. */
  #serve(): void {
    for (const receivers of [this.#urgentReceivers, this.#receivers]) {
      for (let first = receivers[0]; first !== undefined; first = receivers[0]) {
        const { into, flags, pending } = first;
        if (this.#attempt(into, flags)) pending.resolve(into.filled);
        else if (this.error !== 0) pending.reject(this.error);
        else break;
        receivers.shift();
      }
    }
    this.#checkIdle();
  }

  onData(chunk: Buffer): void {
    if (this.#mayStore()) {
      this.#store.push(chunk);
      this.#arrived();
    }
  }

  onUrgent(chunk: Buffer): void {
    if (!this.#mayStore()) return;
    this.#store.pushUrgent(chunk);
    this.#arrived();
    if (this.#store.hasUrgent) this.#changed(FD_OOB, 0);
  }

  #mayStore(): boolean {
    if (this.#closed || this.error !== 0) return false;
    if (!this.#receiveShut) return true;
    // Nobody will ever take it: the peer learns it, as from TCP/IP on Windows.
    this.#abort(WSAECONNABORTED);
    return false;
  }

  #arrived(): void {
    this.#serve();
    if (this.#store.bytes >= this.receiveBuffer && this.#reading) {
      this.#reading = false;
      this.#stream.readStop();
    }
    if (this.#store.isReadable) this.#changed(FD_READ, 0);
  }

  onEnd(): void {
    this.#ended = true;
    this.#serve();
    this.#changed(FD_CLOSE, 0);
  }

  onError(wsaError: number): void {
    this.lose(wsaError);
  }

  unwritten(): readonly Uint8Array[] {
    return this.sending.unwritten();
  }

  lose(wsaError: number): void {
    if (this.error !== 0) return;
    this.error = wsaError;
    this.#settleLoss(wsaError);
  }

  #settleLoss(wsaError: number): void {
    this.#serve();
    this.sending.settleLoss(wsaError);
    this.#changed(FD_CLOSE, wsaError);
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

  send(
    syscall: string,
    chunks: readonly Uint8Array[],
    flags: number,
    nonBlocking: boolean,
    signal?: AbortSignal,
  ): Outcome<number> {
    this.#checkSend(syscall);
    const urgent = (flags & MSG_OOB) !== 0;
    if (urgent && !this.canBeUrgent) throw new WSAError(WSAEOPNOTSUPP, syscall);
    return this.sending.send(syscall, chunks, urgent, nonBlocking, signal);
  }

  /** Sends what the source gives, without anything of other sends in between. */
  sendSource(syscall: string, source: Source, signal?: AbortSignal): Pending<number> {
    this.#checkSend(syscall);
    checkSignal(syscall, signal);
    return this.sending.sendSource(syscall, source, signal);
  }

  #checkSend(syscall: string): void {
    if (this.#sendShut) throw new WSAError(WSAESHUTDOWN, syscall);
    if (this.error !== 0) throw new WSAError(this.error, syscall);
  }

  /** A send that is under way is cancelled: of it nobody knows how much has left, so the connection is lost (WSD-BLK-7). */
  cancelled(): void {
    this.#abort(WSAECONNABORTED);
  }

  writable(): void {
    this.#changed(FD_WRITE, 0);
  }

  // ---- moving to another process

  get stream(): Stream {
    return this.#stream;
  }

  get #isIdle(): boolean {
    if (this.#receivers.length + this.#urgentReceivers.length > 0) return false;
    if (this.error !== 0) return true;
    return this.sending.isEmpty && (!this.#sendShut || this.#shutdownDone);
  }

  /** Calls back once, now or later, when no operation goes on (WSD-DUP-5). */
  whenIdle(callback: () => void): void {
    this.#onIdle = callback;
    this.#checkIdle();
  }

  #checkIdle(): void {
    const callback = this.#onIdle;
    if (callback === null) return;
    if (!this.#isIdle) {
      if (!this.sending.isEmpty || this.#sendShut) this.sending.onNextDrain(() => this.#checkIdle());
      return;
    }
    this.#onIdle = null;
    callback();
  }

  /** All that there is up here, when no operation goes on. Nothing can be done here any more. */
  takeState(): TransferState {
    this.#closed = true;
    this.#stream.readStop();
    return {
      store: this.#store.takeState(),
      error: this.error,
      ended: this.#ended,
      receiveShut: this.#receiveShut,
      sendShut: this.#sendShut,
    };
  }

  /** Before `begin`. */
  restore(state: TransferState): void {
    this.#store.restore(state.store);
    this.error = state.error;
    this.#ended = state.ended;
    this.#receiveShut = state.receiveShut;
    this.#sendShut = state.sendShut;
    this.#shutdownDone = state.sendShut;
  }

  /** The connection is lost for every process that shares it. */
  fail(wsaError: number): void {
    this.#abort(wsaError);
  }

  /** The socket is closed here, and others have it: receives end, sends go on. */
  cancelReceives(): void {
    this.#rejectReceivers(WSA_OPERATION_ABORTED);
  }

  // ---- ending

  /** Ends the sending direction after everything sent so far. */
  shutdownSend(): void {
    if (this.#sendShut || this.error !== 0) return;
    this.#sendShut = true;
    this.sending.whenDrained(() => {
      if (this.error !== 0) return;
      this.#stream.shutdown((wsaError) => {
        this.#shutdownDone = true;
        if (wsaError !== 0) this.lose(wsaError);
        this.sending.drain();
      });
    });
  }

  /** Nothing more is received; what is there, or still comes, makes it a reset. */
  shutdownReceive(): void {
    this.#receiveShut = true;
    this.#rejectReceivers(WSAESHUTDOWN);
    if (this.#store.unread > 0) this.#abort(WSAECONNABORTED);
    else this.#readOn();
  }

  #rejectReceivers(wsaError: number): void {
    for (const receivers of [this.#receivers, this.#urgentReceivers]) {
      for (const { pending } of receivers.splice(0)) pending.reject(wsaError);
    }
    this.#checkIdle();
  }

  /** The default of closesocket: everything sent is still delivered, in the background (WSD-CLS-5). */
  close(): void {
    this.#closed = true;
    this.#rejectReceivers(WSA_OPERATION_ABORTED);
    if (this.#store.unread > 0) {
      this.#abort(WSAECONNABORTED);
    } else {
      this.#sendShut = true;
      this.sending.whenDrained(() => this.#stream.close());
    }
  }

  /** SO_LINGER with a time: waits until everything is sent, or the time is over and the connection is ended abortively. */
  linger(scheduler: Scheduler, milliseconds: number): Promise<void> {
    this.#rejectReceivers(WSA_OPERATION_ABORTED);
    if (this.#store.unread > 0 || this.error !== 0) {
      this.close();
      return Promise.resolve();
    }
    const pending = new Pending<void>('closesocket', undefined, () => {});
    const cancel = scheduler.later(() => {
      this.reset();
      pending.resolve();
    }, milliseconds);
    this.shutdownSend();
    this.afterShutdown(() => {
      cancel();
      this.close();
      pending.resolve();
    });
    return pending.promise;
  }

  /** Calls back when the end of sending is with the carrier, or the connection is lost. */
  afterShutdown(callback: () => void): void {
    if (this.#shutdownDone || this.error !== 0) callback();
    // The shutdown itself drains as well, in a later turn than the sends.
    else this.sending.onNextDrain(() => this.afterShutdown(callback));
  }

  /** Ends the connection abortively; what waits fails with WSA_OPERATION_ABORTED. */
  reset(): void {
    this.#closed = true;
    this.#abort(WSA_OPERATION_ABORTED);
  }
}
