/** Registered memory (section 11 of the digest), with every access check: by process, socket, range and direction. */

import {
  MEM_READ,
  MEM_READWRITE,
  MEM_WRITE,
  type MemoryHandle,
  type MemoryRegion,
  type WSABUF,
  type WSABUFEX,
  WSAEFAULT,
  WSAEINVAL,
} from '../../spi/index.js';
import type { NicMemory, RegistrationCache } from './registration-cache.js';
import type { Process } from './world.js';

/** Memory that the provider has allocated: for receiving registered for every socket of the process, for sending private. */
export class ProviderRegion implements MemoryRegion {
  readonly bytes: Uint8Array;
  readonly words: Int32Array;
  constructor(
    size: number,
    readonly process: Process,
    readonly access: number,
  ) {
    const memory = new ArrayBuffer(Math.ceil(size / 8) * 8);
    this.bytes = new Uint8Array(memory);
    this.words = new Int32Array(memory);
  }
}

class Registration implements MemoryHandle {
  uses = 1;
  constructor(
    readonly region: MemoryRegion,
    readonly offset: number,
    readonly length: number,
    readonly flags: number,
    readonly nic: NicMemory,
  ) {}
  get spi(): 'MemoryHandle' {
    return 'MemoryHandle';
  }
}

/** 0, WSAEINVAL or WSAEFAULT (WSD-MEM-15, WSD-MEM-16). */
function badRange(region: MemoryRegion, offset: number, length: number, flags: number): number {
  if (flags !== MEM_READ && flags !== MEM_WRITE && flags !== MEM_READWRITE) return WSAEINVAL;
  return offset < 0 || length <= 0 || offset + length > region.bytes.length ? WSAEFAULT : 0;
}

/** Whether a range of memory is part of a transfer. */
export type InUse = (region: MemoryRegion, offset: number, length: number) => boolean;

/** The local registrations of one socket (WSD-MEM-4). */
export class Registrations {
  readonly #process: Process;
  readonly #cache: RegistrationCache;
  readonly #all = new Set<Registration>();

  constructor(process: Process, cache: RegistrationCache) {
    this.#process = process;
    this.#cache = cache;
  }

  get size(): number {
    return this.#all.size;
  }

  /** A handle, or a Winsock error. Registering the same again returns the same handle and counts (WSD-MEM-20, WSD-MEM-21). */
  register(region: MemoryRegion, offset: number, length: number, flags: number): MemoryHandle | number {
    const error = badRange(region, offset, length, flags);
    if (error !== 0) return error;
    for (const r of this.#all) {
      if (r.region === region && r.offset === offset && r.length === length && r.flags === flags) {
        r.uses++;
        return r;
      }
    }
    const nic = this.#cache.take(region, offset, length, flags);
    const registration = new Registration(region, offset, length, flags, nic);
    this.#all.add(registration);
    return registration;
  }

  /** 0 or WSAEINVAL (WSD-MEM-17). */
  deregister(handle: MemoryHandle, inUse: InUse): number {
    if (!(handle instanceof Registration) || !this.#all.has(handle)) return WSAEINVAL;
    if (handle.uses === 1) {
      if (inUse(handle.region, handle.offset, handle.length)) return WSAEINVAL;
      this.#all.delete(handle);
      this.#cache.give(handle.nic);
    }
    handle.uses--;
    return 0;
  }

  /** True if all of the buffer is registered for the access (WSD-XFR-29, WSD-MEM-12, WSD-MEM-13). */
  covers({ buf, offset, len }: WSABUF, access: number): boolean {
    if (offset < 0 || len < 0) return false;
    if (buf instanceof ProviderRegion && buf.process === this.#process && (buf.access & access) !== 0) {
      return offset + len <= buf.bytes.length;
    }
    for (const r of this.#all) if (holds(r, buf, offset, len, access)) return true;
    return false;
  }

  /** The same for a buffer that names its registration (WSD-XFR-30). */
  coversHandle({ buf, offset, len, handle }: WSABUFEX, access: number): boolean {
    if (offset < 0 || len < 0 || !(handle instanceof Registration)) return false;
    return this.#all.has(handle) && holds(handle, buf, offset, len, access);
  }

  clear(): void {
    this.#all.clear();
  }
}

function holds(r: Registration, region: MemoryRegion, offset: number, length: number, access: number): boolean {
  return (
    r.region === region && (r.flags & access) !== 0 && offset >= r.offset && offset + length <= r.offset + r.length
  );
}

/** Bytes of an RDMA descriptor: two random words, the length, and a word that is 0. */
export const DESCRIPTOR_SIZE = 16;

/** RDMA memory as the peer's operation finds it. */
export interface RdmaTarget {
  readonly region: MemoryRegion;
  readonly offset: number;
  readonly length: number;
  readonly flags: number;
  readonly nic: NicMemory;
  /** Operations of the peer that are moving bytes now. */
  transfers: number;
}

/** RDMA memory of one socket: reachable for its peer alone, while it is registered (WSD-MEM-6, WSD-MEM-9, WSD-MEM-10). */
export class RdmaRegistrations {
  readonly #random: () => number;
  readonly #cache: RegistrationCache;
  readonly #byKey = new Map<string, RdmaTarget>();

  constructor(random: () => number, cache: RegistrationCache) {
    this.#random = random;
    this.#cache = cache;
  }

  get size(): number {
    return this.#byKey.size;
  }

  /** Writes the descriptor: 0 or a Winsock error (WSD-MEM-25). It is a new one each time (WSD-CCH-13). */
  register(region: MemoryRegion, offset: number, length: number, flags: number, descriptor: Uint8Array): number {
    const error = badRange(region, offset, length, flags);
    if (error !== 0) return error;
    const words = new Uint32Array([this.#random() * 2 ** 32, this.#random() * 2 ** 32, length, 0]);
    descriptor.set(new Uint8Array(words.buffer));
    const nic = this.#cache.take(region, offset, length, flags);
    this.#byKey.set(keyOf(descriptor), { region, offset, length, flags, nic, transfers: 0 });
    return 0;
  }

  /** 0 or WSAEINVAL (WSD-MEM-26). */
  deregister(descriptor: Uint8Array): number {
    const target = this.#byKey.get(keyOf(descriptor));
    if (target === undefined || target.transfers > 0) return WSAEINVAL;
    this.#byKey.delete(keyOf(descriptor));
    this.#cache.give(target.nic);
    return 0;
  }

  /** What an operation of the peer may touch, or null: unknown, the wrong direction or out of bounds (WSD-MEM-31). */
  find(descriptor: Uint8Array, offset: number, length: number, access: number): RdmaTarget | null {
    const target = this.#byKey.get(keyOf(descriptor));
    if (target === undefined || (target.flags & access) === 0) return null;
    return offset >= 0 && offset + length <= target.length ? target : null;
  }

  clear(): void {
    this.#byKey.clear();
  }
}

function keyOf(descriptor: Uint8Array): string {
  return String.fromCharCode(...descriptor.subarray(0, DESCRIPTOR_SIZE));
}
