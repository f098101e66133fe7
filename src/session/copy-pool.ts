/**
 * Memory for payloads that are copied out of their receive buffer: slabs from which Buffers are cut, as Node's own pool
 * does, but larger, because a pool of 8 KiB costs throughput at 1 KiB a message.
 */

import type { MemoryRegion } from '../spi/index.js';

const slabSize = 65536;

let slab = Buffer.allocUnsafeSlow(slabSize).buffer as ArrayBuffer;
let slabBytes = new Uint8Array(slab);
let slabWords = new Int32Array(slab);
let used = 0;

/** Up to this size a loop over words is cheaper than making the view that `set` needs. */
const wordLoopMax = 96;

/** Copies `length` bytes (at most 64 KiB) at `offset`, a multiple of 4, into a Buffer of their own. */
export function copyOut(from: MemoryRegion, offset: number, length: number): Buffer {
  if (used + length > slabSize) {
    slab = Buffer.allocUnsafeSlow(slabSize).buffer as ArrayBuffer;
    slabBytes = new Uint8Array(slab);
    slabWords = new Int32Array(slab);
    used = 0;
  }
  const at = used;
  used = (at + length + 7) & ~7;
  if (length <= wordLoopMax) {
    const source = from.words;
    const target = slabWords;
    let i = offset >> 2;
    let j = at >> 2;
    const end = j + ((length + 3) >> 2);
    while (j < end) target[j++] = source[i++];
  } else {
    slabBytes.set(from.bytes.subarray(offset, offset + length), at);
  }
  return Buffer.from(slab, at, length);
}
