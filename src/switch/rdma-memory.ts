/** What all connections of a provider share for RDMA: memory to receive into, and how long its descriptors are. */

import { MEM_READ, type MemoryRegion, type Out, type ProviderSocket, SOCKET_ERROR, WSAEFAULT } from '../spi/index.js';
import type { StartedProvider } from './provider-table.js';

/** A range of memory. */
export interface Range {
  readonly region: MemoryRegion;
  readonly offset: number;
  readonly length: number;
}

/** Bytes of memory from which ranges are cut: fresh memory, each page of which is touched once. */
const slabSize = 2_097_152;

/** One region for each piece of the program's memory, so that a provider that caches registrations knows it again. */
const regions = new WeakMap<ArrayBufferLike, MemoryRegion>();

/** The memory that the program's bytes are part of. */
export function rangeOf(bytes: Uint8Array): Range {
  const { buffer } = bytes;
  let region = regions.get(buffer);
  if (region === undefined) {
    region = { bytes: new Uint8Array(buffer), words: new Int32Array(buffer, 0, buffer.byteLength >> 2) };
    regions.set(buffer, region);
  }
  return { region, offset: bytes.byteOffset, length: bytes.length };
}

export class RdmaMemory {
  readonly #provider: StartedProvider;
  #slab: MemoryRegion | null = null;
  #used = 0;
  /** Bytes of a descriptor; 0 while nobody has asked. */
  #descriptorSize = 0;
  readonly #errno: Out<number> = { value: 0 };

  constructor(provider: StartedProvider) {
    this.#provider = provider;
  }

  /** Memory that nobody else has, and that is never used again. Null if there is none. */
  cut(length: number): Range | null {
    if (this.#slab === null || this.#used + length > this.#slab.bytes.length) {
      this.#slab = this.#allocate(Math.max(slabSize, length));
      this.#used = 0;
      if (this.#slab === null) return null;
    }
    const offset = this.#used;
    this.#used = (offset + length + 63) & ~63;
    return { region: this.#slab, offset, length };
  }

  #allocate(size: number): MemoryRegion | null {
    const { providerMemory } = this.#provider.extensions;
    if (providerMemory !== null) return providerMemory.WSPAllocateReceiveMemory(size, this.#errno);
    const memory = Buffer.allocUnsafeSlow(size).buffer;
    return { bytes: new Uint8Array(memory), words: new Int32Array(memory) };
  }

  /** Registers a range for the peer: its descriptor, or null (WSD-MEM-5, WSD-MEM-22). */
  expose(socket: ProviderSocket, { region, offset, length }: Range, access: number): Uint8Array | null {
    const register = this.#provider.extensions.WSPRegisterRdmaMemory;
    const size: Out<number> = { value: this.#descriptorSize };
    if (size.value === 0) {
      // The first call learns how long descriptors are (WSD-MEM-24, WSD-LIM-5).
      const result = register(socket, region, offset, length, MEM_READ, null, size, this.#errno);
      if (result !== SOCKET_ERROR || this.#errno.value !== WSAEFAULT || size.value <= 0) return null;
      this.#descriptorSize = size.value;
    }
    const descriptor = new Uint8Array(size.value);
    const result = register(socket, region, offset, length, access, descriptor, size, this.#errno);
    return result === 0 ? descriptor.subarray(0, size.value) : null;
  }
}
