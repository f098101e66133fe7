/**
 * The receiving side of a large send: the rest of a block is read from the sender's memory, or written by the sender into
 * memory that is granted, piece by piece. What the program has not taken is bounded, as what a kernel would buffer is.
 */

import type { Credits } from './credits.js';
import type { SessionRdma } from './face.js';
import {
  DESCRIPTOR_SIZE_MAX,
  HEADER_SIZE,
  LARGE_FIELDS_SIZE,
  LARGE_SIZE_MAX,
  TYPE_GRANT,
  TYPE_READ,
} from './header.js';
import type { MessageWriter } from './message-writer.js';
import type { LargeMethod } from './negotiation.js';

/** Most bytes of memory that is granted at one time. */
const grantMax = 1 << 20;
/** Bytes that are read in one turn, if reading is done when it returns. */
const turnMax = 1 << 20;
/**
 * Bytes of a block after which its sender is told how far it has got, if the program does not take more just now: about
 * as often as a writer on TCP learns that a slow reader goes on.
 */
const tellMin = 1 << 20;
/** Bytes of a chunk for the program. */
const chunkMax = 65_536;

/** Who gets what has been moved. */
export interface LargeReceiver {
  /** The program reads. */
  readonly reading: boolean;
  /** For the program, in order. It may throw; what it has been given counts as taken then. */
  arrived(chunk: Buffer): void;
  /** For the program as well, but later. */
  keep(chunk: Buffer): void;
  /** There is more to do in a later turn. */
  soon(): void;
  /** The connection is over. */
  readonly over: boolean;
}

export class LargeReceive {
  readonly #rdma: SessionRdma;
  readonly #writer: MessageWriter;
  readonly #credits: Credits;
  readonly #receiver: LargeReceiver;
  readonly #method: LargeMethod;
  readonly #storedMax: number;
  /** Bytes that are still to be moved; 0 while nothing is. */
  #left = 0;
  #offset = 0;
  #descriptor = new Uint8Array(0);
  /** Bytes that are being read or are granted. */
  #moving = 0;
  /** A message that waits for a credit: its type, or 0. */
  #answer = 0;
  #answerBytes = 0;
  #answerDescriptor: Uint8Array | null = null;
  #pumping = false;
  /** What has been moved and not been given on. */
  readonly #pieces: Buffer[] = [];
  /** Chunks that the program has not taken, oldest first, and their bytes. */
  readonly #stored: Buffer[] = [];
  #storedBytes = 0;

  /** `storedMax`: bytes that are moved although the program does not read. */
  constructor(
    rdma: SessionRdma,
    writer: MessageWriter,
    credits: Credits,
    receiver: LargeReceiver,
    method: LargeMethod,
    storedMax: number,
  ) {
    this.#rdma = rdma;
    this.#writer = writer;
    this.#credits = credits;
    this.#receiver = receiver;
    this.#method = method;
    this.#storedMax = storedMax;
  }

  /** There is something that the peer has sent and that is not here, or on its way to the program. */
  get isOpen(): boolean {
    return this.#left > 0 || this.#pieces.length > 0;
  }

  /**
   * Reads the fields of the message at byte `at` of its memory. Where its first portion begins, counted from the end of the
   * fixed header, or -1: it breaks the protocol.
   */
  begin(bytes: Uint8Array, words: Int32Array, at: number, payload: number): number {
    const i = at >> 2;
    const amount = words[i + 3];
    if (this.isOpen || this.#answer !== 0 || payload <= LARGE_FIELDS_SIZE) return -1;
    const length = words[i + 4];
    if (length < 0 || length > DESCRIPTOR_SIZE_MAX || length > 0 !== (this.#method === 'read')) return -1;
    const room = LARGE_FIELDS_SIZE + ((length + 7) & ~7);
    const left = amount - (payload - room);
    if (room >= payload || left <= 0 || amount > LARGE_SIZE_MAX) return -1;
    // The message's buffer is posted again.
    const from = at + HEADER_SIZE + LARGE_FIELDS_SIZE;
    this.#descriptor = bytes.slice(from, from + length);
    this.#left = left;
    this.#offset = 0;
    this.#credits.transfers++;
    this.#credits.keepForAnswers();
    return room;
  }

  /** Moves as much as there is room for. Whatever may have changed that calls it again. */
  pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    // A handler of the program may throw.
    let more = true;
    try {
      more = this.#pump();
    } finally {
      this.#pumping = false;
      if (more && this.isOpen && !this.#receiver.over) this.#receiver.soon();
    }
  }

  /** True: there is more to do in a later turn. */
  #pump(): boolean {
    let budget = turnMax;
    while (this.#left > 0 && this.#moving === 0 && this.#answer === 0 && this.#hasRoom() && !this.#receiver.over) {
      if (budget <= 0) return true;
      if (this.#method === 'write') this.#grant();
      else budget -= this.#read();
      this.#deliver();
    }
    this.#deliver();
    this.#pause();
    return false;
  }

  /** The program is slow. What has been read is done with, and the sender offers the rest anew. */
  #pause(): void {
    const waits = this.#left > 0 && this.#moving === 0 && this.#answer === 0;
    if (!waits || this.#offset < tellMin || this.#receiver.over) return;
    this.#end();
    this.#say(TYPE_READ, this.#offset, null);
  }

  #hasRoom(): boolean {
    if (this.#receiver.reading && this.#storedBytes === 0) return true;
    const waiting = this.#pieces.reduce((sum, { length }) => sum + length, 0);
    return this.#storedBytes + waiting < this.#storedMax;
  }

  #read(): number {
    const length = Math.min(this.#left, this.#rdma.readMax);
    this.#moving = length;
    const result = this.#rdma.read(this.#descriptor, this.#offset, length);
    if (result === 'failed') this.#giveUp();
    else if (result !== 'pending') this.#take(result);
    return length;
  }

  #giveUp(): void {
    this.#moving = 0;
    this.#end();
    this.#say(TYPE_READ, this.#offset, null);
  }

  #grant(): void {
    const length = Math.min(this.#left, grantMax);
    const descriptor = this.#rdma.grant(length);
    if (descriptor === null || descriptor.length > DESCRIPTOR_SIZE_MAX) {
      if (descriptor !== null) this.#rdma.takeGranted();
      this.#end();
      this.#say(TYPE_GRANT, 0, null);
    } else {
      this.#moving = length;
      this.#say(TYPE_GRANT, length, descriptor);
    }
  }

  /** A read that was pending has come to its end. */
  pieceRead(bytes: Buffer): void {
    this.#take(bytes);
    this.pump();
  }

  #take(bytes: Buffer): void {
    this.#moving = 0;
    this.#offset += bytes.length;
    this.#left -= bytes.length;
    this.#cut(bytes);
    // Before the program has it, so that the sender goes on meanwhile (WSD-XFR-15).
    if (this.#left > 0) return;
    this.#end();
    this.#say(TYPE_READ, this.#offset, null);
  }

  #end(): void {
    this.#left = 0;
    this.#credits.transfers--;
  }

  #cut(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; at += chunkMax) this.#pieces.push(bytes.subarray(at, at + chunkMax));
  }

  /** The peer says that it has written so many bytes. False: it cannot have. */
  written(count: number): boolean {
    if (this.#method !== 'write' || this.#moving === 0 || this.#answer !== 0) return false;
    if (count < 0 || count > this.#moving) return false;
    const bytes = this.#rdma.takeGranted();
    // Fewer than granted: the rest comes in messages.
    if (count === this.#moving && count < this.#left) this.#left -= count;
    else this.#end();
    this.#moving = 0;
    this.#cut(bytes.subarray(0, count));
    return true;
  }

  /** A handler of the program may throw; what is left must still come, and before anything that the peer sends. */
  #deliver(): void {
    const pieces = this.#pieces;
    if (pieces.length === 0) return;
    try {
      while (pieces.length > 0 && !this.#receiver.over) this.#receiver.arrived(pieces.shift()!);
    } finally {
      if (pieces.length > 0 && !this.#receiver.over) {
        while (pieces.length > 0) this.#receiver.keep(pieces.shift()!);
        this.#receiver.soon();
      }
    }
  }

  #say(type: number, bytes: number, descriptor: Uint8Array | null): void {
    this.#answer = type;
    this.#answerBytes = bytes;
    this.#answerDescriptor = descriptor;
    this.tell();
  }

  /** Sends the answer that waits, once it may be sent. */
  tell(): void {
    if (this.#answer === 0 || !this.#credits.forTransfer) return;
    const type = this.#answer;
    this.#answer = 0;
    this.#writer.transfer(type, this.#answerBytes, this.#answerDescriptor);
  }

  /** The connection is lost, and with it what has not been moved. */
  abandon(): void {
    this.#left = 0;
    this.#answer = 0;
  }

  // ---- what the program has not taken

  stored(chunk: Buffer): void {
    this.#stored.push(chunk);
    this.#storedBytes += chunk.length;
  }

  /** True if the chunk, which the program takes now, came by RDMA: no credit is withheld for it. */
  takes(chunk: Buffer): boolean {
    if (this.#stored[0] !== chunk) return false;
    this.#stored.shift();
    this.#storedBytes -= chunk.length;
    return true;
  }
}
