/**
 * What the NIC has registered of the memory of one socket. Registering is what costs on a real one, so with the knob
 * `registrationCache` it stays registered after it was deregistered, until the switch says that the memory goes away
 * (section 11.1 of the digest). The NIC holds the memory: nobody can free it meanwhile.
 */

import { type MemoryRegion, WSAEFAULT, WSAEINVAL } from '../../spi/index.js';
import type { World } from './world.js';

/** A range of memory that the NIC knows. The key is where it lies: buffer and bytes (WSD-CCH-3). */
export interface NicMemory {
  readonly buffer: ArrayBufferLike;
  readonly start: number;
  readonly end: number;
  readonly flags: number;
  /** Registrations in force. */
  uses: number;
}

export class RegistrationCache {
  readonly #world: World;
  readonly #caching: boolean;
  readonly #all = new Set<NicMemory>();

  constructor(world: World, caching: boolean) {
    this.#world = world;
    this.#caching = caching;
  }

  /** Ranges that are registered with the NIC though no registration is in force. */
  get idle(): number {
    return [...this.#all].filter(({ uses }) => uses === 0).length;
  }

  /** A hit needs nothing of the NIC (WSD-CCH-5, WSD-CCH-14, WSD-CCH-17). */
  take({ bytes }: MemoryRegion, offset: number, length: number, flags: number): NicMemory {
    const { buffer } = bytes;
    const start = bytes.byteOffset + offset;
    const end = start + length;
    for (const one of this.#caching ? this.#all : []) {
      if (one.buffer !== buffer || (one.flags & flags) !== flags || start < one.start || end > one.end) continue;
      one.uses++;
      this.#world.mark('NIC: registration cache hit');
      return one;
    }
    const memory = { buffer, start, end, flags, uses: 1 };
    this.#all.add(memory);
    this.#world.mark('NIC: memory registered');
    return memory;
  }

  /** A registration has ended (WSD-CCH-2, WSD-CCH-12). */
  give(memory: NicMemory): void {
    memory.uses--;
    if (memory.uses === 0 && !this.#caching) this.#drop(memory);
  }

  #drop(memory: NicMemory): void {
    if (this.#all.delete(memory)) this.#world.mark('NIC: memory deregistered');
  }

  /** 0; WSAEFAULT: a registration is in force; WSAEINVAL: nothing of it is cached (WSD-CCH-7, WSD-CCH-10). */
  invalidate({ bytes }: MemoryRegion, size: number): number {
    const start = bytes.byteOffset;
    const touched = [...this.#all].filter(
      (one) => one.buffer === bytes.buffer && one.start < start + size && one.end > start,
    );
    for (const one of touched) if (one.uses === 0) this.#drop(one);
    if (touched.length === 0) return WSAEINVAL;
    return touched.some(({ uses }) => uses > 0) ? WSAEFAULT : 0;
  }

  /** The connection ends (WSD-CCH-11). */
  releaseIdle(): void {
    for (const one of this.#all) if (one.uses === 0) this.#drop(one);
  }

  clear(): void {
    for (const one of this.#all) this.#drop(one);
  }
}
