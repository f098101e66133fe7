/**
 * The connection of a SAN socket: its place on a link, its posted receive buffers, and how it begins and ends.
 *
 * Both sides say close exactly once; only then is the slot free, because nothing that names it can be under way. A side
 * that is told close answers at once by itself, so that a switch that is slow to close holds nothing up.
 */

import {
  type MemoryRegion,
  type Out,
  WSA_OPERATION_ABORTED,
  type WSABUF,
  WSAECONNABORTED,
  WSAECONNREFUSED,
  WSAECONNRESET,
  WSAENOBUFS,
  WSAETIMEDOUT,
  type WSAOVERLAPPED,
  type WSPUPCALLTABLEEX,
  WSS_OPERATION_IN_PROGRESS,
} from '../../spi/index.js';
import type { AwaitingConnection, ConnectionOwner, ConnectionServices } from './connection-face.js';
import type { AcceptingLink, ConnectionLink, LinkConnection } from './link-face.js';
import type { RdmaRegistrations } from './memory.js';
import { Outbox } from './outbox.js';
import { RdmaTransfers, type TransfersOwner } from './rdma-transfers.js';
import {
  RDMA_DATA_SIZE,
  RDMA_READ_SIZE,
  RDMA_WRITE_SIZE,
  RECORD_MOVE,
  RECORD_RDMA_DATA,
  RECORD_RDMA_READ,
  RECORD_RDMA_WRITE,
  REFUSED_BY_SWITCH,
  REFUSED_NO_LISTENER,
} from './records.js';
import type { RegistrationCache } from './registration-cache.js';
import { Remains } from './remains.js';
import type { Scheduler } from './scheduler.js';

/** Bytes of a message that comes before a buffer is posted: at least a negotiation message (WSD-NEG-9, WSD-NEG-13). */
const privateSize = 256;
/** Up to this size a loop over words is cheaper than making the view that `set` needs. */
const wordLoopMax = 96;

/** Posted buffers for which there is room at first; a power of two. */
const initialCapacity = 8;

/**
 * `arriving`: it has moved here, and the peer has not answered; to the switch it is as good as connected. `leaving`: closed
 * before that. `moved`: it goes on in another process.
 */
type State = 'connecting' | 'cancelled' | 'connected' | 'torn-down' | 'arriving' | 'leaving' | 'moved';

export class Connection implements LinkConnection, AwaitingConnection, TransfersOwner {
  readonly #owner: ConnectionOwner;
  readonly #upcalls: WSPUPCALLTABLEEX;
  readonly scheduler: Scheduler;
  link: ConnectionLink;
  readonly #services: ConnectionServices;
  #initiator: boolean;
  /** The peer has said that it moves. */
  #peerMoves = false;
  /** Meanwhile the link, or the place on it, has gone. */
  #adrift = false;
  id = 0;
  generation = 0;
  #state: State;
  /** Why data calls fail once the connection is torn down. */
  error = 0;
  /** After the link was lost: messages that the peer never took. */
  unconsumed = 0;
  #closeSent = false;
  /** Ends of operations are not told: WSPCleanup ends them (WSD-CLS-24). */
  #silent = false;
  #overlapped: (WSAOVERLAPPED | null)[] = new Array(initialCapacity).fill(null);
  #buffers: (WSABUF | null)[] = new Array(initialCapacity).fill(null);
  #first = 0;
  #count = 0;
  #transfers: RdmaTransfers | null = null;
  #privateMessage: { memory: MemoryRegion; length: number } | null = null;
  readonly #errno: Out<number> = { value: 0 };

  constructor(owner: ConnectionOwner, services: ConnectionServices, link: ConnectionLink, initiator: boolean) {
    this.#owner = owner;
    this.#upcalls = services.upcalls;
    this.scheduler = services.scheduler;
    this.link = link;
    this.#services = services;
    this.#initiator = initiator;
    this.#state = link instanceof Outbox ? 'arriving' : initiator ? 'connecting' : 'connected';
  }

  get isConnected(): boolean {
    return this.#state === 'connected' || this.#state === 'arriving';
  }

  /** Connected, with a peer that has answered. */
  get isSettled(): boolean {
    return this.#state === 'connected' && !this.#peerMoves;
  }

  get postedCount(): number {
    return this.#count;
  }

  // ---- receiving

  /** Posts a buffer. What arrived before comes first, one message a buffer (WSD-NEG-10). */
  post(buffer: WSABUF, overlapped: WSAOVERLAPPED): void {
    overlapped.Internal = WSS_OPERATION_IN_PROGRESS;
    // The caller must have its answer before the completion: it may still be posting.
    if (this.#privateMessage !== null && this.#count === 0) this.scheduler.soon(() => this.#handOver());
    if (this.#count === this.#buffers.length) this.#grow();
    const at = (this.#first + this.#count) & (this.#buffers.length - 1);
    this.#overlapped[at] = overlapped;
    this.#buffers[at] = buffer;
    this.#count++;
  }

  #grow(): void {
    const size = this.#buffers.length;
    const overlapped = new Array<WSAOVERLAPPED | null>(2 * size).fill(null);
    const buffers = new Array<WSABUF | null>(2 * size).fill(null);
    for (let k = 0; k < this.#count; k++) {
      const from = (this.#first + k) & (size - 1);
      overlapped[k] = this.#overlapped[from];
      buffers[k] = this.#buffers[from];
    }
    this.#overlapped = overlapped;
    this.#buffers = buffers;
    this.#first = 0;
  }

  receive(region: MemoryRegion, offset: number, length: number): void {
    if (this.#state !== 'connected') return;
    if (this.#privateMessage !== null) this.#handOver();
    if (this.#count > 0) this.#fill(region, offset, length);
    else if (this.#privateMessage === null && length <= privateSize) this.#keep(region, offset, length);
    else this.violate();
  }

  #keep(region: MemoryRegion, offset: number, length: number): void {
    const memory = new ArrayBuffer(privateSize);
    const bytes = new Uint8Array(memory);
    bytes.set(region.bytes.subarray(offset, offset + length));
    this.#privateMessage = { memory: { bytes, words: new Int32Array(memory) }, length };
  }

  /** The private message comes before any other (WSD-NEG-10). */
  #handOver(): void {
    const early = this.#privateMessage;
    if (early === null || this.#count === 0) return;
    this.#privateMessage = null;
    this.#fill(early.memory, 0, early.length);
  }

  #fill(region: MemoryRegion, offset: number, length: number): void {
    if (this.#count === 0 || this.#state !== 'connected') return;
    const at = this.#first;
    const buffer = this.#buffers[at]!;
    if (length > buffer.len) {
      this.violate();
      return;
    }
    const overlapped = this.#overlapped[at]!;
    this.#buffers[at] = null;
    this.#overlapped[at] = null;
    this.#first = (at + 1) & (this.#buffers.length - 1);
    this.#count--;
    if (length <= wordLoopMax) {
      const source = region.words;
      const target = buffer.buf.words;
      let i = offset >> 2;
      let j = buffer.offset >> 2;
      const end = i + (length >> 2);
      while (i < end) target[j++] = source[i++];
      // Nothing behind the message is written: the memory there is the program's.
      for (let k = length & ~3; k < length; k++) buffer.buf.bytes[buffer.offset + k] = region.bytes[offset + k];
    } else {
      buffer.buf.bytes.set(region.bytes.subarray(offset, offset + length), buffer.offset);
    }
    this.#complete(overlapped, 0, length);
  }

  // ---- sending

  /** Room for a message, on the ring unless it has to wait. To be filled and committed before anything else. */
  begin(length: number, buffer: WSABUF): void {
    if (this.#transfers === null || !this.#transfers.begin(length, buffer)) this.link.begin(length, buffer);
  }

  /** False: the message waits, for wire or for RDMA before it, and `overlapped` is completed later. */
  commit(length: number, overlapped: WSAOVERLAPPED): boolean {
    if (this.#transfers?.commit(length, overlapped) === true) return false;
    return this.link.commit(length, this.id, overlapped);
  }

  // ---- RDMA

  get rdma(): RdmaRegistrations {
    return this.#owner.rdma;
  }

  get cache(): RegistrationCache {
    return this.#owner.cache;
  }

  get transfers(): RdmaTransfers {
    this.#transfers ??= new RdmaTransfers(this);
    return this.#transfers;
  }

  handleRdma(type: number, { bytes, words }: MemoryRegion, offset: number, length: number): boolean {
    const i = offset >> 2;
    const connected = this.#state === 'connected';
    const descriptor = (): Uint8Array => bytes.subarray(offset + 16, offset + 32);
    if (type === RECORD_RDMA_WRITE && length > RDMA_WRITE_SIZE) {
      const data = bytes.subarray(offset + RDMA_WRITE_SIZE, offset + length);
      if (connected && !this.rdma.write(descriptor(), words[i + 3], data)) this.violate();
    } else if (type === RECORD_RDMA_READ && length === RDMA_READ_SIZE) {
      if (connected) this.transfers.answer(descriptor(), words[i + 3], words[i + 8], words[i + 9]);
    } else if (type === RECORD_RDMA_DATA && length > RDMA_DATA_SIZE) {
      if (connected) this.transfers.take(bytes.subarray(offset + RDMA_DATA_SIZE, offset + length));
    } else {
      return false;
    }
    return true;
  }

  #complete(overlapped: WSAOVERLAPPED, error: number, bytes: number): void {
    overlapped.OffsetHigh = error;
    overlapped.Offset = 0;
    if ((overlapped.hEvent & 1) === 0 && !this.#silent) {
      this.#upcalls.WPUCompleteOverlappedRequest(this.#owner.switchHandle, overlapped, error, bytes, this.#errno);
    } else {
      overlapped.InternalHigh = bytes;
      overlapped.Internal = error;
    }
  }

  sent(overlapped: WSAOVERLAPPED, wsaError: number, bytes: number): void {
    this.#complete(overlapped, wsaError, bytes);
  }

  #completeAll(error: number): void {
    this.#transfers?.end(error);
    this.link.endSends(this.id, this, error);
    while (this.#count > 0) {
      const at = this.#first;
      const overlapped = this.#overlapped[at]!;
      this.#overlapped[at] = null;
      this.#buffers[at] = null;
      this.#first = (at + 1) & (this.#buffers.length - 1);
      this.#count--;
      this.#complete(overlapped, error, 0);
    }
  }

  /** True if a posted buffer, or one of an RDMA operation, lies in the range (WSD-MEM-17). */
  isInUse(region: MemoryRegion, offset: number, length: number): boolean {
    if (this.#transfers?.uses(region, offset, length) === true) return true;
    for (let k = 0; k < this.#count; k++) {
      const buffer = this.#buffers[(this.#first + k) & (this.#buffers.length - 1)]!;
      if (buffer.buf === region && buffer.offset < offset + length && buffer.offset + buffer.len > offset) return true;
    }
    return false;
  }

  // ---- beginning

  accepted(): void {
    if (this.#state === 'cancelled') {
      this.#sayClose();
    } else if (this.#state === 'arriving' || this.#state === 'leaving') {
      this.#arrived();
    } else if (this.#state === 'connecting') {
      this.#state = 'connected';
      this.#owner.connectEnded(0, null);
    }
  }

  refused(cause: number): void {
    if (this.#state === 'arriving' || this.#state === 'leaving') {
      this.#place!.link.release(this.id);
      this.arrivalFailed(WSAECONNRESET);
      return;
    }
    const wanted = this.#state === 'connecting';
    if (!wanted && this.#state !== 'cancelled') {
      this.violate();
      return;
    }
    this.#state = 'torn-down';
    this.link.release(this.id);
    if (!wanted) return;
    if (cause === REFUSED_BY_SWITCH) this.#owner.connectEnded(WSAECONNREFUSED, 'refused');
    else if (cause === REFUSED_NO_LISTENER) {
      if (!this.#owner.connectElsewhere()) this.#owner.connectEnded(WSAETIMEDOUT, 'no-listener');
    } else this.#owner.connectEnded(WSAENOBUFS, 'resources-exhausted');
  }

  /** The budget is spent: true if the request could be withdrawn, false if the acceptor's answer is on the way. */
  withdraw(): boolean {
    if (this.#state !== 'connecting' || !this.link.withdraw(this.id, this.generation)) return false;
    this.#state = 'torn-down';
    this.link.release(this.id);
    return true;
  }

  // ---- moving to another process (section 18 of the digest)

  /** The connection goes on in that process: posted receives end with success and nothing in them (WSD-DUP-23). */
  duplicate(processId: number, nonce: Int32Array): void {
    this.link.sendRecord([RECORD_MOVE, this.id, this.generation, processId, ...nonce]);
    this.#state = 'moved';
    this.#completeAll(0);
  }

  /** The link on which it goes on here, once there is one. */
  #place: { readonly link: ConnectionLink; readonly generation: number } | null = null;

  /** Called once when the peer has answered, or cannot. */
  onArrival: (() => void) | null = null;

  /** It has moved here, and the peer is asked on this link. */
  arriveOn(link: ConnectionLink, id: number, generation: number): void {
    this.#place = { link, generation };
    this.id = id;
    this.generation = generation;
  }

  #arrived(): void {
    const { link } = this.#place!;
    const outbox = this.link as Outbox;
    this.link = link;
    const wanted = this.#state === 'arriving';
    this.#state = wanted ? 'connected' : 'torn-down';
    outbox.moveTo(link, this.id, this);
    if (!wanted) this.#sayClose();
    this.onArrival?.();
  }

  /** The peer does not know of it, or cannot be reached. */
  arrivalFailed(error: number): void {
    const told = this.#state === 'arriving';
    this.#closeSent = true;
    this.#state = 'torn-down';
    this.error = error;
    if (told) this.#completeAll(error);
    this.onArrival?.();
  }

  peerMoves(processId: number, nonce: Int32Array): void {
    if (this.#state !== 'connected' || this.#peerMoves) return;
    this.#peerMoves = true;
    this.#services.moves.expect(this, processId, nonce);
  }

  /** The peer goes on at another place: that stands before the old one is given up. False: it does not want any more. */
  rebind(link: AcceptingLink, id: number, generation: number): boolean {
    if (!link.accept(id, generation, this)) return false;
    if (!this.#adrift) {
      this.link.replace(this.id, new Remains(this.link, this.id, this.#initiator));
      this.link.sendClose(this.id, this.generation);
    }
    this.#owner.linkChanged();
    this.#peerMoves = false;
    this.#adrift = false;
    this.#closeSent = false;
    this.#initiator = false;
    const before = this.link;
    this.link = link;
    this.id = id;
    this.generation = generation;
    if (before instanceof Outbox) before.moveTo(link, id, this);
    return true;
  }

  /** The peer has not come back (WSD-DUP-41). */
  peerLost(): void {
    this.#peerMoves = false;
    if (!this.#adrift) this.#sayClose();
    this.#tearDown(WSAECONNRESET);
  }

  // ---- ending

  /** WSPCloseSocket: what is pending is aborted, and the peer is told (WSD-CLS-8, WSD-CLS-10). */
  close(silently = false): void {
    this.#silent = silently;
    if (this.#state === 'connecting') {
      if (!this.withdraw()) this.#state = 'cancelled';
      return;
    }
    if (this.#peerMoves) this.#services.moves.giveUp(this);
    if (this.#state === 'arriving') {
      this.#state = 'leaving';
    } else if (this.#state === 'connected' || this.#state === 'moved') {
      if (this.#state === 'connected') {
        this.#transfers?.flush();
        this.#owner.connectionEnding();
      }
      this.#state = 'torn-down';
      if (!this.#adrift) this.#sayClose();
    }
    this.#privateMessage = null;
    this.#completeAll(WSA_OPERATION_ABORTED);
  }

  closedByPeer(): void {
    if (!this.#closeSent) this.#sayClose();
    if (this.#initiator) this.link.release(this.id);
    else this.link.forget(this.id);
    // Where it was it is closed; it goes on elsewhere.
    if (this.#peerMoves && this.#state === 'connected') {
      this.#adrift = true;
      this.link = new Outbox();
      return;
    }
    this.#tearDown(WSAECONNRESET);
    if (this.#state === 'connecting') {
      // Neither accepted nor refused: no correct peer does that.
      this.#state = 'torn-down';
      this.#owner.connectEnded(WSAETIMEDOUT, 'peer-protocol');
    }
  }

  linkLost(unconsumed: number, violated: boolean): void {
    if (this.#peerMoves && this.#state === 'connected') {
      this.#adrift = true;
      // The old link, and its memory, is not kept for somebody who may never come.
      this.link = new Outbox();
      return;
    }
    this.unconsumed = unconsumed + (this.#transfers?.fencedCount ?? 0);
    if (violated) this.#owner.reason = 'link-violation';
    this.#closeSent = true;
    if (this.#state === 'connecting') {
      this.#state = 'torn-down';
      this.#owner.connectEnded(WSAETIMEDOUT, 'peer-gone');
    } else if (this.#state === 'arriving' || this.#state === 'leaving') {
      this.arrivalFailed(WSAECONNABORTED);
    } else {
      this.#tearDown(WSAECONNABORTED);
    }
  }

  /** The peer broke the rules of this connection; only this one ends (decision 6). */
  violate(): void {
    if (this.#state === 'connected') {
      this.#owner.reason = 'peer-protocol';
      this.#services.violated();
    }
    this.#sayClose();
    this.#tearDown(WSAECONNRESET);
  }

  #tearDown(error: number): void {
    if (this.#state !== 'connected') return;
    this.#owner.connectionEnding();
    this.#state = 'torn-down';
    this.error = error;
    this.#completeAll(error);
  }

  #sayClose(): void {
    if (this.#closeSent) return;
    this.#closeSent = true;
    this.link.sendClose(this.id, this.generation);
  }
}
