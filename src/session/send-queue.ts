/**
 * What a program has written and the wire has not taken: chunks by reference, whose write waits, and buffers of our own,
 * into which small writes are gathered so that they count as taken (backpressure is bytes, never "no credit").
 */

export type Done = (wsaError: number) => void;

class Entry {
  start = 0;
  /** The peer reads from the chunk, or it is being written to the peer. */
  lent = false;
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
  /** Bytes that have left, those that never were in the queue included. */
  sent = 0;

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

  /**
   * Copies chunks of at most `copyMax` bytes as long as the queue holds at most `bytesMax`, and keeps references to others;
   * true if there are any.
   */
  add(chunks: readonly Uint8Array[], copyMax: number, bytesMax: number, bufferSize: number): boolean {
    let borrowed = false;
    for (const chunk of chunks) {
      if (chunk.length === 0) continue;
      if (chunk.length <= copyMax && this.bytes + chunk.length <= bytesMax) {
        this.append(chunk, bufferSize);
      } else {
        this.push(chunk, 0, null);
        borrowed = true;
      }
    }
    return borrowed;
  }

  /** Keeps a reference; the owner of the chunk must not touch it until `done`. */
  push(chunk: Uint8Array, start: number, done: Done | null): void {
    const entry = new Entry(chunk, chunk.length, false, done);
    entry.start = start;
    this.#entries.push(entry);
    this.bytes += chunk.length - start;
    this.borrowedBytes += chunk.length - start;
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
      at += n;
      left -= n;
      this.#consume(entry, n, completed);
    }
    this.bytes -= size;
    this.#compact();
  }

  #consume(entry: Entry, n: number, completed: Done[]): void {
    entry.start += n;
    if (!entry.owned) this.borrowedBytes -= n;
    if (entry.start < entry.end) return;
    if (entry.done !== null) completed.push(entry.done);
    if (entry.owned && free.length < freeMax) free.push(entry.bytes);
    this.#head++;
  }

  // ---- a chunk that is moved by RDMA

  /** Bytes of the first chunk, if it is in somebody else's memory; else 0. */
  get lendable(): number {
    if (this.isEmpty) return 0;
    const entry = this.#entries[this.#head];
    return entry.owned ? 0 : entry.end - entry.start;
  }

  /** The first chunk from `from` to `to`, counted from where it is now. */
  peek(from: number, to: number): Uint8Array {
    const { bytes, start } = this.#entries[this.#head];
    return bytes.subarray(start + from, start + to);
  }

  /** Whether the first chunk stays where it is, because somebody else uses its memory. */
  set lent(lent: boolean) {
    this.#entries[this.#head].lent = lent;
  }

  get lent(): boolean {
    return !this.isEmpty && this.#entries[this.#head].lent;
  }

  /** The first `size` bytes of the first chunk have been moved. */
  drop(size: number, completed: Done[]): void {
    if (size === 0) return;
    this.sent += size;
    this.#consume(this.#entries[this.#head], size, completed);
    this.bytes -= size;
    this.#compact();
  }

  /**
   * Copies borrowed chunks, so that their writes are done, as long as the queue holds at most `bytesMax` bytes. What is lent
   * stays as it is.
   */
  adopt(bytesMax: number, bufferSize: number, completed: Done[]): void {
    if (this.borrowedBytes === 0 || this.bytes > bytesMax) return;
    const entries = this.#entries.slice(this.#head);
    this.#entries = [];
    this.#head = 0;
    const total = this.bytes;
    let lentBytes = 0;
    for (const entry of entries) {
      if (entry.lent) lentBytes += entry.end - entry.start;
      // An entry without bytes stands for the end of a write, of which the lent chunk may be part.
      const mayEndLent = lentBytes > 0 && entry.start === entry.end;
      if (entry.owned || entry.lent || mayEndLent) {
        this.#entries.push(entry);
      } else {
        this.append(entry.start === 0 ? entry.bytes : entry.bytes.subarray(entry.start), bufferSize);
        if (entry.done !== null) completed.push(entry.done);
      }
    }
    this.bytes = total;
    this.borrowedBytes = lentBytes;
  }

  /** A copy of all that is in the queue. */
  content(): Buffer {
    const content = Buffer.allocUnsafe(this.bytes);
    let at = 0;
    for (const { bytes, start, end } of this.#entries.slice(this.#head)) {
      content.set(bytes.subarray(start, end), at);
      at += end - start;
    }
    return content;
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
