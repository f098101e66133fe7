/** Registered memory: who may read and write which range of it. */

import { randomBytes } from 'node:crypto';
import { MEM_READ, MEM_READWRITE, MEM_WRITE, WSAEFAULT, WSAEINVAL } from 'sockets-direct/spi';
import { DESCRIPTOR_SIZE } from './wire.js';

function badRange(region, offset, length, flags) {
  if (flags !== MEM_READ && flags !== MEM_WRITE && flags !== MEM_READWRITE) return WSAEINVAL;
  return offset < 0 || length <= 0 || offset + length > region.bytes.length ? WSAEFAULT : 0;
}

class Registration {
  spi = 'MemoryHandle';
  uses = 1;

  constructor(region, offset, length, flags) {
    Object.assign(this, { region, offset, length, flags });
  }

  holds({ buf, offset, len }, access) {
    if (offset < 0 || len < 0 || this.region !== buf || (this.flags & access) === 0) return false;
    return offset >= this.offset && offset + len <= this.offset + this.length;
  }
}

/** The registrations of one socket; those of another are not valid on it. */
export class Memory {
  #local = new Set();
  /** RDMA memory by descriptor, which only the peer of this connection is ever asked about. */
  #rdma = new Map();

  /** A handle, or an error. The same memory once more is the same handle, and counts. */
  register(region, offset, length, flags) {
    const error = badRange(region, offset, length, flags);
    if (error !== 0) return error;
    const wanted = new Registration(region, offset, length, flags);
    for (const known of this.#local) {
      if (known.flags !== flags || known.offset !== offset || known.length !== length) continue;
      if (known.region !== region) continue;
      known.uses++;
      return known;
    }
    this.#local.add(wanted);
    return wanted;
  }

  deregister(handle, isInUse) {
    if (!this.#local.has(handle)) return WSAEINVAL;
    if (handle.uses === 1) {
      if (isInUse(handle)) return WSAEINVAL;
      this.#local.delete(handle);
    }
    handle.uses--;
    return 0;
  }

  /** Whether all of a buffer is registered for the access: for WSPSend and WSPRecv. */
  covers(buffer, access) {
    return [...this.#local].some((one) => one.holds(buffer, access));
  }

  /** The same for a buffer that names its registration: for RDMA. */
  coversHandle(buffer, access) {
    return this.#local.has(buffer.handle) && buffer.handle.holds(buffer, access);
  }

  /** Stores the descriptor: 0, or an error. */
  expose(region, offset, length, flags, descriptor) {
    const error = badRange(region, offset, length, flags);
    if (error !== 0) return error;
    const name = randomBytes(DESCRIPTOR_SIZE);
    descriptor.set(name);
    this.#rdma.set(name.toString('hex'), { region, offset, length, flags });
    return 0;
  }

  withdraw(descriptor) {
    return this.#rdma.delete(nameOf(descriptor)) ? 0 : WSAEINVAL;
  }

  /** A write of the peer. False: it may not do that. */
  write(descriptor, offset, data) {
    const target = this.#rdma.get(nameOf(descriptor));
    if (target === undefined || (target.flags & MEM_WRITE) === 0) return false;
    if (offset < 0 || offset + data.length > target.length) return false;
    target.region.bytes.set(data, target.offset + offset);
    return true;
  }

  clear() {
    this.#local.clear();
    this.#rdma.clear();
  }
}

function nameOf(descriptor) {
  return Buffer.from(descriptor.subarray(0, DESCRIPTOR_SIZE)).toString('hex');
}
