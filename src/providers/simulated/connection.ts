/**
 * The connection of a SAN socket as its NIC has it: posted receive buffers, operations under way, the completion queue.
 *
 * The NIC works at once and needs no event loop. What it has done is told to the event loop in order, through the completion
 * queue, whenever that loop gets to it; only then has the process taken it.
 */

import {
  MEM_READ,
  MEM_WRITE,
  type MemoryRegion,
  type RdmaDescriptor,
  WSA_OPERATION_ABORTED,
  type WSABUF,
  WSAECONNABORTED,
  WSAECONNRESET,
  WSAETIMEDOUT,
  type WSAOVERLAPPED,
  WSS_OPERATION_IN_PROGRESS,
} from '../../spi/index.js';
import type { RdmaRegistrations } from './memory.js';
import { bytesOf, gather, type Operation, operationOf, scatter } from './operation.js';
import type { ConnectRequest, Requester } from './request.js';
import { Pipe, type Timing, travelTime } from './wire.js';
import type { Process } from './world.js';

/** Bytes of a private buffer: a negotiation message (WSD-NEG-9). */
export const PRIVATE_SIZE = 256;

export interface ConnectionOptions extends Timing {
  /** The sender is held back until a buffer is posted (WSD-NEG-12); else there are private buffers (WSD-NEG-9). */
  readonly flowControl: boolean;
  /** Messages that are kept before the first buffer is posted, if there is no flow control (WSD-NEG-13). */
  readonly privateBuffers: number;
  /** WSPSend is done when it returns; else always pending (WSD-OVL-4, WSD-OVL-5). */
  readonly immediateSends: boolean;
}

/** Who owns a connection: its socket. */
export interface ConnectionOwner {
  readonly process: Process;
  readonly rdma: RdmaRegistrations;
  /** An operation has ended. */
  complete(overlapped: WSAOVERLAPPED, error: number, bytes: number): void;
  /** The connect that was under way has ended: 0, or a Winsock error with a reason code. */
  connectEnded(error: number, reason: string | null): void;
}

export class Connection implements Requester {
  readonly #owner: ConnectionOwner;
  readonly #options: ConnectionOptions;
  readonly #out: Pipe;
  readonly #initiator: boolean;
  request: ConnectRequest<Connection> | null = null;
  peer: Connection | null = null;
  /** `moved`: it goes on in another process. */
  #state: 'connecting' | 'cancelled' | 'connected' | 'torn-down' | 'moved';
  /** The same for what one connection is in several processes. */
  origin: object = {};
  /** The NIC takes messages and sends them. */
  #open = false;
  #closeSent = false;
  /** Why data calls fail once the connection is torn down. */
  error = 0;
  /** After the peer was lost: messages that it never took. */
  unconsumed = 0;
  #sent = 0;
  #consumed = 0;
  readonly #posted: Operation[] = [];
  /** The first receive buffers are on their way to the NIC, with all that are posted meanwhile. */
  #late: Operation[] | null = null;
  #everPosted = false;
  /** Messages that wait for a buffer: in private buffers, or held back by flow control. */
  readonly #early: Operation[] = [];
  /** Sends and RDMA operations. */
  readonly #running = new Set<Operation>();
  /** RDMA reads under way, and what must not overtake them (WSD-XFR-34). */
  #reads = 0;
  #fenced: (() => void)[] = [];
  /** Buffers that are filled and of which the event loop has not been told. */
  readonly #filled = new Set<Operation>();
  readonly #queue: (() => void)[] = [];
  #drainDue = false;

  constructor(owner: ConnectionOwner, options: ConnectionOptions, initiator: boolean) {
    this.#owner = owner;
    this.#options = options;
    this.#out = new Pipe(owner.process.world, options);
    this.#initiator = initiator;
    this.#state = initiator ? 'connecting' : 'connected';
    this.#open = !initiator;
  }

  get isConnected(): boolean {
    return this.#state === 'connected';
  }

  get postedCount(): number {
    return this.#posted.length;
  }

  // ---- the completion queue

  #tell(told: () => void): void {
    this.#queue.push(told);
    if (this.#drainDue) return;
    this.#drainDue = true;
    this.#owner.process.schedule(() => this.#drain(), 1 + this.#options.faults.withholding());
  }

  /** What the NIC has done is told now: for a process that ends and whose event loop turns no more. */
  poll(): void {
    this.#drain();
  }

  #drain(): void {
    this.#drainDue = false;
    for (;;) {
      const told = this.#queue.shift();
      if (told === undefined) return;
      told();
    }
  }

  // ---- receiving

  /** Posts a buffer. Early messages come first, one a buffer (WSD-NEG-10). */
  post(buffers: readonly WSABUF[], overlapped: WSAOVERLAPPED): void {
    overlapped.Internal = WSS_OPERATION_IN_PROGRESS;
    const receive = operationOf(buffers, overlapped);
    const delay = this.#initiator || this.#everPosted || this.#late !== null ? 0 : this.#options.faults.postDelay();
    if (delay > 0) {
      this.#late = [];
      this.#owner.process.world.schedule(() => this.#postLate(), delay);
    }
    if (this.#late !== null) this.#late.push(receive);
    else this.#place(receive);
  }

  #postLate(): void {
    const late = this.#late ?? [];
    this.#late = null;
    for (const receive of late) this.#place(receive);
  }

  #place(receive: Operation): void {
    this.#everPosted = true;
    this.#posted.push(receive);
    const message = this.#early.shift();
    if (message !== undefined) this.#fill(message);
  }

  #arrive(message: Operation): void {
    if (!this.#open) return;
    if (this.#early.length === 0 && this.#posted.length > 0) {
      this.#fill(message);
    } else if (this.#options.flowControl) {
      this.#owner.process.world.mark('held back by flow control');
      this.#early.push(message);
    } else if (
      !this.#everPosted &&
      this.#early.length < this.#options.privateBuffers &&
      message.length <= PRIVATE_SIZE
    ) {
      this.#owner.process.world.mark('kept in a private buffer');
      // In the NIC's own memory now.
      this.#early.push({ ...message, bytes: bytesOf(message) });
      this.peer?.delivered(message);
    } else {
      this.#violate('no receive buffer');
    }
  }

  #fill(message: Operation): void {
    const receive = this.#posted.shift()!;
    if (message.length > receive.length) {
      this.#posted.unshift(receive);
      this.#violate('message too long');
      return;
    }
    scatter(bytesOf(message), receive.buffers);
    this.#filled.add(receive);
    this.peer?.delivered(message);
    this.#tell(() => {
      this.#consumed++;
      this.#filled.delete(receive);
      this.#owner.complete(receive.overlapped, 0, message.length);
    });
  }

  // ---- sending

  /** True: done. False: pending. */
  send(buffers: readonly WSABUF[], overlapped: WSAOVERLAPPED): boolean {
    const message = operationOf(buffers, overlapped);
    this.#sent++;
    if (this.#options.immediateSends) message.bytes = gather(message);
    else this.#start(message);
    this.#transmit((peer) => peer.#arrive(message));
    return this.#options.immediateSends;
  }

  #start(operation: Operation): void {
    operation.overlapped.Internal = WSS_OPERATION_IN_PROGRESS;
    this.#running.add(operation);
  }

  #transmit(arrive: (peer: Connection) => void, extra = 0): void {
    this.#afterReads(() => this.#toPeer(arrive, extra));
  }

  #afterReads(send: () => void): void {
    if (this.#reads > 0) this.#fenced.push(send);
    else send();
  }

  #toPeer(arrive: (peer: Connection) => void, extra = 0): void {
    this.#out.send(() => {
      if (this.peer !== null) arrive(this.peer);
    }, extra);
  }

  /** The peer's NIC has it, and its acknowledgement is on the way. */
  delivered(operation: Operation): void {
    if (!this.#running.has(operation)) return;
    const { world } = this.#owner.process;
    world.schedule(() => this.#finish(operation), travelTime(world, this.#options));
  }

  #finish(operation: Operation): void {
    // Aborted or failed meanwhile.
    if (!this.#running.has(operation)) return;
    this.#tell(() => {
      if (this.#running.delete(operation)) this.#owner.complete(operation.overlapped, 0, operation.length);
    });
  }

  // ---- RDMA

  /** Local buffers to RDMA memory of the peer. */
  rdmaWrite(buffers: readonly WSABUF[], descriptor: RdmaDescriptor, offset: number, overlapped: WSAOVERLAPPED): void {
    const operation = operationOf(buffers, overlapped);
    this.#start(operation);
    let done: (() => void) | null = null;
    this.#transmit((peer) => {
      done = peer.#rdmaWriteBegins(descriptor, offset, operation);
    });
    this.#transmit(() => {
      done?.();
      if (done !== null) this.delivered(operation);
    }, operation.length / 1000);
  }

  /** Returns what ends the transfer, or null if it is not allowed. */
  #rdmaWriteBegins(descriptor: RdmaDescriptor, offset: number, operation: Operation): (() => void) | null {
    if (!this.#open) return null;
    const target = this.#owner.rdma.find(descriptor, offset, operation.length, MEM_WRITE);
    if (target === null) {
      this.#violate('RDMA write to what is not registered');
      return null;
    }
    target.transfers++;
    return () => {
      target.transfers--;
      if (this.#open) target.region.bytes.set(bytesOf(operation), target.offset + offset);
    };
  }

  /** RDMA memory of the peer to local buffers. */
  rdmaRead(buffers: readonly WSABUF[], descriptor: RdmaDescriptor, offset: number, overlapped: WSAOVERLAPPED): void {
    const operation = operationOf(buffers, overlapped);
    this.#start(operation);
    this.#afterReads(() => {
      this.#reads++;
      this.#toPeer((peer) => peer.#rdmaReadBegins(descriptor, offset, operation));
    });
  }

  #rdmaReadBegins(descriptor: RdmaDescriptor, offset: number, operation: Operation): void {
    if (!this.#open) return;
    const target = this.#owner.rdma.find(descriptor, offset, operation.length, MEM_READ);
    if (target === null) {
      this.#violate('RDMA read of what is not registered');
      return;
    }
    target.transfers++;
    this.#owner.process.world.schedule(() => {
      target.transfers--;
      if (!this.#open) return;
      const from = target.offset + offset;
      const bytes = target.region.bytes.slice(from, from + operation.length);
      this.#toPeer((peer) => peer.#rdmaReadEnds(operation, bytes));
    }, operation.length / 1000);
  }

  #rdmaReadEnds(operation: Operation, bytes: Uint8Array): void {
    this.#reads--;
    if (this.#running.has(operation)) {
      scatter(bytes, operation.buffers);
      this.#finish(operation);
    }
    while (this.#reads === 0 && this.#fenced.length > 0) this.#fenced.shift()!();
  }

  /** True if a range is posted, or part of an operation whose end has not been told (WSD-MEM-17). */
  isInUse(region: MemoryRegion, offset: number, length: number): boolean {
    const touches = ({ buffers }: Operation): boolean =>
      buffers.some((b) => b.buf === region && b.offset < offset + length && b.offset + b.len > offset);
    return [...this.#posted, ...this.#running, ...this.#filled, ...(this.#late ?? [])].some(touches);
  }

  // ---- beginning

  /** Sends the request on its way. */
  connect(request: ConnectRequest<Connection>, arrive: () => void): void {
    this.request = request;
    this.#out.send(arrive);
  }

  /** The acceptor's side: joined with the initiator's, which is told. */
  accept(initiator: Connection): void {
    this.peer = initiator;
    initiator.peer = this;
    this.#out.send(() => initiator.#accepted());
  }

  #accepted(): void {
    if (this.#state === 'connecting') {
      this.#open = true;
      this.#tell(() => {
        if (this.#state !== 'connecting') return;
        this.#state = 'connected';
        this.#owner.connectEnded(0, null);
      });
    } else if (this.#state === 'cancelled') {
      this.#sayClose();
    }
  }

  refused(error: number, reason: string | null): void {
    this.#tell(() => {
      if (this.#state !== 'connecting') return;
      this.#state = 'torn-down';
      this.#owner.connectEnded(error, reason);
    });
  }

  /** The budget is spent: true if the request could be withdrawn, false if the acceptor's answer is on the way. */
  withdraw(): boolean {
    if (this.#state !== 'connecting' || this.request?.withdraw() !== true) return false;
    this.#state = 'torn-down';
    return true;
  }

  /** The budget is spent. If the acceptor was faster, its answer decides; both ends must never decide differently. */
  expire(): void {
    if (this.#state !== 'connecting' || this.request?.withdraw() !== true) return;
    this.#owner.process.world.mark('connect budget expired');
    this.refused(WSAETIMEDOUT, 'connect-timeout');
  }

  // ---- moving to another process (section 18 of the digest)

  /** Posted receives end with success and nothing in them (WSD-DUP-23); nothing is sent or told any more. */
  leave(): void {
    this.#state = 'moved';
    this.#open = false;
    this.#completeAll(0);
  }

  /** What `former` was in another process goes on here; the peer's NIC is told before anything else (WSD-DUP-37). */
  arrive(former: Connection): void {
    this.origin = former.origin;
    this.#state = 'connected';
    this.#open = true;
    this.#sent = former.#sent;
    this.#consumed = former.#consumed;
    this.peer = former.peer;
    this.#toPeer((peer) => peer.#rebind(this));
  }

  #rebind(mover: Connection): void {
    this.peer = mover;
    if (this.#open) return;
    // It has ended meanwhile, and told so where nobody was any more.
    if (this.#owner.process.isAlive) this.#toPeer((peer) => peer.#closedByPeer());
    else this.#toPeer((peer) => peer.#peerLost());
  }

  /** The process is gone to which the peer was to move (WSD-DUP-41). */
  moverLost(): void {
    if (!this.#open) return;
    this.#closeSent = true;
    this.#lose(WSAECONNRESET);
  }

  // ---- ending

  /** WSPCloseSocket: what is pending is aborted, what was sent still arrives, then the peer is told (WSD-CLS-8, WSD-CLS-10). */
  close(): void {
    if (this.#state === 'connecting') {
      if (this.withdraw()) return;
      this.#state = 'cancelled';
      // Its acceptance may have arrived without the event loop having seen it.
      if (this.#open) this.#sayClose();
      return;
    }
    if (this.#state === 'connected') {
      this.#state = 'torn-down';
      this.#sayClose();
    }
    this.#completeAll(WSA_OPERATION_ABORTED);
  }

  #sayClose(): void {
    this.#open = false;
    if (this.#closeSent) return;
    this.#closeSent = true;
    // Nothing is fenced any more: what was read has nowhere to go.
    for (const send of this.#fenced.splice(0)) send();
    this.#reads = 0;
    this.#toPeer((peer) => peer.#closedByPeer());
  }

  #closedByPeer(): void {
    this.#lose(WSAECONNRESET);
    this.#sayClose();
  }

  /** The process of this connection has been killed. What it sent still arrives. */
  processKilled(): void {
    this.#open = false;
    this.request?.withdraw();
    if (!this.#closeSent && this.#state !== 'moved') this.#toPeer((peer) => peer.#peerLost());
    this.#closeSent = true;
  }

  #peerLost(): void {
    this.unconsumed = this.#sent - (this.peer === null ? 0 : this.peer.#consumed);
    this.#closeSent = true;
    this.#lose(WSAECONNABORTED);
  }

  /** The peer, or somebody who uses its connection, broke the rules; only this connection ends. */
  #violate(what: string): void {
    this.#owner.process.world.mark(`violation: ${what}`);
    this.#lose(WSAECONNRESET);
    this.#sayClose();
  }

  /** What arrived before is told first. */
  #lose(error: number): void {
    if (!this.#open && this.#state !== 'connecting') return;
    this.#open = false;
    this.#early.length = 0;
    this.#tell(() => {
      if (this.#state === 'connecting') {
        this.#state = 'torn-down';
        this.#owner.connectEnded(WSAETIMEDOUT, 'peer-gone');
      }
      if (this.#state !== 'connected') return;
      this.#state = 'torn-down';
      this.error = error;
      this.#completeAll(error);
    });
  }

  /** Every operation whose end has not been told ends, once (WSD-OVL-23). */
  #completeAll(error: number): void {
    this.#early.length = 0;
    this.#queue.length = 0;
    const ending = [...this.#running, ...this.#filled, ...this.#posted.splice(0), ...(this.#late ?? [])];
    this.#late = null;
    // What is on the way must not change when its memory is used for something else (WSD-CLS-11).
    for (const operation of this.#running) operation.bytes ??= gather(operation);
    this.#running.clear();
    this.#filled.clear();
    for (const operation of ending) this.#owner.complete(operation.overlapped, error, 0);
  }
}
