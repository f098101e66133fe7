/** An established SAN connection: the companion socket below, the session in between, the program's stream above. */

import type { CloseCause } from '../diagnostics/channels.js';
import type { ConnectionStatus } from '../diagnostics/status.js';
import { type Ending, Session, type SessionOwner } from '../session/index.js';
import { type ProviderSocket, type SOCKADDR, WSAECONNABORTED, WSAECONNRESET, WSAENOBUFS } from '../spi/index.js';
import { statusOf } from './connection-status.js';
import type { ConnectionEvents, MovableConnection } from './face.js';
import { MessageIo, type MessageIoOwner } from './message-io.js';
import type { MovedConnection } from './moved.js';
import type { Carrier, OpenConnection, Services } from './services.js';
import { SuspensionTimeout } from './suspension-timeout.js';
import type { Handle } from './upcalls.js';
import type { WaitingWriter } from './waiting-writes.js';

/** Small payloads are copied out, so that a program that keeps one does not keep the buffers around it. */
const copyMax = 4096;
const gatherMax = 262144;
/** What Linux's default limits let a stock socket accept: send buffer and the peer's receive buffer. */
const acceptMax = 2_621_440;

/** Told how the negotiation ends, once. */
export interface NegotiationHandler {
  negotiated(connection: Connection): void;
  negotiationFailed(connection: Connection, wsaError: number): void;
}

export class Connection implements MovableConnection, SessionOwner, MessageIoOwner, WaitingWriter, OpenConnection {
  readonly provider: string;
  readonly localAddress: SOCKADDR;
  readonly peerAddress: SOCKADDR;
  events: ConnectionEvents | null = null;
  place = -1;
  /** Called once when the companion is gone. */
  onClosed: (() => void) | null = null;
  readonly #services: Services;
  readonly #carrier: Carrier;
  readonly #io: MessageIo;
  readonly #session: Session;
  readonly #initiator: boolean;
  readonly #handle: Handle | null;
  negotiation: NegotiationHandler | null = null;
  #companionOpen = true;
  #loss = 0;
  readonly #established: number;
  looks = 0;

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
    this.#initiator = initiator;
    this.provider = carrier.provider.name;
    this.localAddress = local;
    this.peerAddress = peer;
    this.#io = new MessageIo(services, carrier, socket, this);
    const { offer, largeThreshold } = carrier;
    this.#session = new Session(this.#io, this, { offer, initiator, copyMax, gatherMax, acceptMax, largeThreshold });
    this.#io.session = this.#session;
    this.#established = services.now();
    this.#handle = handle;
    // Without a handle there is no companion any more, only what has arrived before its end.
    this.#companionOpen = this.#io.open = handle !== null;
    if (handle === null) return;
    handle.target = this.#io;
    services.connections.add(this);
  }

  /** Posts the receive buffers, then negotiates (WSD-CON-18, WSD-NEG-1 to WSD-NEG-5). `handler` is never called before this returns. */
  negotiate(handler: NegotiationHandler): void {
    this.negotiation = handler;
    this.#services.negotiationTimeouts.arm();
    const { postedBuffers } = this.#carrier.offer;
    if (this.#io.postMore(postedBuffers) < postedBuffers) {
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
    this.#services.trace?.('negotiation sent', this.provider, this.#io.socket, `${posted} buffers posted`);
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
    return this.#companionOpen && !this.#io.lost && this.#session.hasUnsent;
  }

  get status(): ConnectionStatus | null {
    const session = this.#session;
    if (!session.negotiated) return null;
    const peerPid = this.#carrier.provider.extensions.diagnostics?.WSPQueryPeerProcess(this.#io.socket) ?? null;
    return statusOf(this, session, this.#initiator, peerPid, this.#services.now() - this.#established);
  }

  endWithProcess(): void {
    const rest = this.events?.unwritten?.() ?? [];
    this.events = null;
    this.#session.endWithProcess(rest);
  }

  // ---- moving to another process (section 18.2 of the digest)

  #waiting: SuspensionTimeout | null = null;

  suspend(done: () => void): void {
    // Not from inside a delivery, of which nobody would get the rest.
    this.#session.suspend(() => this.#services.scheduler.soon(done));
  }

  duplicate(processId: number): MovedConnection | number {
    let info: MovedConnection['info'] = null;
    if (this.#io.lost) this.#settleLoss(this.#loss);
    if (this.#companionOpen) {
      info = { ...this.#carrier.provider.protocolInfo };
      const error = this.#io.duplicate(processId, info);
      if (error !== 0) return error;
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
    if (this.#io.postMore(session.credits.posted) < session.credits.posted) {
      this.#session.lost(WSAENOBUFS);
      this.#closeCompanion('reset');
      return WSAENOBUFS;
    }
    this.#session.resume();
    return 0;
  }

  /** The companion's former descriptor, if `socket` is another one, is given back (WSD-DUP-32); its handle if it is the same. */
  replaceBy(socket: ProviderSocket): Handle | null {
    if (socket !== this.#io.socket) this.closeFormer();
    else this.#io.abandon();
    this.#companionOpen = false;
    return this.#handle;
  }

  closeFormer(): void {
    this.#closeCompanion('ended');
  }

  onPeerSuspended(suspended: boolean): void {
    this.#waiting ??= new SuspensionTimeout(this.#services.scheduler, () => this.lose(WSAECONNRESET));
    this.#waiting.set(suspended);
  }

  /** Other completions may follow in the same call, so what a loss means is settled after it. */
  lose(wsaError: number): void {
    if (this.#io.lost || !this.#companionOpen) return;
    this.#io.lost = true;
    this.#loss = wsaError;
    this.#services.scheduler.soon(() => this.#settleLoss(wsaError));
  }

  #settleLoss(wsaError: number): void {
    const cause = this.#causeOf(wsaError);
    if (wsaError === WSAECONNABORTED) {
      const unconsumed = this.#carrier.provider.extensions.diagnostics?.WSPQueryUnconsumed(this.#io.socket) ?? 1;
      this.#session.peerDied(unconsumed);
    } else {
      this.#session.lost(wsaError);
    }
    this.#closeCompanion(cause);
  }

  #causeOf(wsaError: number): CloseCause {
    const reason = this.#carrier.provider.extensions.diagnostics?.WSPQueryReason(this.#io.socket);
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
    this.#io.close();
    this.#services.released(this.#carrier);
    this.onClosed?.();
    this.onClosed = null;
    this.events?.onClosed?.(cause, this.#services.now() - this.#established);
  }

  // ---- what the session tells

  onNegotiated(): void {
    const { trace } = this.#services;
    if (trace !== null) {
      trace('negotiation received', this.provider, this.#io.socket, '');
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
      this.#services.trace?.('first data received', this.provider, this.#io.socket, `${chunk.length} bytes`);
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
    this.#services.trace?.('protocol violation', this.provider, this.#io.socket, what);
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
