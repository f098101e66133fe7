/**
 * An established SAN connection: the companion socket below, the session in between, the program's stream above.
 *
 * Data path: what the program writes is copied once into the provider's outgoing buffer; what arrives has been copied once
 * into a posted buffer. Nothing is allocated for a message except the Buffer that the program receives.
 */

import { Session, type SessionOffer, type SessionOwner, type SessionWire } from '../session/index.js';
import {
  type Out,
  OVERLAPPED_POLL,
  type ProviderMemoryExtension,
  type ProviderSocket,
  type SOCKADDR,
  WSA_OPERATION_ABORTED,
  type WSABUF,
  WSAECONNABORTED,
  WSAECONNRESET,
  WSAENOBUFS,
  WSAOVERLAPPED,
  type WSPPROC_TABLE,
  WSS_OPERATION_IN_PROGRESS,
} from '../spi/index.js';
import type { ConnectionEvents, SanConnection } from './face.js';
import type { Negotiating } from './negotiation-timeouts.js';
import type { ReceiveBuffer } from './receive-buffers.js';
import type { Carrier, Services } from './services.js';
import type { CompletionTarget, Handle } from './upcalls.js';
import type { WaitingWriter } from './waiting-writes.js';

/** Receive buffers that each side posts at first and once a connection is busy, and bytes of payload that each takes. */
export const OFFER: SessionOffer = { postedBuffers: 8, postedBuffersMax: 32, payloadSize: 16384 };

/** Small payloads are copied out, so that a program that keeps one does not keep the buffers around it. */
const copyMax = 4096;
const gatherMax = 262144;
/** What Linux's default limits let a stock socket accept: send buffer and the peer's receive buffer. */
const acceptMax = 2_621_440;
/** Stands for memory until the first send. */
const noMemory = { bytes: new Uint8Array(0), words: new Int32Array(0) };

/** Told how the negotiation ends, once. */
export interface NegotiationHandler {
  negotiated(connection: Connection): void;
  failed(wsaError: number): void;
}

export class Connection
  implements SanConnection, SessionWire, SessionOwner, CompletionTarget, WaitingWriter, Negotiating
{
  readonly provider: string;
  readonly localAddress: SOCKADDR;
  readonly peerAddress: SOCKADDR;
  events: ConnectionEvents | null = null;
  /** Called once when the companion is gone. */
  onClosed: (() => void) | null = null;
  readonly #services: Services;
  readonly #carrier: Carrier;
  readonly #table: WSPPROC_TABLE;
  readonly #memory: ProviderMemoryExtension;
  readonly #socket: ProviderSocket;
  readonly #session: Session;
  readonly #initiator: boolean;
  #negotiation: NegotiationHandler | null = null;
  #companionOpen = true;
  #lost = false;
  readonly #errno: Out<number>;
  readonly #sendBuffer: WSABUF = { len: 0, buf: noMemory, offset: 0 };
  readonly #sendList: readonly WSABUF[] = [this.#sendBuffer];

  constructor(
    services: Services,
    carrier: Carrier,
    socket: ProviderSocket,
    handle: Handle,
    initiator: boolean,
    local: SOCKADDR,
    peer: SOCKADDR,
  ) {
    this.#services = services;
    this.#carrier = carrier;
    this.#table = carrier.provider.table;
    this.#memory = carrier.provider.extensions.providerMemory!;
    this.#errno = carrier.errno;
    this.#socket = socket;
    this.#initiator = initiator;
    this.provider = carrier.provider.name;
    this.localAddress = local;
    this.peerAddress = peer;
    this.#session = new Session(this, this, { offer: OFFER, initiator, copyMax, gatherMax, acceptMax });
    handle.target = this;
    services.connections.add(this);
  }

  /** Posts the receive buffers, then negotiates (WSD-CON-18, WSD-NEG-1 to WSD-NEG-5). `handler` is never called before this returns. */
  negotiate(handler: NegotiationHandler): void {
    this.#negotiation = handler;
    this.#services.negotiationTimeouts.add(this);
    for (let i = 0; i < OFFER.postedBuffers; i++) {
      const buffer = this.#carrier.buffers.take();
      if (buffer === null) {
        this.#services.scheduler.soon(() => this.#negotiationFailed(WSAENOBUFS));
        return;
      }
      this.#post(buffer);
    }
    if (this.#initiator) {
      this.#session.start();
      this.#services.trace?.('negotiation sent', this.provider, this.#socket, `${OFFER.postedBuffers} buffers posted`);
    }
  }

  negotiationExpired(): void {
    this.#negotiationFailed(WSAECONNRESET);
  }

  #negotiationFailed(wsaError: number): void {
    const handler = this.#negotiation;
    if (handler === null) return;
    this.#negotiation = null;
    this.#services.negotiationTimeouts.remove(this);
    this.#session.reset();
    handler.failed(wsaError);
  }

  // ---- the program's side

  get writeQueueSize(): number {
    return this.#session.writeQueueSize;
  }

  write(chunk: Uint8Array, done: (wsaError: number) => void): boolean {
    return this.#session.write(chunk, done);
  }

  writev(chunks: readonly Uint8Array[], done: (wsaError: number) => void): boolean {
    return this.#session.writev(chunks, done);
  }

  shutdown(done: (wsaError: number) => void): void {
    this.#session.shutdown(done);
  }

  readStart(): void {
    this.#session.readStart();
  }

  readStop(): void {
    this.#session.readStop();
  }

  close(): void {
    this.#session.close();
  }

  reset(): void {
    this.#session.reset();
  }

  get hasUnsent(): boolean {
    return this.#companionOpen && !this.#lost && this.#session.hasUnsent;
  }

  endWithProcess(): void {
    const rest = this.events?.unwritten?.() ?? [];
    this.events = null;
    this.#session.endWithProcess(rest);
  }

  // ---- the session's wire

  getSendBuffer(length: number): WSABUF | null {
    return this.#memory.WSPGetSendBuffer(this.#socket, length, this.#sendBuffer, this.#errno) === 0
      ? this.#sendBuffer
      : null;
  }

  send(length: number): void {
    this.#sendBuffer.len = length;
    const overlapped = this.#carrier.sendOverlapped;
    this.#table.WSPSend(this.#socket, this.#sendList, 1, null, 0, overlapped, null, null, this.#errno);
    // Almost every send is done when WSPSend returns, and its record can be used again; others keep theirs (WSD-OVL-7).
    if (overlapped.Internal === WSS_OPERATION_IN_PROGRESS) this.#carrier.sendOverlapped = pollOverlapped();
  }

  repost(buffer: WSABUF): void {
    this.#post(buffer as ReceiveBuffer);
  }

  postMore(count: number): number {
    for (let i = 0; i < count; i++) {
      const buffer = this.#carrier.buffers.take();
      if (buffer === null) return i;
      this.#post(buffer);
    }
    return count;
  }

  replaceMemory(buffer: WSABUF): boolean {
    return this.#carrier.buffers.replaceMemory(buffer);
  }

  #post(buffer: ReceiveBuffer): void {
    this.#table.WSPRecv(this.#socket, buffer.list, 1, null, this.#carrier.flags, buffer, null, null, this.#errno);
    // Anything but pending means that the operation will never be completed (WSD-OVL-6).
    if (buffer.Internal !== WSS_OPERATION_IN_PROGRESS) this.#carrier.buffers.give(buffer);
  }

  // ---- completions

  completed(overlapped: WSAOVERLAPPED, wsaError: number, bytes: number): void {
    const buffer = overlapped as ReceiveBuffer;
    if (wsaError === 0) {
      this.#session.receive(buffer, bytes);
      return;
    }
    this.#carrier.buffers.give(buffer);
    if (this.#lost || wsaError === WSA_OPERATION_ABORTED) return;
    this.#lost = true;
    // Other completions follow in the same call, so what they mean is settled after it.
    this.#services.scheduler.soon(() => this.#settleLoss(wsaError));
  }

  #settleLoss(wsaError: number): void {
    if (wsaError === WSAECONNABORTED) {
      const unconsumed = this.#carrier.provider.extensions.diagnostics?.WSPQueryUnconsumed(this.#socket) ?? 1;
      this.#session.peerDied(unconsumed);
    } else {
      this.#session.lost(wsaError);
    }
    this.#closeCompanion();
  }

  #closeCompanion(): void {
    if (!this.#companionOpen) return;
    this.#companionOpen = false;
    this.#services.connections.delete(this);
    this.#services.waitingWrites.remove(this);
    if (this.#negotiation !== null) this.#services.negotiationTimeouts.remove(this);
    this.#table.WSPCloseSocket(this.#socket, this.#errno);
    this.onClosed?.();
    this.onClosed = null;
  }

  // ---- what the session tells

  onNegotiated(): void {
    this.#services.negotiationTimeouts.remove(this);
    const { trace } = this.#services;
    if (trace !== null) {
      trace('negotiation received', this.provider, this.#socket, '');
      if (!this.#initiator)
        trace('negotiation sent', this.provider, this.#socket, `${OFFER.postedBuffers} buffers posted`);
      this.#traceData = true;
    }
    const handler = this.#negotiation;
    this.#negotiation = null;
    handler?.negotiated(this);
  }

  #traceData = false;

  onData(chunk: Buffer): void {
    if (this.#traceData) {
      this.#traceData = false;
      this.#services.trace?.('first data received', this.provider, this.#socket, `${chunk.length} bytes`);
    }
    if (this.#deferred !== null) this.#runDeferred();
    this.events?.onData(chunk);
  }

  onEnd(): void {
    this.events?.onEnd();
  }

  onError(wsaError: number): void {
    this.#runDeferred();
    if (this.#negotiation !== null) this.#negotiationFailed(wsaError);
    else this.events?.onError(wsaError);
  }

  onViolation(what: string): void {
    this.#services.trace?.('protocol violation', this.provider, this.#socket, what);
    this.#services.count('peer-protocol');
    this.#session.lost(WSAECONNRESET);
    this.#closeCompanion();
  }

  onFinished(): void {
    this.#closeCompanion();
  }

  onDeliverable(): void {
    this.#services.scheduler.soon(() => this.#session.deliverStored());
  }

  onWriteWaiting(): void {
    this.#services.waitingWrites.add(this);
  }

  acceptWaiting(): void {
    this.#session.acceptWaiting();
  }

  /** Callbacks that are due, with their errors. libuv makes them before it delivers anything that came later. */
  #deferred: [done: (wsaError: number) => void, wsaError: number][] | null = null;

  defer(done: (wsaError: number) => void, error: number): void {
    if (this.#deferred === null) {
      this.#deferred = [];
      this.#services.scheduler.soon(() => this.#runDeferred());
    }
    this.#deferred.push([done, error]);
  }

  #runDeferred(): void {
    const deferred = this.#deferred;
    if (deferred === null) return;
    this.#deferred = null;
    for (const [done, wsaError] of deferred) done(wsaError);
  }
}

/** A record for sends, whose outcome nobody needs to be told (WSD-OVL-7). */
export function pollOverlapped(): WSAOVERLAPPED {
  const overlapped = new WSAOVERLAPPED();
  overlapped.hEvent = OVERLAPPED_POLL;
  return overlapped;
}
