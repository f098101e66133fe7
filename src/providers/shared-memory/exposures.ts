/**
 * RDMA memory that the peer may read by itself, as its owner tells it: a table in the arena for each direction, one entry
 * for a registration. It is an offer, not a protection: the reader checks here what the owner would check, and whatever does
 * not fit goes over the ring, where the owner decides.
 *
 *     0 generation, 0: nothing   1 access   2 address, low half first   4 length   5 connection id
 *     6 the reader's: generation while it reads   7 check of the key
 *
 * An RDMA descriptor of 16 bytes names an entry in its last word: generation << 8 | index + 1, or 0 for none.
 */

import { MEM_READ } from '../../spi/index.js';

/** Entries of each direction. Registrations beyond are read over the ring. */
export const EXPOSURES = 32;
export const EXPOSURE_SIZE = 32;

const entryWords = EXPOSURE_SIZE / 4;
const readingWord = 6;
const generationMax = 0xffffff;

/** The key itself stays with those who have the descriptor. */
function checkOf(key0: number, key1: number): number {
  return (Math.imul(key0 ^ (key1 >>> 15), 0x2c1b3c6d) ^ Math.imul(key1, 0x297a2d39)) | 0;
}

/** The owner's side. What it needs of its own entries it keeps in private memory. */
export class Exposures {
  readonly #words: Int32Array;
  readonly #generations = new Int32Array(EXPOSURES);
  readonly #free = Array.from({ length: EXPOSURES }, (_, k) => EXPOSURES - 1 - k);

  constructor(arena: ArrayBuffer, offset: number) {
    this.#words = new Int32Array(arena, offset, EXPOSURES * entryWords);
  }

  /** What the last word of the descriptor has to be. */
  add(connection: number, address: bigint, length: number, flags: number, key0: number, key1: number): number {
    const index = this.#free.pop();
    if (index === undefined) return 0;
    const generation = (this.#generations[index] % generationMax) + 1;
    this.#generations[index] = generation;
    const i = index * entryWords;
    const words = this.#words;
    words[i + 1] = flags;
    words[i + 2] = Number(address & 0xffffffffn) | 0;
    words[i + 3] = Number(address >> 32n) | 0;
    words[i + 4] = length;
    words[i + 5] = connection;
    words[i + 7] = checkOf(key0, key1);
    Atomics.store(words, i, generation);
    return (generation << 8) | (index + 1);
  }

  /** Hides an entry again. False, and nothing is done: the peer is reading it. */
  remove(reference: number): boolean {
    const index = (reference & 0xff) - 1;
    const i = index * entryWords;
    const generation = this.#generations[index];
    // First hidden, then looked at, as the reader first says that it reads and then looks: one of the two sees the other.
    Atomics.store(this.#words, i, 0);
    if (Atomics.load(this.#words, i + readingWord) === generation) {
      Atomics.store(this.#words, i, generation);
      return false;
    }
    this.#free.push(index);
    return true;
  }

  /** The same at the end of the connection, whatever the peer is doing: it will find that the entry is gone. */
  drop(reference: number): void {
    const index = (reference & 0xff) - 1;
    Atomics.store(this.#words, index * entryWords, 0);
    this.#free.push(index);
  }
}

/** A read of the peer's memory that has begun. */
export interface ExposedRange {
  readonly address: bigint;
  /** Of the entry's first word. */
  readonly index: number;
  readonly generation: number;
}

/** The reader's side. Everything in the table is the peer's word: read once, checked, used. */
export class PeerExposures {
  readonly #words: Int32Array;

  constructor(arena: ArrayBuffer, offset: number) {
    this.#words = new Int32Array(arena, offset, EXPOSURES * entryWords);
  }

  /** The range of the peer's memory that the descriptor names, to be ended with `end`; null if there is none to be read. */
  begin(descriptor: Buffer, connection: number, offset: number, length: number): ExposedRange | null {
    const reference = descriptor.readUInt32LE(12);
    const index = ((reference & 0xff) - 1) * entryWords;
    const generation = reference >>> 8;
    if (generation === 0 || index < 0 || index >= this.#words.length) return null;
    const words = this.#words;
    Atomics.store(words, index + readingWord, generation);
    const range = { address: 0n, index, generation };
    if (this.isThere(range)) {
      const low = words[index + 2];
      const high = words[index + 3];
      const size = words[index + 4];
      const allowed =
        (words[index + 1] & MEM_READ) !== 0 &&
        words[index + 5] === connection &&
        words[index + 7] === checkOf(descriptor.readInt32LE(0), descriptor.readInt32LE(4)) &&
        size === descriptor.readInt32LE(8) &&
        offset >= 0 &&
        offset + length <= size;
      const start = (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
      if (allowed) return { address: start + BigInt(offset), index, generation };
    }
    this.end(range);
    return null;
  }

  /** True: it was registered for all of the time since `begin`. */
  isThere({ index, generation }: ExposedRange): boolean {
    return Atomics.load(this.#words, index) === generation;
  }

  end({ index, generation }: ExposedRange): void {
    // Not if the entry is used anew, and read anew, meanwhile.
    Atomics.compareExchange(this.#words, index + readingWord, generation, 0);
  }
}
