/**
 * Buffers in memory of the provider (`ProviderMemoryExtension`). Receive buffers are cut from slabs that all connections of
 * a provider share, and go back to a pool when their connection ends; a buffer whose memory was given to the program is cut
 * anew.
 */

import {
  type MemoryRegion,
  type Out,
  type ProviderMemoryExtension,
  type ProviderSocket,
  type WSABUF,
  WSAENOBUFS,
} from '../spi/index.js';
import { pollOverlapped, ReceiveBuffer, type TransferMemory } from './transfer-memory.js';

const slabSize = 2 * 1024 * 1024;
/** Buffers that are kept for reuse. */
const pooledMax = 4096;

export class ProviderMemory implements TransferMemory {
  readonly #memory: ProviderMemoryExtension;
  readonly #size: number;
  readonly #stride: number;
  #slab: MemoryRegion | null = null;
  #used = 0;
  readonly #pool: ReceiveBuffer[] = [];
  readonly #errno: Out<number> = { value: 0 };
  /** All connections share it, because almost every send is done when WSPSend returns. */
  sendOverlapped = pollOverlapped();

  /** `size`: bytes of each receive buffer. */
  constructor(memory: ProviderMemoryExtension, size: number) {
    this.#memory = memory;
    this.#size = size;
    // A cache line between buffers; also keeps every offset a multiple of 64.
    this.#stride = (size + 127) & ~63;
  }

  takeReceive(): ReceiveBuffer | null {
    const pooled = this.#pool.pop();
    if (pooled !== undefined) return pooled;
    const buffer = new ReceiveBuffer();
    return this.replaceMemory(buffer) ? buffer : null;
  }

  giveReceive(buffer: ReceiveBuffer): void {
    if (this.#pool.length < pooledMax) this.#pool.push(buffer);
  }

  replaceMemory(buffer: WSABUF): boolean {
    if (this.#slab === null || this.#used + this.#stride > this.#slab.bytes.length) {
      this.#slab = this.#memory.WSPAllocateReceiveMemory(slabSize, this.#errno);
      this.#used = 0;
      if (this.#slab === null) return false;
    }
    buffer.buf = this.#slab;
    buffer.offset = this.#used;
    buffer.len = this.#size;
    this.#used += this.#stride;
    return true;
  }

  getSendBuffer(socket: ProviderSocket, length: number, buffer: WSABUF): number {
    if (this.#memory.WSPGetSendBuffer(socket, length, buffer, this.#errno) === 0) return 0;
    return this.#errno.value || WSAENOBUFS;
  }

  sendPending(): void {
    this.sendOverlapped = pollOverlapped();
  }

  releaseSends(): void {}

  /** Nothing: the provider's memory is registered as long as somebody uses it. */
  release(): void {}
}
