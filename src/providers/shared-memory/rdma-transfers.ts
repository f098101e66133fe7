/**
 * RDMA of one connection: the operations of this side in their order, reads of the peer that are being answered, and
 * messages that must not overtake either (WSD-XFR-34).
 *
 * A write travels on the ring as room comes, from the memory of whoever writes. A read copies from the peer's process where
 * that is possible; else the peer's provider sends the bytes, piece by piece as they are asked for. Its program takes no part
 * in either.
 */

import { MEM_READ, type WSABUF, WSAEFAULT, type WSAOVERLAPPED, WSS_OPERATION_IN_PROGRESS } from '../../spi/index.js';
import type { ExposedRange } from './exposures.js';
import { MESSAGE_SIZE_MAX } from './limits.js';
import type { ConnectionLink } from './link-face.js';
import { isThere, type RdmaMemory, type RdmaRegistrations } from './memory.js';
import type { Pump } from './pumps.js';
import {
  RDMA_DATA_SIZE,
  RDMA_READ_SIZE,
  RDMA_WRITE_SIZE,
  RECORD_RDMA_DATA,
  RECORD_RDMA_READ,
  RECORD_RDMA_WRITE,
} from './records.js';
import type { RegistrationCache } from './registration-cache.js';
import type { Scheduler } from './scheduler.js';

/** Bytes of one record. */
const chunkMax = MESSAGE_SIZE_MAX / 2;
/** Bytes that one turn puts on the ring, so that other connections get theirs. */
const turnMax = 4 * chunkMax;
/** Bytes that are asked for at once, and how many such requests wait for their answers: half a ring in all. */
const pieceMax = 256 * 1024;
const piecesMax = 4;
/** Bytes that one call copies from the peer's process: some 100 us. */
const directMax = 1024 * 1024;

/** Whose transfers they are: a connection. */
export interface TransfersOwner {
  readonly id: number;
  readonly generation: number;
  readonly link: ConnectionLink;
  readonly rdma: RdmaRegistrations;
  readonly cache: RegistrationCache;
  readonly scheduler: Scheduler;
  /** An operation or a message has ended: 0, or a Winsock error. */
  sent(overlapped: WSAOVERLAPPED, wsaError: number, bytes: number): void;
  /** The peer broke the rules. */
  violate(): void;
}

/** What WSPRdmaRead or WSPRdmaWrite has to know. */
export interface StartedOperation {
  readonly ended: boolean;
  readonly error: number;
  readonly length: number;
}

/** A WSPRdmaRead or WSPRdmaWrite. */
class Operation implements StartedOperation {
  readonly buffers: readonly WSABUF[];
  readonly length: number;
  readonly descriptor: Buffer;
  /** Bytes that have been moved, all buffers together. */
  done = 0;
  /** Of a read over the ring: bytes that have been asked for. */
  asked = 0;
  /** Of a direct read that is under way. */
  range: ExposedRange | null = null;
  /** Whether a direct read has been tried, and if so has begun or failed. */
  tried = false;
  /** It has not been decided yet whether WSPRdmaRead or WSPRdmaWrite returns WSA_IO_PENDING. */
  starting = true;
  ended = false;
  /** 0, or why it ends without all of its bytes. */
  error = 0;

  constructor(
    readonly isRead: boolean,
    buffers: readonly WSABUF[],
    descriptor: Uint8Array,
    readonly offset: number,
    readonly overlapped: WSAOVERLAPPED,
  ) {
    // The switch may use its records again once the call has returned.
    this.buffers = buffers.map(({ buf, offset: from, len }) => ({ buf, offset: from, len }));
    this.length = buffers.reduce((sum, { len }) => sum + len, 0);
    this.descriptor = Buffer.from(descriptor);
  }

  /** The local memory at `done`, at most `most` bytes of it and of one buffer. Null: it was detached or has shrunk. */
  here(most: number): Uint8Array | null {
    let at = this.done;
    for (const { buf, offset, len } of this.buffers) {
      if (at < len) {
        if (offset + len > buf.bytes.length) break;
        return buf.bytes.subarray(offset + at, offset + at + Math.min(most, len - at));
      }
      at -= len;
    }
    this.error = WSAEFAULT;
    return null;
  }

  /** Nothing is left to be moved. */
  get isOver(): boolean {
    return this.done === this.length || this.error !== 0;
  }
}

/** A piece that the peer is reading. */
interface Answer {
  readonly memory: RdmaMemory;
  offset: number;
  left: number;
}

/** A message that waits for the operations before it. */
interface Fenced {
  readonly bytes: Uint8Array;
  readonly overlapped: WSAOVERLAPPED;
  /** Number of operations that have to end first. */
  readonly after: number;
}

export class RdmaTransfers implements Pump {
  readonly #owner: TransfersOwner;
  readonly #operations: Operation[] = [];
  #started = 0;
  #finished = 0;
  #answers: Answer[] = [];
  /** Pieces have been sent in this turn, and others wait for the next. */
  #answered = false;
  /** What an operation of the peer reads that has not asked for its last piece yet (WSD-MEM-26). */
  #held: RdmaMemory | null = null;
  readonly #fenced: Fenced[] = [];
  #fencing: Uint8Array | null = null;
  #turnDue = false;
  readonly #wire: WSABUF = { len: 0, buf: { bytes: new Uint8Array(0), words: new Int32Array(0) }, offset: 0 };

  constructor(owner: TransfersOwner) {
    this.#owner = owner;
  }

  /** True: a message has to wait. */
  get isFencing(): boolean {
    return this.#operations.length > 0 || this.#fenced.length > 0;
  }

  get fencedCount(): number {
    return this.#fenced.length;
  }

  /** True if a range of local memory is part of an operation (WSD-MEM-17). */
  uses(region: WSABUF['buf'], offset: number, length: number): boolean {
    return this.#operations.some(({ buffers }) =>
      buffers.some((b) => b.buf === region && b.offset < offset + length && b.offset + b.len > offset),
    );
  }

  // ---- operations of this side

  /** Starts an operation. Returns it; if it has not `ended` it goes on, and is completed later. */
  start(
    isRead: boolean,
    buffers: readonly WSABUF[],
    descriptor: Uint8Array,
    offset: number,
    overlapped: WSAOVERLAPPED,
  ): StartedOperation {
    const operation = new Operation(isRead, buffers, descriptor, offset, overlapped);
    overlapped.Internal = WSS_OPERATION_IN_PROGRESS;
    this.#operations.push(operation);
    this.#started++;
    if (this.#operations.length === 1) this.#advance(turnMax);
    operation.starting = false;
    return operation;
  }

  /** The first operation goes as far as it can, then the next. Returns the bytes that were put on the ring. */
  #advance(budget: number): number {
    let sent = 0;
    for (;;) {
      const [operation] = this.#operations;
      if (operation === undefined) break;
      if (operation.isRead) this.#read(operation);
      else sent += this.#write(operation, budget - sent);
      if (!operation.isOver || operation !== this.#operations[0]) break;
      this.#operations.shift();
      this.#finished++;
      operation.ended = true;
      if (!operation.starting) this.#tell(operation);
    }
    this.#sendFenced();
    return sent;
  }

  /** Whoever is told may throw, and the next operation has to go on nevertheless. */
  #tell({ error, length, overlapped }: Operation): void {
    let told = false;
    try {
      this.#owner.sent(overlapped, error, error === 0 ? length : 0);
      told = true;
    } finally {
      if (!told) this.#advanceSoon();
    }
  }

  #advanceSoon(): void {
    if (this.#turnDue) return;
    this.#turnDue = true;
    this.#owner.scheduler.soon(() => {
      this.#turnDue = false;
      this.#advance(turnMax);
    });
  }

  #write(operation: Operation, budget: number): number {
    const { link } = this.#owner;
    const wire = this.#wire;
    let sent = 0;
    while (!operation.isOver) {
      const bytes = operation.here(chunkMax);
      if (bytes === null) break;
      if (sent >= budget || !link.tryBegin(RDMA_WRITE_SIZE + bytes.length, wire)) {
        link.pumps.add(this);
        return sent;
      }
      this.#writeRecord(operation, bytes);
      link.commit(RDMA_WRITE_SIZE + bytes.length, 0, null);
      sent += bytes.length;
    }
    return sent;
  }

  #writeRecord(operation: Operation, bytes: Uint8Array): void {
    const { id, generation } = this.#owner;
    const { buf, offset } = this.#wire;
    const i = offset >> 2;
    buf.words[i] = RECORD_RDMA_WRITE;
    buf.words[i + 1] = id;
    buf.words[i + 2] = generation;
    buf.words[i + 3] = operation.offset + operation.done;
    buf.bytes.set(operation.descriptor, offset + 16);
    buf.bytes.set(bytes, offset + RDMA_WRITE_SIZE);
    operation.done += bytes.length;
  }

  #read(operation: Operation): void {
    const { memory } = this.#owner.link;
    if (!operation.tried) {
      operation.tried = true;
      const { descriptor, offset, length } = operation;
      operation.range = memory?.begin(descriptor, this.#owner.id, offset, length) ?? null;
    }
    if (operation.range !== null) this.#readDirectly(operation, operation.range);
    if (operation.range === null && !operation.isOver) this.#ask(operation);
  }

  #readDirectly(operation: Operation, range: ExposedRange): void {
    const { link, cache } = this.#owner;
    let budget = directMax;
    while (!operation.isOver && budget > 0) {
      const into = operation.here(budget);
      if (into === null) break;
      const start = cache.addressOf(into.buffer);
      const address = start === null ? null : start + BigInt(into.byteOffset);
      if (address === null || !link.memory!.read(range, operation.done, address, into.length)) {
        // Whatever was wrong with it, the owner of the memory knows better.
        this.#leaveRange(operation);
        operation.done = 0;
        return;
      }
      operation.done += into.length;
      budget -= into.length;
    }
    if (operation.isOver) this.#leaveRange(operation);
    else this.#advanceSoon();
  }

  #leaveRange(operation: Operation): void {
    if (operation.range === null) return;
    this.#owner.link.memory!.end(operation.range);
    operation.range = null;
  }

  #ask(operation: Operation): void {
    const { id, generation, link } = this.#owner;
    const wire = this.#wire;
    while (operation.asked < operation.length) {
      const length = Math.min(pieceMax, operation.length - operation.asked);
      if (operation.asked + length - operation.done > piecesMax * pieceMax) return;
      link.begin(RDMA_READ_SIZE, wire);
      const i = wire.offset >> 2;
      const { words, bytes } = wire.buf;
      words[i] = RECORD_RDMA_READ;
      words[i + 1] = id;
      words[i + 2] = generation;
      words[i + 3] = operation.offset + operation.asked;
      bytes.set(operation.descriptor, wire.offset + 16);
      words[i + 8] = length;
      operation.asked += length;
      words[i + 9] = operation.length - operation.asked;
      link.commit(RDMA_READ_SIZE, 0, null);
    }
  }

  /** Bytes that were asked for have come; they lie in shared memory. */
  take(data: Uint8Array): void {
    const [operation] = this.#operations;
    if (operation === undefined || !operation.isRead || data.length > operation.asked - operation.done) {
      this.#owner.violate();
      return;
    }
    for (let at = 0; at < data.length; ) {
      const into = operation.here(data.length - at);
      // What the peer still sends for it would be taken for the next one's.
      if (into === null) return this.#owner.violate();
      into.set(data.subarray(at, at + into.length));
      at += into.length;
      operation.done += into.length;
    }
    this.#advance(turnMax);
  }

  // ---- reads of the peer

  /** The peer asks for a piece. All arguments are its word, and the descriptor lies in shared memory. */
  answer(descriptor: Uint8Array, offset: number, length: number, more: number): void {
    const memory = this.#owner.rdma.find(descriptor, offset, length, MEM_READ);
    if (memory === null || length === 0 || this.#answers.length >= piecesMax) {
      this.#owner.violate();
      return;
    }
    memory.transfers++;
    this.#hold(more === 0 ? null : memory);
    this.#answers.push({ memory, offset, left: length });
    if (!this.#answered) this.#answerAll(turnMax);
    this.#answered = true;
    this.#owner.link.pumps.add(this);
  }

  #hold(memory: RdmaMemory | null): void {
    if (this.#held !== null) this.#held.transfers--;
    if (memory !== null) memory.transfers++;
    this.#held = memory;
  }

  #answerAll(budget: number): number {
    const { id, generation, link } = this.#owner;
    const wire = this.#wire;
    let sent = 0;
    for (;;) {
      const [answer] = this.#answers;
      if (answer === undefined) return sent;
      const { memory } = answer;
      if (!isThere(memory)) {
        this.#owner.violate();
        return sent;
      }
      const length = Math.min(chunkMax, answer.left);
      if (sent >= budget || !link.tryBegin(RDMA_DATA_SIZE + length, wire)) {
        link.pumps.add(this);
        return sent;
      }
      const i = wire.offset >> 2;
      const { words, bytes } = wire.buf;
      words[i] = RECORD_RDMA_DATA;
      words[i + 1] = id;
      words[i + 2] = generation;
      const from = memory.offset + answer.offset;
      bytes.set(memory.region.bytes.subarray(from, from + length), wire.offset + RDMA_DATA_SIZE);
      link.commit(RDMA_DATA_SIZE + length, 0, null);
      sent += length;
      answer.offset += length;
      answer.left -= length;
      if (answer.left > 0) continue;
      memory.transfers--;
      this.#answers.shift();
    }
  }

  // ---- the ring has room

  pump(): number {
    this.#answered = false;
    const sent = this.#answerAll(turnMax);
    const [operation] = this.#operations;
    return operation === undefined || operation.isRead ? sent : sent + this.#advance(turnMax - sent);
  }

  get hasMore(): boolean {
    const [operation] = this.#operations;
    return this.#answers.length > 0 || (operation !== undefined && !operation.isRead);
  }

  // ---- messages behind operations

  /** Room for a message that has to wait, in memory of our own. False: it need not wait. */
  begin(length: number, buffer: WSABUF): boolean {
    this.#fencing = null;
    if (!this.isFencing) return false;
    const memory = new ArrayBuffer((length + 7) & ~7);
    this.#fencing = new Uint8Array(memory);
    buffer.len = length;
    buffer.buf = { bytes: this.#fencing, words: new Int32Array(memory) };
    buffer.offset = 0;
    return true;
  }

  /** False: the message need not wait. */
  commit(length: number, overlapped: WSAOVERLAPPED): boolean {
    if (this.#fencing === null) return false;
    const bytes = this.#fencing.subarray(0, length);
    this.#fencing = null;
    this.#fenced.push({ bytes, overlapped, after: this.#started });
    return true;
  }

  #sendFenced(all = false): void {
    const { id, link } = this.#owner;
    const wire = this.#wire;
    while (this.#fenced.length > 0 && (all || this.#fenced[0].after <= this.#finished)) {
      const { bytes, overlapped } = this.#fenced.shift()!;
      link.begin(bytes.length, wire);
      wire.buf.bytes.set(bytes, wire.offset);
      if (link.commit(bytes.length, id, overlapped)) this.#owner.sent(overlapped, 0, bytes.length);
    }
  }

  // ---- the end

  /** The connection is about to say that it closes: what was sent before has to arrive (WSD-CLS-8). */
  flush(): void {
    if (!this.isFencing) return;
    const { link } = this.#owner;
    const wire = this.#wire;
    for (const operation of this.#operations) {
      while (!operation.isRead && !operation.isOver) {
        const bytes = operation.here(chunkMax);
        if (bytes === null) break;
        link.begin(RDMA_WRITE_SIZE + bytes.length, wire);
        this.#writeRecord(operation, bytes);
        link.commit(RDMA_WRITE_SIZE + bytes.length, 0, null);
      }
    }
    this.#sendFenced(true);
  }

  /** The connection has ended: everything that goes on ends with this error. */
  end(error: number): void {
    this.#owner.link.pumps.remove(this);
    for (const { memory } of this.#answers) memory.transfers--;
    this.#answers = [];
    this.#hold(null);
    const operations = this.#operations.splice(0);
    const fenced = this.#fenced.splice(0);
    for (const operation of operations) this.#leaveRange(operation);
    for (const { overlapped } of [...operations, ...fenced]) this.#owner.sent(overlapped, error, 0);
  }
}
