/**
 * An established SAN connection: the companion socket below, the session in between, the program's stream above.
 *
 * Data path: what the program writes is copied once into the provider's outgoing buffer; what arrives has been copied once
 * into a posted buffer. Nothing is allocated for a message except the Buffer that the program receives.
 */

import type { CloseCause } from '../diagnostics/channels.js';
import type { ConnectionStatus } from '../diagnostics/status.js';
import {
  type Ending,
  HEADER_SIZE,
  Session,
  type SessionOwner,
  type SessionRdma,
  type SessionWire,
} from '../session/index.js';
import {
  type Out,
  type ProviderSocket,
  type SOCKADDR,
  WSA_IO_PENDING,
  WSA_OPERATION_ABORTED,
  type WSABUF,
  WSAECONNABORTED,
  WSAECONNRESET,
  WSAENOBUFS,
  type WSAOVERLAPPED,
  type WSPPROC_TABLE,
} from '../spi/index.js';
import { statusOf } from './connection-status.js';
import type { ConnectionEvents, MovableConnection } from './face.js';
import type { MovedConnection } from './moved.js';
import { Rdma, RdmaOperation, type RdmaOwner } from './rdma.js';
import { RegisteredMemory } from './registered-memory.js';
import type { Carrier, OpenConnection, Services } from './services.js';
import { SuspensionTimeout } from './suspension-timeout.js';
import type { ReceiveBuffer, TransferMemory } from './transfer-memory.js';
import type { CompletionTarget, Handle } from './upcalls.js';
import type { WaitingWriter } from './waiting-writes.js';

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
  negotiationFailed(connection: Connection, wsaError: number): void;
}

export class Connection
  implements MovableConnection, SessionWire, SessionOwner, RdmaOwner, CompletionTarget, WaitingWriter, OpenConnection
{
  readonly provider: string;
  readonly localAddress: SOCKADDR;
  readonly peerAddress: SOCKADDR;
  events: ConnectionEvents | null = null;
  place = -1;
  /** Called once when the companion is gone. */
  onClosed: (() => void) | null = null;
  readonly #services: Services;
  readonly #carrier: Carrier;
  readonly #table: WSPPROC_TABLE;
  readonly #memory: TransferMemory;
  readonly #socket: ProviderSocket;
  readonly #session: Session;
  readonly #initiator: boolean;
  readonly #handle: Handle | null;
  negotiation: NegotiationHandler | null = null;
  #companionOpen = true;
  #lost = false;
  #loss = 0;
  readonly #established: number;
  looks = 0;
  readonly #errno: Out<number>;
  #sendBuffer: WSABUF = { len: 0, buf: noMemory, offset: 0 };
  #sendList: readonly WSABUF[] = [this.#sendBuffer];

  constructor(
    services: Services,
    carrier: Carrier,
    socket: ProviderSocket,
    handle: Handle | null,
    initiator: boolean,
    local: SOCKADDR,
    peer: SOCKADDR,
  ) {
    this.#services = services;
    this.#carrier = carrier;
    this.#table = carrier.provider.table;
    const { offer, largeThreshold } = carrier;
    this.#memory =
      carrier.memory ??
      // One more for answers to large sends, and one for the answer to a suspension.
      new RegisteredMemory(carrier.provider, socket, HEADER_SIZE + offer.payloadSize, offer.postedBuffersMax + 2);
    this.#errno = carrier.errno;
    this.#socket = socket;
    this.#initiator = initiator;
    this.provider = carrier.provider.name;
    this.localAddress = local;
    this.peerAddress = peer;
    this.#session = new Session(this, this, { offer, initiator, copyMax, gatherMax, acceptMax, largeThreshold });
    this.#established = services.now();
    this.#handle = handle;
    // Without a handle there is no companion any more, only what has arrived before its end.
    this.#companionOpen = this.#socketOpen = handle !== null;
    if (handle === null) return;
    handle.target = this;
    services.connections.add(this);
  }

  /** Posts the receive buffers, then negotiates (WSD-CON-18, WSD-NEG-1 to WSD-NEG-5). `handler` is never called before this returns. */
  negotiate(handler: NegotiationHandler): void {
    this.negotiation = handler;
    this.#services.negotiationTimeouts.arm();
    const { postedBuffers } = this.#carrier.offer;
    if (this.postMore(postedBuffers) < postedBuffers) {
      this.#services.scheduler.soon(() => this.#negotiationFailed(WSAENOBUFS));
      return;
    }
    if (this.#initiator) {
      this.#session.start();
      this.#traceNegotiation();
    }
  }

  #traceNegotiation(): void {
    const posted = this.#carrier.offer.postedBuffers;
    this.#services.trace?.('negotiation sent', this.provider, this.#socket, `${posted} buffers posted`);
  }

  negotiationExpired(): void {
    this.#negotiationFailed(WSAECONNRESET);
  }

  #negotiationFailed(wsaError: number): void {
    const handler = this.negotiation;
    if (handler === null) return;
    this.negotiation = null;
    this.#session.reset();
    handler.negotiationFailed(this, wsaError);
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

  writeUrgent(chunk: Uint8Array, done: (wsaError: number) => void): boolean {
    return this.#session.writeUrgent(chunk, done);
  }

  set largeThreshold(bytes: number) {
    this.#session.largeThreshold = bytes;
  }

  shutdown(done: (wsaError: number) => void): void {
    this.#session.endWrites();
    // The end and its completion belong to one turn, and a later one, as in libuv: a peer in this very loop must not have the
    // end before `done` has been called.
    this.#services.scheduler.soon(() => {
      // What is deferred in here runs at once, so no turn has to be asked for.
      this.#deferred ??= [];
      this.#session.shutdown(done);
      this.#runDeferred();
    });
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

  get carrier(): Carrier {
    return this.#carrier;
  }

  get hasUnsent(): boolean {
    return this.#companionOpen && !this.#lost && this.#session.hasUnsent;
  }

  get status(): ConnectionStatus | null {
    const session = this.#session;
    if (!session.negotiated) return null;
    const peerPid = this.#carrier.provider.extensions.diagnostics?.WSPQueryPeerProcess(this.#socket) ?? null;
    return statusOf(this, session, this.#initiator, peerPid, this.#services.now() - this.#established);
  }

  endWithProcess(): void {
    const rest = this.events?.unwritten?.() ?? [];
    this.events = null;
    this.#session.endWithProcess(rest);
  }

  // ---- the session's wire

  getSendBuffer(length: number): WSABUF | null {
    // What follows a message that could not be sent must not be sent either: the peer would take it for what is missing.
    if (this.#lost || !this.#socketOpen) return null;
    const error = this.#memory.getSendBuffer(this.#socket, length, this.#sendBuffer);
    if (error === 0) return this.#sendBuffer;
    this.#lose(error);
    return null;
  }

  send(length: number): void {
    this.#sendBuffer.len = length;
    const overlapped = this.#memory.sendOverlapped;
    if (this.#table.WSPSend(this.#socket, this.#sendList, 1, null, 0, overlapped, null, null, this.#errno) === 0) {
      // The memory may be that of a link which is gone long before anything else is sent.
      this.#sendBuffer.buf = noMemory;
      return;
    }
    // Almost every send is done when WSPSend returns, and its record can be used again; others keep theirs.
    if (this.#errno.value === WSA_IO_PENDING) this.#sendPending();
    else this.#lose(this.#errno.value);
  }

  /** The provider keeps record, buffer and list until the send is done (WSD-XFR-28). */
  #sendPending(): void {
    this.#memory.sendPending();
    this.#sendBuffer = { len: 0, buf: noMemory, offset: 0 };
    this.#sendList = [this.#sendBuffer];
  }

  repost(buffer: WSABUF): void {
    this.#post(buffer as ReceiveBuffer);
  }

  postMore(count: number): number {
    for (let i = 0; i < count; i++) {
      const buffer = this.#memory.takeReceive();
      if (buffer === null) return i;
      this.#post(buffer);
    }
    return count;
  }

  replaceMemory(buffer: WSABUF): boolean {
    return this.#memory.replaceMemory(buffer);
  }

  #post(buffer: ReceiveBuffer): void {
    this.#posting = true;
    const result = this.#table.WSPRecv(
      this.#socket,
      buffer.list,
      1,
      null,
      this.#carrier.flags,
      buffer,
      null,
      null,
      this.#errno,
    );
    this.#posting = false;
    if (result === 0 || this.#errno.value === WSA_IO_PENDING) return;
    // The operation will never be completed (WSD-OVL-6), and the peer counts on the buffer.
    this.#memory.giveReceive(buffer);
    this.#lose(this.#errno.value);
  }

  // ---- RDMA

  #rdma: Rdma | null = null;

  get rdma(): SessionRdma {
    const { provider, rdmaMemory } = this.#carrier;
    this.#rdma ??= new Rdma(provider, rdmaMemory, this.#socket, this);
    return this.#rdma;
  }

  rdmaBegins(): void {
    this.#services.trace?.('first large transfer', this.provider, this.#socket, '');
  }

  transferred(bytes: Buffer | null): void {
    this.#session.transferred(bytes);
  }

  rdmaFailed(wsaError: number): void {
    this.#lose(wsaError);
  }

  cutOff(): void {
    this.#closeSocket();
  }

  // ---- completions

  #posting = false;
  /** Completions that came inside WSPRecv (WSD-OVL-5), where the session cannot take them, and what came after them. */
  #early: [overlapped: WSAOVERLAPPED, wsaError: number, bytes: number][] | null = null;

  completed(overlapped: WSAOVERLAPPED, wsaError: number, bytes: number): void {
    if (this.#rdma !== null && overlapped instanceof RdmaOperation) {
      if (this.#socketOpen) this.#rdma.completed(overlapped, wsaError);
      return;
    }
    if (this.#posting || this.#early !== null) {
      if (this.#early === null) {
        this.#early = [];
        this.#services.scheduler.next(() => this.#completeEarly());
      }
      this.#early.push([overlapped, wsaError, bytes]);
      return;
    }
    this.#complete(overlapped as ReceiveBuffer, wsaError, bytes);
  }

  #completeEarly(): void {
    const early = this.#early ?? [];
    this.#early = null;
    for (const [overlapped, wsaError, bytes] of early) this.#complete(overlapped as ReceiveBuffer, wsaError, bytes);
  }

  #complete(buffer: ReceiveBuffer, wsaError: number, bytes: number): void {
    if (wsaError === 0 && !this.#moved) {
      this.#session.receive(buffer, bytes);
      return;
    }
    this.#memory.giveReceive(buffer);
    if (wsaError !== WSA_OPERATION_ABORTED && !this.#moved) this.#lose(wsaError);
  }

  // ---- moving to another process (section 18.2 of the digest)

  /** Nothing but WSPCloseSocket is asked of the companion any more (WSD-DUP-25). */
  #moved = false;
  #waiting: SuspensionTimeout | null = null;

  suspend(done: () => void): void {
    // Not from inside a delivery, of which nobody would get the rest.
    this.#session.suspend(() => this.#services.scheduler.soon(done));
  }

  duplicate(processId: number): MovedConnection | number {
    let info: MovedConnection['info'] = null;
    if (this.#lost) this.#settleLoss(this.#loss);
    if (this.#companionOpen) {
      info = { ...this.#carrier.provider.protocolInfo };
      // Receives end inside the call, with success and nothing in them (WSD-DUP-23).
      this.#moved = true;
      this.#memory.releaseSends();
      this.#rdma?.release();
      this.#rdma = null;
      this.#moved = this.#table.WSPDuplicateSocket(this.#socket, processId, info, this.#errno) === 0;
      if (!this.#moved) return this.#errno.value;
      this.#services.connections.delete(this);
      this.#services.waitingWrites.remove(this);
    }
    this.events = null;
    const session = this.#session.takeState();
    const { provider, localAddress, peerAddress } = this;
    return { provider, info, initiator: this.#initiator, localAddress, peerAddress, session };
  }

  resume(): void {
    this.#session.resume();
  }

  /** In the new process; `former` is what it was here before. 0 or a Winsock error. */
  arrive({ session }: MovedConnection, former: Connection | null): number {
    this.#session.restore(session);
    this.onClosed = former?.onClosed ?? null;
    if (former !== null) former.onClosed = null;
    if (!this.#companionOpen) {
      this.onClosed?.();
      return 0;
    }
    if (this.postMore(session.credits.posted) < session.credits.posted) {
      this.#session.lost(WSAENOBUFS);
      this.#closeCompanion('reset');
      return WSAENOBUFS;
    }
    this.#session.resume();
    return 0;
  }

  /** The companion's former descriptor, if `socket` is another one, is given back (WSD-DUP-32); its handle if it is the same. */
  replaceBy(socket: ProviderSocket): Handle | null {
    if (socket !== this.#socket) this.closeFormer();
    else this.#memory.release();
    this.#companionOpen = this.#socketOpen = false;
    return this.#handle;
  }

  closeFormer(): void {
    this.#closeCompanion('ended');
  }

  onPeerSuspended(suspended: boolean): void {
    this.#waiting ??= new SuspensionTimeout(this.#services.scheduler, () => this.#lose(WSAECONNRESET));
    this.#waiting.set(suspended);
  }

  /** Other completions may follow in the same call, so what a loss means is settled after it. */
  #lose(wsaError: number): void {
    if (this.#lost || !this.#companionOpen) return;
    this.#lost = true;
    this.#loss = wsaError;
    this.#services.scheduler.soon(() => this.#settleLoss(wsaError));
  }

  #settleLoss(wsaError: number): void {
    const cause = this.#causeOf(wsaError);
    if (wsaError === WSAECONNABORTED) {
      const unconsumed = this.#carrier.provider.extensions.diagnostics?.WSPQueryUnconsumed(this.#socket) ?? 1;
      this.#session.peerDied(unconsumed);
    } else {
      this.#session.lost(wsaError);
    }
    this.#closeCompanion(cause);
  }

  #causeOf(wsaError: number): CloseCause {
    const reason = this.#carrier.provider.extensions.diagnostics?.WSPQueryReason(this.#socket);
    if (reason === 'peer-protocol' || reason === 'link-violation') return 'protocol-violation';
    if (wsaError === WSAECONNABORTED) return 'peer-died';
    // Anything else is a failure of this side, which the peer sees as a reset.
    return wsaError === WSAECONNRESET ? 'reset-by-peer' : 'reset';
  }

  #closeCompanion(cause: CloseCause): void {
    if (!this.#companionOpen) return;
    this.#companionOpen = false;
    this.#services.connections.delete(this);
    this.#services.waitingWrites.remove(this);
    this.#waiting?.set(false);
    this.#closeSocket();
    this.#services.released(this.#carrier);
    this.onClosed?.();
    this.onClosed = null;
    this.events?.onClosed?.(cause, this.#services.now() - this.#established);
  }

  #socketOpen = true;

  #closeSocket(): void {
    if (!this.#socketOpen) return;
    this.#rdma?.release();
    this.#socketOpen = false;
    this.#memory.release();
    this.#table.WSPCloseSocket(this.#socket, this.#errno);
  }

  // ---- what the session tells

  onNegotiated(): void {
    const { trace } = this.#services;
    if (trace !== null) {
      trace('negotiation received', this.provider, this.#socket, '');
      if (!this.#initiator) this.#traceNegotiation();
      this.#traceData = true;
    }
    const handler = this.negotiation;
    this.negotiation = null;
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

  onUrgent(chunk: Buffer): void {
    const { events } = this;
    if (events?.onUrgent !== undefined) events.onUrgent(chunk);
    else if (chunk.length > 1) this.onData(chunk.subarray(0, -1));
  }

  onEnd(): void {
    if (this.#deferred !== null) this.#runDeferred();
    this.events?.onEnd();
  }

  onError(wsaError: number): void {
    this.#runDeferred();
    if (this.negotiation !== null) this.#negotiationFailed(wsaError);
    else this.events?.onError(wsaError);
  }

  onViolation(what: string): void {
    this.#services.trace?.('protocol violation', this.provider, this.#socket, what);
    this.#services.count('peer-protocol');
    this.#session.lost(WSAECONNRESET);
    this.#closeCompanion('protocol-violation');
  }

  onFinished(ending: Ending): void {
    this.#closeCompanion(ending);
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
