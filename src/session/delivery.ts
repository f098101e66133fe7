/** What has arrived: given to the program at once if it reads, else stored, in order, with its credit withheld. */

import type { Credits } from './credits.js';
import type { SessionOwner } from './face.js';
import type { LargeReceive, LargeReceiver } from './large-receive.js';
import type { MessageWriter } from './message-writer.js';
import { ReceivedStore } from './received-store.js';
import type { DeliveryState } from './state.js';
import type { UrgentMarks } from './urgent.js';

/** Bytes delivered from the store in one turn. */
const deliverMax = 262144;

export class Delivery implements LargeReceiver {
  readonly #owner: SessionOwner;
  readonly #credits: Credits;
  readonly #writer: MessageWriter;
  readonly #urgent: UrgentMarks;
  readonly #store = new ReceivedStore();
  /** The program reads. */
  reading = false;
  /** The program is told nothing any more. */
  over = false;
  bytesReceived = 0;
  /** Chunks that came by RDMA to the process in which the session has been. */
  #moved: Set<Buffer> | null = null;
  /** What comes by RDMA, once something does. */
  large: LargeReceive | null = null;

  constructor(owner: SessionOwner, credits: Credits, writer: MessageWriter, urgent: UrgentMarks) {
    this.#owner = owner;
    this.#credits = credits;
    this.#writer = writer;
    this.#urgent = urgent;
  }

  get isEmpty(): boolean {
    return this.#store.isEmpty;
  }

  /** Data of a message whose buffer is posted again. */
  arrive(chunk: Buffer): void {
    this.bytesReceived += chunk.length;
    if (this.reading && this.#store.isEmpty) {
      this.#credits.oweData();
      this.#writer.returnCredits();
      this.#urgent.give(chunk, this.#owner);
    } else {
      this.#credits.hold();
      this.#store.push(chunk);
      this.#writer.returnCredits();
    }
  }

  // ---- data that came by RDMA, and took no credit

  arrived(chunk: Buffer): void {
    if (this.reading && this.#store.isEmpty) {
      this.bytesReceived += chunk.length;
      this.#owner.onData(chunk);
    } else {
      this.keep(chunk);
    }
  }

  keep(chunk: Buffer): void {
    this.bytesReceived += chunk.length;
    this.#store.push(chunk);
    this.large?.stored(chunk);
  }

  soon(): void {
    this.#owner.onDeliverable();
  }

  // ---- what waits for the program

  /** Gives what is stored, as far as the program reads and up to 256 KiB; asks again if more is left. */
  deliver(): void {
    // A handler of the program may throw; what is left must still come.
    let thrown = true;
    try {
      this.#deliverSome();
      thrown = false;
    } finally {
      if (thrown && this.reading && !this.#store.isEmpty) this.#owner.onDeliverable();
    }
  }

  #deliverSome(): void {
    let budget = deliverMax;
    while (this.reading && !this.#store.isEmpty) {
      if (budget <= 0) {
        this.#owner.onDeliverable();
        break;
      }
      const chunk = this.#store.shift();
      budget -= chunk.length;
      if (!this.#takesNoCredit(chunk)) {
        this.#credits.release();
        this.#writer.returnCredits();
      }
      this.#urgent.give(chunk, this.#owner);
    }
  }

  /** The program has closed. */
  close(): void {
    this.over = true;
    this.#store.clear();
    this.reading = false;
  }

  /** Gives up what is stored, for the process in which the session goes on. */
  take(): { readonly unread: Buffer[]; readonly creditless: number[] } {
    const unread: Buffer[] = [];
    const creditless: number[] = [];
    this.reading = false;
    while (!this.#store.isEmpty) {
      const chunk = this.#store.shift();
      if (this.#takesNoCredit(chunk)) creditless.push(unread.length);
      unread.push(chunk);
    }
    return { unread, creditless };
  }

  /** What was stored in the process in which the session has been; its credits are withheld already. */
  restore({ unread, creditless, bytesReceived }: DeliveryState): readonly Buffer[] {
    this.bytesReceived = bytesReceived;
    const stored = unread.map((chunk) => Buffer.from(chunk.buffer as ArrayBuffer, chunk.byteOffset, chunk.length));
    for (const chunk of stored) this.#store.push(chunk);
    if (creditless.length > 0) this.#moved = new Set(creditless.map((index) => stored[index]));
    return stored;
  }

  #takesNoCredit(chunk: Buffer): boolean {
    return this.#moved?.delete(chunk) === true || this.large?.takes(chunk) === true;
  }
}
