/**
 * What has arrived and the program has not taken, with the urgent mark of the stream.
 *
 * The urgent byte stays where it is in the stream, as a chunk of its own. With SO_OOBINLINE it is received there, in a call
 * of its own; otherwise it is received by MSG_OOB, and the others pass it by. There is one mark, as with TCP: urgent data
 * that comes while an earlier byte is neither received nor passed makes that byte an ordinary one.
 */

/** Buffers of one receive, filled in order. */
export class Scatter {
  /** Bytes that are in. */
  filled = 0;
  readonly room: number;
  readonly #buffers: readonly Uint8Array[];
  #index = 0;
  #offset = 0;

  constructor(buffers: readonly Uint8Array[]) {
    this.#buffers = buffers;
    let room = 0;
    for (const { length } of buffers) room += length;
    this.room = room;
  }

  get isFull(): boolean {
    return this.filled === this.room;
  }

  /** As much of the chunk as there is room for; how much. */
  put(chunk: Uint8Array): number {
    let from = 0;
    while (from < chunk.length && this.filled < this.room) {
      const buffer = this.#buffers[this.#index]!;
      const length = Math.min(chunk.length - from, buffer.length - this.#offset);
      buffer.set(from === 0 && length === chunk.length ? chunk : chunk.subarray(from, from + length), this.#offset);
      from += length;
      this.#offset += length;
      this.filled += length;
      if (this.#offset === buffer.length) {
        this.#index++;
        this.#offset = 0;
      }
    }
    return from;
  }

  /** A copy of what is in. */
  content(): Buffer {
    return Buffer.concat(this.#buffers, this.filled);
  }
}

interface Mark {
  /** The urgent byte, which stands in the store until it is passed. */
  readonly chunk: Buffer;
  passed: boolean;
  received: boolean;
}

/** What a store holds, for the process to which the socket moves. */
export interface StoreState {
  readonly chunks: readonly Uint8Array[];
  /** The urgent byte: itself, and its index among the chunks or -1 if it is passed. */
  readonly mark: { readonly byte: Uint8Array; readonly index: number; readonly received: boolean } | null;
}

export class ReceiveStore {
  /** SO_OOBINLINE. */
  inline = false;
  readonly #chunks: Buffer[] = [];
  #mark: Mark | null = null;
  /** All that is kept. */
  bytes = 0;

  /** Leaves the store empty. */
  takeState(): StoreState {
    const chunks = this.#chunks.splice(0);
    const mark = this.#mark;
    this.#mark = null;
    this.bytes = 0;
    if (mark === null) return { chunks, mark };
    const index = mark.passed ? -1 : chunks.indexOf(mark.chunk);
    return { chunks, mark: { byte: mark.chunk, index, received: mark.received } };
  }

  restore({ chunks, mark }: StoreState): void {
    for (const { buffer, byteOffset, length } of chunks)
      this.push(Buffer.from(buffer as ArrayBuffer, byteOffset, length));
    if (mark === null) return;
    const passed = mark.index < 0;
    const chunk = passed ? Buffer.from(mark.byte) : this.#chunks[mark.index]!;
    this.#mark = { chunk, passed, received: mark.received };
  }

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.bytes += chunk.length;
  }

  pushUrgent(chunk: Buffer): void {
    const before = this.#mark;
    // A byte that was received ahead of the stream must not be received again.
    if (before?.received && !before.passed) this.#drop(before.chunk);
    if (chunk.length > 1) this.push(chunk.subarray(0, -1));
    const byte = chunk.subarray(-1);
    this.push(byte);
    this.#mark = { chunk: byte, passed: false, received: false };
  }

  #drop(chunk: Buffer): void {
    this.#chunks.splice(this.#chunks.indexOf(chunk), 1);
    this.bytes -= chunk.length;
  }

  /** Gives bytes back that were taken last. */
  unshift(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.#chunks.unshift(chunk);
    this.bytes += chunk.length;
  }

  /** The mark, if it is still ahead. */
  get #ahead(): Mark | null {
    return this.#mark?.passed === false ? this.#mark : null;
  }

  #isSkipped(mark: Mark): boolean {
    return !this.inline || mark.received;
  }

  /** Bytes that somebody will still get. */
  get unread(): number {
    return this.bytes - (this.#ahead?.received ? 1 : 0);
  }

  /** Whether a receive gets something at once. */
  get isReadable(): boolean {
    const mark = this.#ahead;
    return this.bytes > (mark !== null && this.#isSkipped(mark) ? 1 : 0);
  }

  /** How much one receive gets at once, if it has room: no more than up to the mark. */
  get available(): number {
    const mark = this.#ahead;
    if (mark === null) return this.bytes;
    let before = 0;
    for (const chunk of this.#chunks) {
      if (chunk === mark.chunk) break;
      before += chunk.length;
    }
    if (before > 0) return before;
    return this.#isSkipped(mark) ? this.bytes - 1 : 1;
  }

  /** SIOCATMARK: no ordinary data comes before the urgent byte, or there is none. */
  get isAtMark(): boolean {
    const mark = this.#ahead;
    return mark === null || this.#chunks[0] === mark.chunk;
  }

  /** MSG_OOB gets a byte at once. */
  get hasUrgent(): boolean {
    return !this.inline && this.#mark?.received === false;
  }

  /** MSG_OOB; to be asked where there is one. */
  takeUrgent(into: Scatter, peek: boolean): void {
    const mark = this.#mark!;
    if (into.put(mark.chunk) === 0 || peek) return;
    if (mark.passed) this.#mark = null;
    else mark.received = true;
  }

  /** Moves what fits. True: it has come to the mark, which no receive crosses. */
  take(into: Scatter): boolean {
    while (this.#chunks.length > 0 && !into.isFull) {
      const chunk = this.#chunks[0]!;
      const mark = this.#ahead;
      if (chunk === mark?.chunk) {
        if (into.filled > 0) return true;
        const skipped = this.#isSkipped(mark);
        this.#pass(mark);
        if (skipped) continue;
        into.put(chunk);
        return true;
      }
      const length = into.put(chunk);
      this.bytes -= length;
      if (length === chunk.length) this.#chunks.shift();
      else this.#chunks[0] = chunk.subarray(length);
    }
    return this.#ahead !== null && this.#chunks[0] === this.#ahead.chunk;
  }

  #pass(mark: Mark): void {
    this.#chunks.shift();
    this.bytes -= 1;
    // Not received yet, MSG_OOB still gets it, until other urgent data comes.
    if (this.#isSkipped(mark) && !mark.received) mark.passed = true;
    else this.#mark = null;
  }

  /** Copies what `take` would move. */
  peek(into: Scatter): void {
    const mark = this.#ahead;
    for (const chunk of this.#chunks) {
      if (chunk === mark?.chunk) {
        if (into.filled > 0) return;
        if (this.#isSkipped(mark)) continue;
        into.put(chunk);
        return;
      }
      if (into.put(chunk) < chunk.length) return;
    }
  }
}
