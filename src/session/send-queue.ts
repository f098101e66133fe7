/**
 * What a program has written and the wire has not taken: chunks by reference, whose write waits, and buffers of our own,
 * into which small writes are gathered so that they count as taken (backpressure is bytes, never "no credit").
 */

export type Done = (wsaError: number) => void;

class Entry {
  start = 0;
  constructor(
    readonly bytes: Uint8Array,
    public end: number,
    /** True: `bytes` belongs to the queue, and more may be appended behind `end`. */
    readonly owned: boolean,
    public done: Done | null,
  ) {}
}

/** Gathering buffers that are free, of the one size that is in use; a bound on what they hold together is 1 MiB. */
const free: Uint8Array[] = [];
const freeMax = 64;

function takeBuffer(size: number): Uint8Array {
  const buffer = free.pop();
  return buffer !== undefined && buffer.length === size ? buffer : Buffer.allocUnsafeSlow(size);
}

export class SendQueue {
  #entries: Entry[] = [];
  #head = 0;
  /** Bytes in the queue. */
  bytes = 0;
  /** Those of them that are in somebody else's memory. */
  borrowedBytes = 0;

  get isEmpty(): boolean {
    return this.#head === this.#entries.length;
  }

  /** Copies the bytes. `bufferSize` is the size in bytes of the buffers into which small writes are gathered. */
  append(chunk: Uint8Array, bufferSize: number): void {
    this.bytes += chunk.length;
    let from = 0;
    while (from < chunk.length) {
      const last = this.#entries.length > this.#head ? this.#entries[this.#entries.length - 1] : undefined;
      let entry = last;
      if (entry === undefined || !entry.owned || entry.end === entry.bytes.length) {
        entry = new Entry(takeBuffer(bufferSize), 0, true, null);
        this.#entries.push(entry);
      }
      const n = Math.min(chunk.length - from, entry.bytes.length - entry.end);
      entry.bytes.set(from === 0 && n === chunk.length ? chunk : chunk.subarray(from, from + n), entry.end);
      entry.end += n;
      from += n;
    }
  }

  /** Keeps a reference; the owner of the chunk must not touch it until `done`. */
  push(chunk: Uint8Array, start: number, done: Done | null): void {
    const entry = new Entry(chunk, chunk.length, false, done);
    entry.start = start;
    this.#entries.push(entry);
    this.bytes += chunk.length - start;
    this.borrowedBytes += chunk.length - start;
  }

  /** Sets who is told about the last entry. */
  setLastDone(done: Done): void {
    this.#entries[this.#entries.length - 1].done = done;
  }

  /**
   * Moves up to `size` bytes (at most `this.bytes`) to `offset` of `target`. Whoever waited for a chunk that is now moved
   * altogether is added to `completed`.
   */
  moveTo(target: Uint8Array, offset: number, size: number, completed: Done[]): void {
    let left = size;
    let at = offset;
    while (left > 0) {
      const entry = this.#entries[this.#head];
      const n = Math.min(left, entry.end - entry.start);
      const whole = entry.start === 0 && n === entry.bytes.length;
      target.set(whole ? entry.bytes : entry.bytes.subarray(entry.start, entry.start + n), at);
      entry.start += n;
      at += n;
      left -= n;
      if (!entry.owned) this.borrowedBytes -= n;
      if (entry.start === entry.end) {
        if (entry.done !== null) completed.push(entry.done);
        if (entry.owned && free.length < freeMax) free.push(entry.bytes);
        this.#head++;
      }
    }
    this.bytes -= size;
    this.#compact();
  }

  /** Copies borrowed chunks, so that their writes are done, as long as the queue holds at most `bytesMax` bytes. */
  adopt(bytesMax: number, bufferSize: number, completed: Done[]): void {
    if (this.borrowedBytes === 0 || this.bytes > bytesMax) return;
    const entries = this.#entries.slice(this.#head);
    this.#entries = [];
    this.#head = 0;
    const total = this.bytes;
    for (const entry of entries) {
      if (entry.owned) {
        this.#entries.push(entry);
      } else {
        this.append(entry.start === 0 ? entry.bytes : entry.bytes.subarray(entry.start), bufferSize);
        if (entry.done !== null) completed.push(entry.done);
      }
    }
    this.bytes = total;
    this.borrowedBytes = 0;
  }

  /** Empties the queue; returns who waits. */
  clear(): Done[] {
    const waiting: Done[] = [];
    for (let i = this.#head; i < this.#entries.length; i++) {
      const done = this.#entries[i].done;
      if (done !== null) waiting.push(done);
    }
    this.#entries = [];
    this.#head = 0;
    this.bytes = 0;
    this.borrowedBytes = 0;
    return waiting;
  }

  #compact(): void {
    if (this.#head === this.#entries.length) {
      this.#entries.length = 0;
      this.#head = 0;
    } else if (this.#head >= 64) {
      this.#entries.splice(0, this.#head);
      this.#head = 0;
    }
  }
}
