/**
 * A ring of records in shared memory, one for each direction of a link.
 *
 * A record is a prefix of two words, length and connection id, and its bytes, contiguous, at a multiple of 8. A length of
 * -1 says: go on at the start of the ring. Head and tail run freely as 32-bit numbers; each is written by one side, which
 * also keeps its own copy, because what lies in shared memory may be changed by the peer at any time. Whatever is read from
 * there is read once, checked, then used.
 *
 * The word after the tail is ahead of it while records are being handled: it tells what a process that died in the middle of
 * that had taken.
 */

import type { MemoryRegion } from '../../spi/index.js';

export const PREFIX_SIZE = 8;
const skip = -1;

/** The peer wrote something that no correct peer writes. The link cannot go on. */
export class RingViolation extends Error {}

function align(bytes: number): number {
  return (bytes + 7) & ~7;
}

export class RingProducer {
  readonly region: MemoryRegion;
  readonly #shared: Int32Array;
  readonly #headIndex: number;
  readonly #tailIndex: number;
  readonly #takenIndex: number;
  readonly #size: number;
  #head = 0;
  /** The peer's tail as last seen. */
  #tail = 0;

  constructor(arena: ArrayBuffer, headOffset: number, tailOffset: number, ringOffset: number, size: number) {
    this.#shared = new Int32Array(arena, 0, 1024);
    this.#headIndex = headOffset >> 2;
    this.#tailIndex = tailOffset >> 2;
    this.#takenIndex = this.#tailIndex + 1;
    this.#size = size;
    this.region = {
      bytes: new Uint8Array(arena, ringOffset, size),
      words: new Int32Array(arena, ringOffset, size >> 2),
    };
  }

  /** Offset in the region at which `length` bytes may be written, or -1 if the ring is too full. */
  begin(length: number): number {
    const record = PREFIX_SIZE + align(length);
    const size = this.#size;
    let offset = this.#head & (size - 1);
    const toEnd = size - offset;
    if (record > toEnd) {
      if (!this.#hasRoom(record + toEnd)) return -1;
      this.region.words[offset >> 2] = skip;
      this.#head = (this.#head + toEnd) | 0;
      offset = 0;
    } else if (!this.#hasRoom(record)) {
      return -1;
    }
    return offset + PREFIX_SIZE;
  }

  /** Publishes the record begun at `offset` with `length` bytes, at most what `begin` was asked for. */
  commit(offset: number, length: number, id: number): void {
    const i = (offset - PREFIX_SIZE) >> 2;
    this.region.words[i] = length;
    this.region.words[i + 1] = id;
    this.#head = (this.#head + PREFIX_SIZE + align(length)) | 0;
    Atomics.store(this.#shared, this.#headIndex, this.#head);
  }

  #hasRoom(bytes: number): boolean {
    if (this.#size - ((this.#head - this.#tail) >>> 0) >= bytes) return true;
    return this.free() >= bytes;
  }

  /** Free bytes, by a fresh look at the peer's tail. */
  free(): number {
    const tail = Atomics.load(this.#shared, this.#tailIndex);
    const used = (this.#head - tail) >>> 0;
    if (used > this.#size) throw new RingViolation('tail out of bounds');
    this.#tail = tail;
    return this.#size - used;
  }

  /** Calls `visit` with the connection id of each record that the peer has not taken. For use after the peer's end. */
  forEachUnconsumed(visit: (id: number) => void): void {
    let at = Atomics.load(this.#shared, this.#takenIndex);
    const words = this.region.words;
    const size = this.#size;
    while ((this.#head - at) >>> 0 <= size && at !== this.#head) {
      const offset = at & (size - 1);
      const length = words[offset >> 2];
      if (length === skip) {
        at = (at + size - offset) | 0;
        continue;
      }
      if (length < 0 || length > size) return;
      visit(words[(offset >> 2) + 1]);
      at = (at + PREFIX_SIZE + align(length)) | 0;
    }
  }
}

/** What a consumer does with a record: `offset` and `length` lie within the region. */
export type RecordHandler = (region: MemoryRegion, offset: number, length: number, id: number) => void;

export class RingConsumer {
  readonly region: MemoryRegion;
  readonly #shared: Int32Array;
  readonly #headIndex: number;
  readonly #tailIndex: number;
  readonly #takenIndex: number;
  readonly #size: number;
  #tail = 0;

  constructor(arena: ArrayBuffer, headOffset: number, tailOffset: number, ringOffset: number, size: number) {
    this.#shared = new Int32Array(arena, 0, 1024);
    this.#headIndex = headOffset >> 2;
    this.#tailIndex = tailOffset >> 2;
    this.#takenIndex = this.#tailIndex + 1;
    this.#size = size;
    this.region = {
      bytes: new Uint8Array(arena, ringOffset, size),
      words: new Int32Array(arena, ringOffset, size >> 2),
    };
  }

  /** Runs freely, as head and tail do. */
  get position(): number {
    return this.#tail;
  }

  get hasRecords(): boolean {
    return Atomics.load(this.#shared, this.#headIndex) !== this.#tail;
  }

  /** Free bytes as the producer sees them after this consumer's last publication. */
  get free(): number {
    return this.#size - ((Atomics.load(this.#shared, this.#headIndex) - this.#tail) >>> 0);
  }

  /**
   * Consumes records up to the budgets and returns their number. A record counts as consumed before `handle` sees it, so
   * an exception of a handler loses nothing but itself.
   */
  consume(recordsMax: number, bytesMax: number, handle: RecordHandler): number {
    const head = Atomics.load(this.#shared, this.#headIndex);
    if (head === this.#tail) return 0;
    const size = this.#size;
    if ((head - this.#tail) >>> 0 > size || (head & 7) !== 0) throw new RingViolation('head out of bounds');
    const words = this.region.words;
    let records = 0;
    let bytes = 0;
    try {
      while (this.#tail !== head && records < recordsMax && bytes < bytesMax) {
        const offset = this.#tail & (size - 1);
        const available = Math.min((head - this.#tail) >>> 0, size - offset);
        const length = words[offset >> 2];
        if (length === skip) {
          if (available !== size - offset) throw new RingViolation('skip beyond the head');
          this.#tail = (this.#tail + available) | 0;
          continue;
        }
        if (length < 0 || length > available - PREFIX_SIZE) throw new RingViolation('record out of bounds');
        const id = words[(offset >> 2) + 1];
        this.#tail = (this.#tail + PREFIX_SIZE + align(length)) | 0;
        records++;
        bytes += length;
        // Only the peer of a dead process reads this, so it needs no order; and the record may not be overwritten yet.
        this.#shared[this.#takenIndex] = this.#tail;
        handle(this.region, offset + PREFIX_SIZE, length, id);
        if ((records & 31) === 0) this.#publish();
      }
    } finally {
      this.#publish();
    }
    return records;
  }

  #publish(): void {
    Atomics.store(this.#shared, this.#tailIndex, this.#tail);
  }
}
