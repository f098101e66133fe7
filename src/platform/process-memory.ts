/** Memory of another process of this user, where the kernel lets us read it: process_vm_readv. */

import { closeSync, openSync, readSync } from 'node:fs';
import type { Libc } from './libc.js';

export interface ProcessMemory {
  /** Address of the first byte of a buffer; null if it has none. It stays the same as long as the buffer is not detached. */
  addressOf(buffer: ArrayBufferLike): bigint | null;
  /**
   * Copies `length` bytes at `address` of the process to `into`, an address of our own. Returns how many were copied, fewer
   * where the memory of the other ends; or the name of the system error, for example `EPERM` or `ESRCH`.
   */
  readProcessMemory(pid: number, address: bigint, into: bigint, length: number): number | string;
  /** Holds on to a process: a descriptor for `isSameProcess`, which `releaseProcess` closes; null if there is none or no /proc. */
  holdProcess(pid: number): number | null;
  /** True if the process is still there. Its number cannot have been used again then. About 2 us. */
  isSameProcess(descriptor: number): boolean;
  releaseProcess(descriptor: number): void;
}

export function processMemory(libc: Libc): ProcessMemory {
  // Two iovec structures: ours, then the other's.
  const vectors = new BigUint64Array(4);
  const ours = libc.addressOf(vectors.buffer);
  const others = ours + 16n;
  const byte = Buffer.alloc(1);
  return {
    addressOf(buffer) {
      if (!(buffer instanceof ArrayBuffer) || buffer.byteLength === 0) return null;
      try {
        return libc.addressOf(buffer);
      } catch {
        return null;
      }
    },

    readProcessMemory(pid, address, into, length) {
      const bytes = BigInt(length);
      vectors[0] = into;
      vectors[1] = bytes;
      vectors[2] = address;
      vectors[3] = bytes;
      const copied = libc.processVmReadv(pid, ours, 1, others, 1, 0);
      return copied < 0 ? libc.errorName() : copied;
    },

    holdProcess(pid) {
      try {
        // By node:fs, so that it is closed with a worker that is terminated. A file of /proc belongs to one process and
        // never to a later one of the same number; of those that anybody may read this is the cheapest.
        return openSync(`/proc/${pid}/comm`, 'r');
      } catch {
        return null;
      }
    },

    isSameProcess(descriptor) {
      try {
        return readSync(descriptor, byte, 0, 1, 0) > 0;
      } catch {
        return false;
      }
    },

    releaseProcess: closeSync,
  };
}
