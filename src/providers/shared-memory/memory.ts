/**
 * Registered memory (section 11 of the digest). The peer reaches none of it: only bytes that were sent travel, so a
 * registration is bookkeeping, and the checks of the contract are made here.
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

function holds(r: Registration, { buf, offset, len }: WSABUF, access: number): boolean {
  return r.region === buf && (r.flags & access) !== 0 && offset >= r.offset && offset + len <= r.offset + r.length;
}

/** The registrations of one socket (WSD-MEM-4). */
export class Registrations {
  readonly #all: Registration[] = [];

  /** A handle, or a Winsock error (WSD-MEM-15, WSD-MEM-16). Registering the same again counts (WSD-MEM-21). */
  register(region: MemoryRegion, offset: number, length: number, flags: number): MemoryHandle | number {
    if (flags !== MEM_READ && flags !== MEM_WRITE && flags !== MEM_READWRITE) return WSAEINVAL;
    if (offset < 0 || length <= 0 || offset + length > region.bytes.length) return WSAEFAULT;
    for (const r of this.#all) {
      if (r.region === region && r.offset === offset && r.length === length && r.flags === flags) {
        r.uses++;
        return r;
      }
    }
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

/** Bytes of an RDMA descriptor of this provider: a random key of 8, the length, and 4 that are 0. */
export const DESCRIPTOR_SIZE = 16;

/** RDMA memory of one socket: reachable for its peer alone, while it is registered (WSD-MEM-6, WSD-MEM-9, WSD-MEM-10). */
export class RdmaRegistrations {
  readonly #byKey = new Map<string, { region: MemoryRegion; offset: number; length: number; flags: number }>();

  /** Writes the descriptor. 0 or a Winsock error (WSD-MEM-25). */
  register(region: MemoryRegion, offset: number, length: number, flags: number, descriptor: Uint8Array): number {
    if (flags !== MEM_READ && flags !== MEM_WRITE && flags !== MEM_READWRITE) return WSAEINVAL;
    if (offset < 0 || length <= 0 || offset + length > region.bytes.length) return WSAEFAULT;
    const bytes = Buffer.alloc(DESCRIPTOR_SIZE);
    randomFillSync(bytes, 0, 8);
    bytes.writeUInt32LE(length, 8);
    descriptor.set(bytes);
    this.#byKey.set(bytes.toString('hex'), { region, offset, length, flags });
    return 0;
  }

  deregister(descriptor: Uint8Array): boolean {
    return this.#byKey.delete(Buffer.from(descriptor.subarray(0, DESCRIPTOR_SIZE)).toString('hex'));
  }

  /** What the peer writes. False: not registered, not for writing, or out of bounds (WSD-MEM-12, WSD-MEM-31). */
  write(descriptor: Uint8Array, offset: number, data: Uint8Array): boolean {
    const target = this.#byKey.get(Buffer.from(descriptor).toString('hex'));
    if (target === undefined || (target.flags & MEM_WRITE) === 0) return false;
    if (offset < 0 || offset + data.length > target.length) return false;
    target.region.bytes.set(data, target.offset + offset);
    return true;
  }

  clear(): void {
    this.#byKey.clear();
  }
}
