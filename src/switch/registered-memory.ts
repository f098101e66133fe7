/**
 * Buffers in memory of the switch, for providers that do not lend theirs: two contiguous regions for each connection, one
 * for messages that go out and one for messages that come in, each registered with WSPRegisterMemory (WSD-NEG-14,
 * WSD-MEM-1). Outgoing buffers stay in use until WSPGetOverlappedResult says that their send is done (WSD-OVL-7).
 */

import {
  MEM_READ,
  MEM_WRITE,
  type MemoryHandle,
  type MemoryRegion,
  type Out,
  type ProviderSocket,
  WSA_IO_INCOMPLETE,
  type WSABUF,
  WSAENOBUFS,
  type WSAOVERLAPPED,
} from '../spi/index.js';
import type { StartedProvider } from './provider-table.js';
import { pollOverlapped, ReceiveBuffer, type TransferMemory } from './transfer-memory.js';

/** Regions for sends that one connection may have: a provider that completes sends late needs more than the first. */
const outgoingRegionsMax = 8;

interface Registration {
  readonly region: MemoryRegion;
  readonly handle: MemoryHandle;
}

/** An outgoing buffer and the send that uses it. */
interface Outgoing {
  readonly buf: MemoryRegion;
  readonly offset: number;
  overlapped: WSAOVERLAPPED;
}

function allocate(size: number): MemoryRegion {
  const memory = new ArrayBuffer(size);
  return { bytes: new Uint8Array(memory), words: new Int32Array(memory) };
}

export class RegisteredMemory implements TransferMemory {
  readonly #provider: StartedProvider;
  readonly #socket: ProviderSocket;
  readonly #stride: number;
  readonly #size: number;
  readonly #count: number;
  readonly #registrations: Registration[] = [];
  #incoming: MemoryRegion | null = null;
  #cut = 0;
  readonly #free: ReceiveBuffer[] = [];
  readonly #idle: Outgoing[] = [];
  /** Sends that the provider has not completed, oldest first. */
  readonly #pending: Outgoing[] = [];
  #outgoingRegions = 0;
  #current: Outgoing | null = null;
  readonly #errno: Out<number> = { value: 0 };
  readonly #bytes: Out<number> = { value: 0 };
  readonly #flags: Out<number> = { value: 0 };

  /** `size`: bytes of each buffer; `count`: receive buffers that may be posted at most. */
  constructor(provider: StartedProvider, socket: ProviderSocket, size: number, count: number) {
    this.#provider = provider;
    this.#socket = socket;
    this.#size = size;
    this.#stride = (size + 127) & ~63;
    this.#count = count;
  }

  #register(size: number, access: number): MemoryRegion | null {
    const region = allocate(size);
    const handle = this.#provider.extensions.WSPRegisterMemory(this.#socket, region, 0, size, access, this.#errno);
    if (handle === null) return null;
    this.#registrations.push({ region, handle });
    return region;
  }

  takeReceive(): ReceiveBuffer | null {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    this.#incoming ??= this.#register(this.#count * this.#stride, MEM_WRITE);
    if (this.#incoming === null || this.#cut === this.#count) return null;
    const buffer = new ReceiveBuffer();
    buffer.buf = this.#incoming;
    buffer.offset = this.#cut++ * this.#stride;
    buffer.len = this.#size;
    return buffer;
  }

  giveReceive(buffer: ReceiveBuffer): void {
    this.#free.push(buffer);
  }

  /** The region stays what it is, so what arrives is copied out of it. */
  replaceMemory(): boolean {
    return false;
  }

  getSendBuffer(_socket: ProviderSocket, length: number, buffer: WSABUF): number {
    if (this.#current === null) {
      const error = this.#reclaim();
      if (error !== 0) return error;
      this.#current = this.#idle.pop() ?? this.#grow();
      if (this.#current === null) return WSAENOBUFS;
    }
    buffer.buf = this.#current.buf;
    buffer.offset = this.#current.offset;
    buffer.len = length;
    return 0;
  }

  get sendOverlapped(): WSAOVERLAPPED {
    return this.#current!.overlapped;
  }

  /** Takes back the buffers of all sends that are done; the error of the first that failed. */
  #reclaim(): number {
    const { table } = this.#provider;
    let error = 0;
    while (this.#pending.length > 0) {
      const [oldest] = this.#pending;
      const done = table.WSPGetOverlappedResult(
        this.#socket,
        oldest.overlapped,
        this.#bytes,
        false,
        this.#flags,
        this.#errno,
      );
      if (!done && this.#errno.value === WSA_IO_INCOMPLETE) break;
      this.#pending.shift();
      this.#idle.push(oldest);
      if (!done && error === 0) error = this.#errno.value || WSAENOBUFS;
    }
    return error;
  }

  #grow(): Outgoing | null {
    if (this.#outgoingRegions === outgoingRegionsMax) return null;
    const region = this.#register(this.#count * this.#stride, MEM_READ);
    if (region === null) return null;
    this.#outgoingRegions++;
    for (let i = this.#count - 1; i >= 0; i--) {
      this.#idle.push({ buf: region, offset: i * this.#stride, overlapped: pollOverlapped() });
    }
    return this.#idle.pop()!;
  }

  sendPending(): void {
    this.#pending.push(this.#current!);
    this.#current = null;
  }

  releaseSends(): void {
    this.#reclaim();
    this.#current = null;
    this.#idle.length = 0;
    this.#outgoingRegions = 0;
    const kept: Registration[] = [];
    for (const registration of this.#registrations.splice(0)) {
      const { region, handle } = registration;
      if (region === this.#incoming || this.#pending.some(({ buf }) => buf === region)) kept.push(registration);
      else this.#provider.extensions.WSPDeregisterMemory(this.#socket, handle, this.#errno);
    }
    this.#registrations.push(...kept);
  }

  /** What a pending transfer uses stays registered, and the provider frees it with the socket (WSD-MEM-29, WSD-MEM-30). */
  release(): void {
    this.#reclaim();
    const receiving = this.#cut > this.#free.length;
    for (const { region, handle } of this.#registrations.splice(0)) {
      const busy = region === this.#incoming ? receiving : this.#pending.some(({ buf }) => buf === region);
      if (busy) continue;
      this.#provider.extensions.WSPDeregisterMemory(this.#socket, handle, this.#errno);
      // Nobody will use the region again.
      this.#provider.cachedMemory.goesAway(region);
    }
  }
}
