/**
 * RDMA of one connection, for large sends of its session: registers memory when data really goes by it (WSD-MEM-27), starts
 * the operations, and gives memory back when both sides are done with it (WSD-MEM-28).
 *
 * For sending the program's own memory is registered, so nothing is copied here. Memory for receiving is cut from a slab,
 * and belongs to the program afterwards.
 */

import type { SessionRdma } from '../session/index.js';
import {
  MEM_READ,
  MEM_WRITE,
  type MemoryHandle,
  type Out,
  type ProviderSocket,
  type RdmaDescriptor,
  WSA_IO_PENDING,
  WSA_OPERATION_ABORTED,
  type WSABUFEX,
  WSAOVERLAPPED,
} from '../spi/index.js';
import type { StartedProvider } from './provider-table.js';
import { type Range, type RdmaMemory, rangeOf } from './rdma-memory.js';

/** Most bytes of one read, if the provider allows as many: what a cache holds. */
const readMax = 262_144;

/** Who has a connection with RDMA. */
export interface RdmaOwner {
  /** The connection has its first large transfer. */
  rdmaBegins(): void;
  /** What was pending has come to its end: the bytes that were read, or null for a write. */
  transferred(bytes: Buffer | null): void;
  /** An operation has failed, and the connection is lost. */
  rdmaFailed(wsaError: number): void;
  /** Closes the SAN socket, which ends all that goes on (WSD-BLK-6). */
  cutOff(): void;
}

/** One WSPRdmaRead or WSPRdmaWrite, with the local memory that is registered for it. */
export class RdmaOperation extends WSAOVERLAPPED {
  /** Its end has been told: possibly inside the call that starts it (WSD-OVL-5). */
  told = false;
  constructor(
    readonly isRead: boolean,
    readonly memory: Range,
    readonly handle: MemoryHandle,
  ) {
    super();
  }
}

/** A write into the peer's memory, in operations one after the other. */
interface Writing {
  readonly source: Range;
  readonly handle: MemoryHandle;
  readonly descriptor: RdmaDescriptor;
  /** Bytes that have been written. */
  done: number;
}

/** Memory that the peer may reach. */
interface Exposed {
  readonly memory: Range;
  readonly descriptor: RdmaDescriptor;
}

export class Rdma implements SessionRdma {
  readonly #provider: StartedProvider;
  readonly #memory: RdmaMemory;
  readonly #socket: ProviderSocket;
  readonly #owner: RdmaOwner;
  /** What the peer may read, and where it may write. */
  #exposed: Exposed | null = null;
  #granted: Exposed | null = null;
  #writing: Writing | null = null;
  #begun = false;
  /** The operation that a call is just starting. */
  #starting: RdmaOperation | null = null;
  readonly #pending = new Set<RdmaOperation>();
  readonly #errno: Out<number> = { value: 0 };
  readonly #bytes: Out<number> = { value: 0 };
  readonly #flags: Out<number> = { value: 0 };

  constructor(provider: StartedProvider, memory: RdmaMemory, socket: ProviderSocket, owner: RdmaOwner) {
    this.#provider = provider;
    this.#memory = memory;
    this.#socket = socket;
    this.#owner = owner;
  }

  // ---- memory for the peer

  expose(bytes: Uint8Array): Uint8Array | null {
    this.#exposed = this.#register(rangeOf(bytes), MEM_READ);
    return this.#exposed?.descriptor ?? null;
  }

  conceal(): void {
    this.#deregister(this.#exposed);
    this.#exposed = null;
  }

  grant(length: number): Uint8Array | null {
    const memory = this.#memory.cut(length);
    this.#granted = memory && this.#register(memory, MEM_WRITE);
    return this.#granted?.descriptor ?? null;
  }

  takeGranted(): Buffer {
    const { memory } = this.#granted!;
    this.#deregister(this.#granted);
    this.#granted = null;
    return bufferOf(memory);
  }

  #begin(): void {
    if (this.#begun) return;
    this.#begun = true;
    this.#owner.rdmaBegins();
  }

  #register(memory: Range, access: number): Exposed | null {
    this.#begin();
    const descriptor = this.#memory.expose(this.#socket, memory, access);
    return descriptor && { memory, descriptor };
  }

  /** False: the peer is just using it. */
  #deregister(exposed: Exposed | null): boolean {
    if (exposed === null) return true;
    const { descriptor } = exposed;
    const { WSPDeregisterRdmaMemory } = this.#provider.extensions;
    return WSPDeregisterRdmaMemory(this.#socket, descriptor, descriptor.length, this.#errno) === 0;
  }

  // ---- operations

  get readMax(): number {
    return Math.min(readMax, this.#provider.rdmaSizeMax);
  }

  read(descriptor: Uint8Array, offset: number, length: number): Buffer | 'pending' | 'failed' {
    const memory = this.#memory.cut(length);
    const handle = memory && this.#registerLocal(memory, MEM_WRITE);
    if (memory === null || handle === null) return 'failed';
    const result = this.#start(new RdmaOperation(true, memory, handle), memory, descriptor, offset);
    if (result === 'pending') return result;
    this.#deregisterLocal(handle);
    return result === 'done' ? bufferOf(memory) : 'failed';
  }

  write(bytes: Uint8Array, descriptor: Uint8Array): 'done' | 'pending' | 'failed' {
    const source = rangeOf(bytes);
    const handle = this.#registerLocal(source, MEM_READ);
    if (handle === null) return 'failed';
    this.#writing = { source, handle, descriptor, done: 0 };
    const result = this.#writeOn(this.#writing);
    if (result !== 'pending') this.#endWriting();
    return result;
  }

  /** No operation is larger than the provider allows (WSD-XFR-9). */
  #writeOn(writing: Writing): 'done' | 'pending' | 'failed' {
    const { source, handle, descriptor } = writing;
    while (writing.done < source.length) {
      const length = Math.min(source.length - writing.done, this.#provider.rdmaSizeMax);
      const part = { region: source.region, offset: source.offset + writing.done, length };
      const result = this.#start(new RdmaOperation(false, part, handle), part, descriptor, writing.done);
      if (result !== 'done') return result;
      writing.done += length;
    }
    return 'done';
  }

  #endWriting(): void {
    const writing = this.#writing;
    this.#writing = null;
    if (writing !== null) this.#deregisterLocal(writing.handle);
  }

  #registerLocal({ region, offset, length }: Range, access: number): MemoryHandle | null {
    const { WSPRegisterMemory } = this.#provider.extensions;
    return WSPRegisterMemory(this.#socket, region, offset, length, access, this.#errno);
  }

  #deregisterLocal(handle: MemoryHandle): void {
    this.#provider.extensions.WSPDeregisterMemory(this.#socket, handle, this.#errno);
  }

  #start(
    operation: RdmaOperation,
    { region, offset, length }: Range,
    descriptor: RdmaDescriptor,
    target: number,
  ): 'done' | 'pending' | 'failed' {
    this.#begin();
    const { WSPRdmaRead, WSPRdmaWrite } = this.#provider.extensions;
    const call = operation.isRead ? WSPRdmaRead! : WSPRdmaWrite;
    const buffer: WSABUFEX = { len: length, buf: region, offset, handle: operation.handle };
    this.#starting = operation;
    const result = call(
      this.#socket,
      [buffer],
      1,
      descriptor,
      descriptor.length,
      target,
      null,
      0,
      operation,
      null,
      null,
      this.#errno,
    );
    this.#starting = null;
    if (result === 0 || operation.told) return this.#outcome(operation) === 0 ? 'done' : 'failed';
    if (this.#errno.value !== WSA_IO_PENDING) return 'failed';
    this.#pending.add(operation);
    return 'pending';
  }

  /** 0 or the error with which it has ended (WSD-XFR-21). */
  #outcome(operation: RdmaOperation): number {
    const { table } = this.#provider;
    if (table.WSPGetOverlappedResult(this.#socket, operation, this.#bytes, false, this.#flags, this.#errno)) {
      return this.#bytes.value === operation.memory.length ? 0 : WSA_OPERATION_ABORTED;
    }
    return this.#errno.value || WSA_OPERATION_ABORTED;
  }

  /** The provider says that it has ended; while it is being started, the caller of that looks after it. */
  completed(operation: RdmaOperation, wsaError: number): void {
    operation.told = true;
    if (operation === this.#starting || !this.#pending.delete(operation) || wsaError === WSA_OPERATION_ABORTED) return;
    const error = wsaError === 0 ? this.#outcome(operation) : wsaError;
    if (operation.isRead) this.#readEnded(operation, error);
    else this.#writeEnded(operation, error);
  }

  #readEnded({ memory, handle }: RdmaOperation, error: number): void {
    this.#deregisterLocal(handle);
    if (error === 0) this.#owner.transferred(bufferOf(memory));
    else this.#owner.rdmaFailed(error);
  }

  #writeEnded({ memory }: RdmaOperation, error: number): void {
    const writing = this.#writing;
    if (writing === null) return;
    writing.done += memory.length;
    const result = error === 0 ? this.#writeOn(writing) : 'failed';
    if (result === 'pending') return;
    this.#endWriting();
    if (result === 'done') this.#owner.transferred(null);
    else this.#owner.rdmaFailed(error || this.#errno.value);
  }

  // ---- ending

  end(): void {
    const reached = !this.#deregister(this.#exposed);
    if (!reached) this.#exposed = null;
    const running = [...this.#pending].some(({ isRead }) => !isRead);
    if (reached || running) this.#owner.cutOff();
  }

  /** Before WSPCloseSocket: gives back what no transfer is using (WSD-MEM-29). */
  release(): void {
    this.#deregister(this.#exposed);
    this.#deregister(this.#granted);
    this.#exposed = null;
    this.#granted = null;
    for (const { isRead, handle } of this.#pending) if (isRead) this.#deregisterLocal(handle);
    this.#endWriting();
  }
}

function bufferOf({ region, offset, length }: Range): Buffer {
  const { buffer, byteOffset } = region.bytes;
  return Buffer.from(buffer as ArrayBuffer, byteOffset + offset, length);
}
