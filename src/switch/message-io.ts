/**
 * Messages on the companion socket of a connection: outgoing buffers, posted receives, RDMA, and their completions.
 *
 * Data path: what the program writes is copied once into the provider's outgoing buffer; what arrives has been copied once
 * into a posted buffer. Nothing is allocated for a message except the Buffer that the program receives.
 */

import { HEADER_SIZE, type Session, type SessionRdma, type SessionWire } from '../session/index.js';
import {
  type Out,
  type ProviderSocket,
  WSA_IO_PENDING,
  WSA_OPERATION_ABORTED,
  type WSABUF,
  type WSAOVERLAPPED,
  type WSAPROTOCOL_INFO,
  type WSPPROC_TABLE,
} from '../spi/index.js';
import { Rdma, RdmaOperation, type RdmaOwner } from './rdma.js';
import { RegisteredMemory } from './registered-memory.js';
import type { Carrier, Services } from './services.js';
import type { ReceiveBuffer, TransferMemory } from './transfer-memory.js';
import type { CompletionTarget } from './upcalls.js';

/** Stands for memory until the first send. */
const noMemory = { bytes: new Uint8Array(0), words: new Int32Array(0) };

/** Told of errors after which the connection is lost. Other completions may follow in the same call. */
export interface MessageIoOwner {
  lose(wsaError: number): void;
}

export class MessageIo implements SessionWire, RdmaOwner, CompletionTarget {
  readonly socket: ProviderSocket;
  readonly #services: Services;
  readonly #carrier: Carrier;
  readonly #table: WSPPROC_TABLE;
  readonly #memory: TransferMemory;
  readonly #owner: MessageIoOwner;
  readonly #errno: Out<number>;
  /** Who gets what arrives. Set before anything is posted. */
  session!: Session;
  /** The socket can be used, and has to be closed. */
  open = true;
  /** The connection is lost. What follows a message that was not sent must not be sent: the peer would take it for what is missing. */
  lost = false;
  #sendBuffer: WSABUF = { len: 0, buf: noMemory, offset: 0 };
  #sendList: readonly WSABUF[] = [this.#sendBuffer];
  #rdma: Rdma | null = null;
  #posting = false;
  /** Nothing but WSPCloseSocket is asked of the socket any more (WSD-DUP-25). */
  #moved = false;
  /** Completions that came inside WSPRecv (WSD-OVL-5), where the session cannot take them, and what came after them. */
  #early: [overlapped: WSAOVERLAPPED, wsaError: number, bytes: number][] | null = null;

  constructor(services: Services, carrier: Carrier, socket: ProviderSocket, owner: MessageIoOwner) {
    this.#services = services;
    this.#carrier = carrier;
    this.#table = carrier.provider.table;
    this.#errno = carrier.errno;
    this.#owner = owner;
    this.socket = socket;
    const { memory, provider, offer } = carrier;
    // One more for answers to large sends, and one for the answer to a suspension.
    const buffers = offer.postedBuffersMax + 2;
    this.#memory = memory ?? new RegisteredMemory(provider, socket, HEADER_SIZE + offer.payloadSize, buffers);
  }

  // ---- sending

  getSendBuffer(length: number): WSABUF | null {
    if (this.lost || !this.open) return null;
    const error = this.#memory.getSendBuffer(this.socket, length, this.#sendBuffer);
    if (error === 0) return this.#sendBuffer;
    this.#owner.lose(error);
    return null;
  }

  send(length: number): void {
    this.#sendBuffer.len = length;
    const overlapped = this.#memory.sendOverlapped;
    if (this.#table.WSPSend(this.socket, this.#sendList, 1, null, 0, overlapped, null, null, this.#errno) === 0) {
      // The memory may be that of a link which is gone long before anything else is sent.
      this.#sendBuffer.buf = noMemory;
      return;
    }
    // Almost every send is done when WSPSend returns, and its record can be used again; others keep theirs.
    if (this.#errno.value === WSA_IO_PENDING) this.#sendPending();
    else this.#owner.lose(this.#errno.value);
  }

  /** The provider keeps record, buffer and list until the send is done (WSD-XFR-28). */
  #sendPending(): void {
    this.#memory.sendPending();
    this.#sendBuffer = { len: 0, buf: noMemory, offset: 0 };
    this.#sendList = [this.#sendBuffer];
  }

  // ---- receiving

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
    const { flags } = this.#carrier;
    this.#posting = true;
    const result = this.#table.WSPRecv(this.socket, buffer.list, 1, null, flags, buffer, null, null, this.#errno);
    this.#posting = false;
    if (result === 0 || this.#errno.value === WSA_IO_PENDING) return;
    // The operation will never be completed (WSD-OVL-6), and the peer counts on the buffer.
    this.#memory.giveReceive(buffer);
    this.#owner.lose(this.#errno.value);
  }

  completed(overlapped: WSAOVERLAPPED, wsaError: number, bytes: number): void {
    if (this.#rdma !== null && overlapped instanceof RdmaOperation) {
      if (this.open) this.#rdma.completed(overlapped, wsaError);
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
      this.session.receive(buffer, bytes);
      return;
    }
    this.#memory.giveReceive(buffer);
    if (wsaError !== WSA_OPERATION_ABORTED && !this.#moved) this.#owner.lose(wsaError);
  }

  // ---- RDMA

  get rdma(): SessionRdma {
    const { provider, rdmaMemory } = this.#carrier;
    this.#rdma ??= new Rdma(provider, rdmaMemory, this.socket, this);
    return this.#rdma;
  }

  rdmaBegins(): void {
    this.#services.trace?.('first large transfer', this.#carrier.provider.name, this.socket, '');
  }

  transferred(bytes: Buffer | null): void {
    this.session.transferred(bytes);
  }

  rdmaFailed(wsaError: number): void {
    this.#owner.lose(wsaError);
  }

  cutOff(): void {
    this.close();
  }

  // ---- ending

  /** WSPDuplicateSocket, with what precedes it (WSD-DUP-14). Receives end inside, with success and nothing in them (WSD-DUP-23). */
  duplicate(processId: number, info: WSAPROTOCOL_INFO): number {
    this.#moved = true;
    this.#memory.releaseSends();
    this.#rdma?.release();
    this.#rdma = null;
    this.#moved = this.#table.WSPDuplicateSocket(this.socket, processId, info, this.#errno) === 0;
    return this.#moved ? 0 : this.#errno.value;
  }

  /** Gives back the memory. The socket is somebody else's. */
  abandon(): void {
    if (!this.open) return;
    this.#rdma?.release();
    this.open = false;
    this.#memory.release();
  }

  close(): void {
    if (!this.open) return;
    this.abandon();
    this.#table.WSPCloseSocket(this.socket, this.#errno);
  }
}
