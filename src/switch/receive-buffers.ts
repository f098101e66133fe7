/**
 * Posted receive buffers with their overlapped records. They are cut from slabs that all connections of a provider share,
 * and go back to a pool when their connection ends; a buffer whose memory was given to the program is cut anew.
 */

import { type MemoryRegion, type Out, type ProviderMemoryExtension, type WSABUF, WSAOVERLAPPED } from '../spi/index.js';

export class ReceiveBuffer extends WSAOVERLAPPED implements WSABUF {
  len = 0;
  buf!: MemoryRegion;
  offset = 0;
  /** The argument of WSPRecv. */
  readonly list: readonly WSABUF[] = [this];
}

const slabSize = 2 * 1024 * 1024;
/** Buffers that are kept for reuse. */
const pooledMax = 4096;

export class ReceiveBuffers {
  readonly #memory: ProviderMemoryExtension;
  readonly #size: number;
  readonly #stride: number;
  #slab: MemoryRegion | null = null;
  #used = 0;
  readonly #pool: ReceiveBuffer[] = [];
  readonly #errno: Out<number> = { value: 0 };

  /** `size`: bytes of each buffer. */
  constructor(memory: ProviderMemoryExtension, size: number) {
    this.#memory = memory;
    this.#size = size;
    // A cache line between buffers; also keeps every offset a multiple of 64.
    this.#stride = (size + 127) & ~63;
  }

  /** Null if there is no memory. */
  take(): ReceiveBuffer | null {
    const pooled = this.#pool.pop();
    if (pooled !== undefined) return pooled;
    const buffer = new ReceiveBuffer();
    return this.replaceMemory(buffer) ? buffer : null;
  }

  give(buffer: ReceiveBuffer): void {
    if (this.#pool.length < pooledMax) this.#pool.push(buffer);
  }

  /** Puts fresh memory into the buffer; what it had belongs to somebody else from now on. */
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
}
