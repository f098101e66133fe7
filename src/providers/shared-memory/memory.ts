/**
 * Registered memory (section 11 of the digest). What is registered stays where it is and is kept reachable. Locally it is
 * bookkeeping, and the checks of the contract are made here; the peer reaches RDMA memory only through them, or by an entry
 * of the link's table that says the same.
 */

import { randomFillSync } from 'node:crypto';
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
import type { RegistrationCache } from './registration-cache.js';

/** Receive memory of this provider: registered for every socket of the process while it is reachable. */
export class ReceiveRegion implements MemoryRegion {
  readonly bytes: Uint8Array;
  readonly words: Int32Array;
  constructor(size: number) {
    // Not zeroed: the provider writes before anybody reads, and zeroing costs as much as copying.
    const memory = Buffer.allocUnsafeSlow(size).buffer;
    this.bytes = new Uint8Array(memory);
    this.words = new Int32Array(memory, 0, size >> 2);
  }
}

class Registration implements MemoryHandle {
  uses = 1;
  constructor(
    readonly region: MemoryRegion,
    readonly offset: number,
    readonly length: number,
    readonly flags: number,
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

function holds(r: Registration, { buf, offset, len }: WSABUF, access: number): boolean {
  if (r.region !== buf || (r.flags & access) === 0) return false;
  return len >= 0 && offset >= r.offset && offset + len <= r.offset + r.length;
}

/** The registrations of one socket (WSD-MEM-4). */
export class Registrations {
  readonly #cache: RegistrationCache | null;
  readonly #all: Registration[] = [];

  constructor(cache: RegistrationCache | null = null) {
    this.#cache = cache;
  }

  /** A handle, or a Winsock error (WSD-MEM-15, WSD-MEM-16). Registering the same again counts (WSD-MEM-21). */
  register(region: MemoryRegion, offset: number, length: number, flags: number): MemoryHandle | number {
    const error = badRange(region, offset, length, flags);
    if (error !== 0) return error;
    for (const r of this.#all) {
      if (r.region === region && r.offset === offset && r.length === length && r.flags === flags) {
        r.uses++;
        return r;
      }
    }
    this.#cache?.take(region.bytes.buffer);
    const registration = new Registration(region, offset, length, flags);
    this.#all.push(registration);
    return registration;
  }

  /** 0 or WSAEINVAL (WSD-MEM-17). `inUse` tells whether a range is part of a transfer. */
  deregister(handle: MemoryHandle, inUse: (region: MemoryRegion, offset: number, length: number) => boolean): number {
    const i = this.#all.indexOf(handle as Registration);
    if (i < 0) return WSAEINVAL;
    const registration = this.#all[i];
    if (registration.uses === 1) {
      if (inUse(registration.region, registration.offset, registration.length)) return WSAEINVAL;
      this.#all.splice(i, 1);
      this.#cache?.give(registration.region.bytes.buffer);
    }
    registration.uses--;
    return 0;
  }

  /** True if all of the buffer is registered for the access (WSD-XFR-29, WSD-MEM-12, WSD-MEM-13). */
  covers(buffer: WSABUF, access: number): boolean {
    if (access === MEM_WRITE && buffer.buf instanceof ReceiveRegion) {
      return buffer.offset >= 0 && buffer.offset + buffer.len <= buffer.buf.bytes.length;
    }
    for (const r of this.#all) if (holds(r, buffer, access)) return true;
    return false;
  }

  /** The same for a buffer that names its registration (WSD-XFR-30). */
  coversHandle(buffer: WSABUFEX, access: number): boolean {
    const registration = this.#all.find((one) => one === buffer.handle);
    return registration !== undefined && holds(registration, buffer, access);
  }

  clear(): void {
    this.#all.length = 0;
  }
}

/**
 * Bytes of an RDMA descriptor of this provider: a random key of 8, the length, and an entry of the link's table or 0. All of
 * them together are what the owner looks for.
 */
export const DESCRIPTOR_SIZE = 16;

/** Lets the peer of a connection read registrations by itself. */
export interface Exposer {
  /** The last word of the descriptor. */
  expose(address: bigint, length: number, flags: number, key0: number, key1: number): number;
  /** False, and nothing is done: the peer is reading it. */
  hide(reference: number): boolean;
  hideSurely(reference: number): void;
}

/** RDMA memory as operations of the peer find it. */
export interface RdmaMemory {
  readonly region: MemoryRegion;
  readonly offset: number;
  readonly length: number;
  readonly flags: number;
  readonly reference: number;
  /** Operations of the peer that are moving bytes now. */
  transfers: number;
}

/** RDMA memory of one socket: reachable for its peer alone, while it is registered (WSD-MEM-6, WSD-MEM-9, WSD-MEM-10). */
export class RdmaRegistrations {
  readonly #byKey = new Map<string, RdmaMemory>();
  readonly #cache: RegistrationCache | null;
  readonly #exposer: Exposer | null;
  #hidden = false;

  constructor(cache: RegistrationCache | null = null, exposer: Exposer | null = null) {
    this.#cache = cache;
    this.#exposer = exposer;
  }

  /** Writes the descriptor. 0 or a Winsock error (WSD-MEM-25). */
  register(region: MemoryRegion, offset: number, length: number, flags: number, descriptor: Uint8Array): number {
    const error = badRange(region, offset, length, flags);
    if (error !== 0) return error;
    const bytes = Buffer.alloc(DESCRIPTOR_SIZE);
    // Always a new key, so that a peer that has kept the old one reaches nothing (WSD-CCH-13).
    randomFillSync(bytes, 0, 8);
    bytes.writeUInt32LE(length, 8);
    const reference = this.#expose(region, offset, length, flags, bytes);
    bytes.writeUInt32LE(reference, 12);
    descriptor.set(bytes);
    this.#byKey.set(keyOf(bytes), { region, offset, length, flags, reference, transfers: 0 });
    return 0;
  }

  #expose(region: MemoryRegion, offset: number, length: number, flags: number, key: Buffer): number {
    const { buffer, byteOffset } = region.bytes;
    const start = this.#cache?.take(buffer) ?? null;
    if (start === null || this.#exposer === null || this.#hidden || (flags & MEM_READ) === 0) return 0;
    const address = start + BigInt(byteOffset + offset);
    return this.#exposer.expose(address, length, flags, key.readInt32LE(0), key.readInt32LE(4));
  }

  /** 0 or WSAEINVAL (WSD-MEM-26). */
  deregister(descriptor: Uint8Array): number {
    const key = keyOf(descriptor);
    const memory = this.#byKey.get(key);
    if (memory === undefined || memory.transfers > 0) return WSAEINVAL;
    if (!this.#hidden && this.#exposer?.hide(memory.reference) === false) return WSAEINVAL;
    this.#byKey.delete(key);
    this.#cache?.give(memory.region.bytes.buffer);
    return 0;
  }

  /** What an operation of the peer may touch, or null: unknown, the wrong direction or out of bounds (WSD-MEM-12, WSD-MEM-31). */
  find(descriptor: Uint8Array, offset: number, length: number, access: number): RdmaMemory | null {
    const memory = this.#byKey.get(keyOf(descriptor));
    if (memory === undefined || (memory.flags & access) === 0) return null;
    return offset >= 0 && length >= 0 && offset + length <= memory.length ? memory : null;
  }

  /** What the peer writes. False: not registered, not for writing, or out of bounds. */
  write(descriptor: Uint8Array, offset: number, data: Uint8Array): boolean {
    const target = this.find(descriptor, offset, data.length, MEM_WRITE);
    if (target === null || !isThere(target)) return false;
    target.region.bytes.set(data, target.offset + offset);
    return true;
  }

  /** The connection has ended: nothing may be read any more, though the switch has not deregistered it yet (WSD-MEM-10). */
  hideAll(): void {
    if (this.#hidden) return;
    this.#hidden = true;
    for (const { reference } of this.#byKey.values()) this.#exposer?.hideSurely(reference);
  }

  clear(): void {
    this.hideAll();
    this.#byKey.clear();
  }
}

/** False: whoever owns the memory has detached or shrunk it although it is registered. */
export function isThere({ region, offset, length }: RdmaMemory): boolean {
  return offset + length <= region.bytes.length;
}

function keyOf(descriptor: Uint8Array): string {
  return Buffer.from(descriptor.subarray(0, DESCRIPTOR_SIZE)).toString('hex');
}
