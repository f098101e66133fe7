/**
 * One link in the hands of a hostile peer: it writes wherever it likes, looks in a busy loop at what becomes of that, and
 * checks that whatever comes back is something that it may see.
 */

import { type Platform, PlatformError } from '../../../src/platform/index.js';
import { type ArenaLayout, arenaLayout, RING_SIZE, SLOTS } from '../../../src/providers/shared-memory/arena.js';
import type { EstablishedLink } from '../../../src/providers/shared-memory/endpoint.js';
import {
  ACCEPT_SIZE,
  CLOSE_SIZE,
  CONNECT_SIZE,
  RECORD_ACCEPT,
  RECORD_CLOSE,
  RECORD_CONNECT,
  RECORD_REFUSE,
  REFUSE_SIZE,
  REQUEST_PENDING,
  requestWord,
  writeConnect,
} from '../../../src/providers/shared-memory/records.js';
import {
  CREDITS_MAX,
  FLAG_CLOSED,
  HEADER_SIZE,
  TYPE_CREDIT,
  TYPE_DATA,
  TYPE_FINISH,
  TYPE_NEGOTIATE,
  writeHeader,
} from '../../../src/session/header.js';
import { NEGOTIATION_SIZE, readNegotiation, writeNegotiation } from '../../../src/session/negotiation.js';
import { AF_INET } from '../../../src/spi/index.js';

/** Milliseconds after which a victim that neither looks nor ends the link counts as stuck. */
const patience = 5000;
/** Nobody listens there. */
const nowhere = { sa_family: AF_INET, address: '127.0.0.1', port: 9 };
const probeSlot = SLOTS - 1;
/** What the victim offers; see the switch. */
const offered = { postedBuffers: 8, postedBuffersMax: 32, payloadSize: 16_384 };

/** `asked`: no answer yet. `told`: the victim has closed, and waits for our close. `saying`: the other way round. */
type State = 'asked' | 'open' | 'told' | 'saying' | 'gone';

export class HostileConnection {
  state: State = 'asked';
  sequence = 0;
  received = 0;
  /** Messages that may be sent, as a correct peer would count. */
  credit = offered.postedBuffers;
  owed = 0;
  agreed = false;
  negotiationSent = false;
  /** The victim has finished sending: its close is no verdict. */
  finished = false;
  /** A finish was sent that makes a correct victim reset the connection. */
  resetting = false;
  /** A close may have hit it by mistake: the victim's own is then no verdict. */
  unclear = false;
  /** Nothing more is to be sent on it. */
  retired = false;
  /** Payload of another connection that was addressed to this one. */
  strange: { tag: number; bytes: number } | null = null;
  bytesSent = 0;
  bytesBack = 0;
  /** Every byte of payload on this connection has this value, so foreign bytes would show. */
  readonly tag: number;

  constructor(
    readonly id: number,
    readonly generation: number,
  ) {
    this.tag = 1 + ((id * 7 + generation) % 255);
  }
}

export interface Placed {
  /** Words of the arena: the prefix, and what follows it. */
  readonly prefix: number;
  readonly body: number;
  /** Where it begins, counted as heads and tails are. */
  readonly position: number;
}

export class HostileLink {
  readonly words: Int32Array;
  readonly bytes: Uint8Array;
  readonly layout: ArenaLayout;
  readonly connections = new Map<number, HostileConnection>();
  /** Requests of the victim that have not been answered. */
  readonly requests: HostileConnection[] = [];
  /** The victim has ended the link. */
  ended = false;
  /** What no correct victim does. */
  readonly faults: string[] = [];
  /** Connections that the victim has ended, by the way in which it did. */
  readonly closed = { violation: 0, reset: 0, orderly: 0, unclear: 0 };
  readonly side: 0 | 1;
  head = 0;
  /** What the victim is told of the records that were taken, instead of the truth. */
  lie: number | null = null;
  /** Takes nothing of what the victim sends. */
  deaf = false;
  /** What was written over the victim's own head: it stays until the victim writes the next time. */
  garbage: number | null = null;
  #tail = 0;
  #probed = -1;
  #generation = 0;
  readonly #platform: Platform;
  readonly #link: EstablishedLink;

  constructor(platform: Platform, link: EstablishedLink) {
    this.#platform = platform;
    this.#link = link;
    this.side = link.side;
    this.layout = arenaLayout(link.side);
    this.words = new Int32Array(link.arena);
    this.bytes = new Uint8Array(link.arena);
  }

  // ---- writing

  /** Places a record behind the last one. It is not published yet. */
  place(length: number, id: number, fill?: (words: Int32Array, i: number) => void): Placed {
    const size = 8 + ((length + 7) & ~7);
    let offset = this.head & (RING_SIZE - 1);
    const toEnd = RING_SIZE - offset;
    if (size > toEnd) {
      this.words[(this.layout.sendRing + offset) >> 2] = -1;
      this.head = (this.head + toEnd) | 0;
      offset = 0;
    }
    const prefix = (this.layout.sendRing + offset) >> 2;
    this.words.fill(0, prefix + 2, prefix + (size >> 2));
    this.words[prefix] = length;
    this.words[prefix + 1] = id;
    fill?.(this.words, prefix + 2);
    const position = this.head;
    this.head = (this.head + size) | 0;
    return { prefix, body: prefix + 2, position };
  }

  control(...values: readonly number[]): Placed {
    return this.place(4 * values.length, 0, (words, i) => words.set(values, i));
  }

  /** A correct message, unless the caller changes it. */
  message(one: HostileConnection, type: number, payload: number): Placed {
    const credits = Math.min(one.owed, CREDITS_MAX);
    one.owed = 0;
    one.credit--;
    one.sequence++;
    if (type === TYPE_DATA) one.bytesSent += payload;
    return this.place(HEADER_SIZE + payload, one.id, (words, i) => {
      writeHeader(words, 4 * i, type, credits, payload, one.sequence);
      this.bytes.fill(one.tag, 4 * i + HEADER_SIZE, 4 * i + HEADER_SIZE + payload);
    });
  }

  /** The first message of a connection, or the answer to it. */
  negotiate(one: HostileConnection): Placed {
    if (one.id >> 16 === this.side) one.credit++;
    one.negotiationSent = true;
    const placed = this.message(one, TYPE_NEGOTIATE, NEGOTIATION_SIZE);
    const mine = { postedBuffers: 32, postedBuffersMax: 32, payloadSize: 16_384 };
    writeNegotiation(this.words, 4 * placed.body + HEADER_SIZE, mine);
    return placed;
  }

  request(slot: number, port: number): { one: HostileConnection; placed: Placed } {
    const id = this.side * SLOTS + slot;
    this.#generation = (this.#generation + 1) & 0x0fffffff;
    const generation = this.#generation;
    const one = new HostileConnection(id, generation);
    this.connections.set(id, one);
    this.setRequest(slot, requestWord(generation, REQUEST_PENDING));
    const caller = { ...nowhere, port: 10_000 + (slot % 50_000) };
    const placed = this.place(CONNECT_SIZE, 0, (words, i) =>
      writeConnect(words, 4 * i, id, generation, { ...nowhere, port }, caller),
    );
    return { one, placed };
  }

  setRequest(slot: number, word: number): void {
    Atomics.store(this.words, (this.layout.myRequests >> 2) + slot, word);
  }

  close(one: HostileConnection): void {
    this.control(RECORD_CLOSE, one.id, one.generation);
    if (one.state === 'told') this.forget(one);
    else one.state = 'saying';
  }

  /** Its slot may be somebody else's already. */
  forget(one: HostileConnection): void {
    one.state = 'gone';
    if (this.connections.get(one.id) === one) this.connections.delete(one.id);
  }

  publish(): void {
    Atomics.store(this.words, this.layout.sendHead >> 2, this.head);
    this.wake();
  }

  wake(always = false): void {
    const slept = Atomics.exchange(this.words, this.layout.peerSleep >> 2, 0) !== 0;
    if (slept || always) this.#platform.ringDoorbell(this.#link.descriptor);
  }

  /** Doorbells beyond number, and bytes that are none. */
  noise(bytes: Buffer): void {
    for (let k = 0; k < 16; k++) this.#platform.ringDoorbell(this.#link.descriptor);
    try {
      this.#platform.sendMessage(this.#link.descriptor, bytes);
    } catch (error) {
      // The victim may have had enough just now.
      if (!(error instanceof PlatformError) || error.reason !== 'peer-gone') throw error;
    }
  }

  // ---- seeing what becomes of it

  /** The position up to which the victim has taken records, by its own word. */
  get taken(): number {
    return Atomics.load(this.words, this.layout.sendTail >> 2);
  }

  /** The position up to which what the victim sends has been read. */
  get received(): number {
    return this.#tail;
  }

  /** True once the condition holds; false if the victim has ended the link, or does nothing. */
  wait(condition: () => boolean, meanwhile: (() => void) | null = null, limit = patience): boolean {
    let end = 0;
    for (let spins = 1; ; spins++) {
      meanwhile?.();
      if (condition()) return true;
      if ((spins & 15) === 0) {
        if (this.#platform.peerHungUp(this.#link.descriptor)) {
          this.ended = true;
          return condition();
        }
        this.wake((spins & 0xfff) === 0);
        const now = performance.now();
        if (end === 0) end = now + limit;
        if (now > end) return false;
      }
      if (meanwhile === null || (spins & 63) === 0) this.#platform.schedYield();
    }
  }

  /** Waits until everything published has been looked at, and reads what the victim says. */
  settle(meanwhile: (() => void) | null = null): boolean {
    const taken = this.wait(() => this.taken === this.head, meanwhile);
    if (!taken && !this.ended) this.fault(`nothing is taken at ${this.taken} of ${this.head}`);
    this.read();
    return taken;
  }

  /** True if the victim answers a request for nothing: everything before has had its consequences. */
  probe(): boolean {
    const { one } = this.request(probeSlot, nowhere.port);
    this.publish();
    const answered = this.wait(() => {
      this.read();
      return this.#probed === one.generation || this.faults.length > 0;
    });
    if (!answered && !this.ended) this.fault('no answer to a probe');
    return answered && this.faults.length === 0;
  }

  read(): void {
    const { words, layout } = this;
    while (!this.deaf) {
      const head = Atomics.load(words, layout.receiveHead >> 2);
      if (head === this.#tail || head === this.garbage) break;
      this.garbage = null;
      if ((head - this.#tail) >>> 0 > RING_SIZE) return this.fault(`head ${head} with tail ${this.#tail}`);
      const offset = this.#tail & (RING_SIZE - 1);
      const i = (layout.receiveRing + offset) >> 2;
      const length = words[i]!;
      if (length === -1) {
        this.#tail = (this.#tail + RING_SIZE - offset) | 0;
        continue;
      }
      if (length < 0 || length > RING_SIZE - 8 - offset) return this.fault(`record of ${length} bytes`);
      this.#tail = (this.#tail + 8 + ((length + 7) & ~7)) | 0;
      if (words[i + 1] === 0) this.#control(i + 2, length);
      else this.#message(i + 2, length, words[i + 1]!);
    }
    Atomics.store(words, layout.receiveTail >> 2, this.lie ?? this.#tail);
  }

  #control(i: number, length: number): void {
    const { words } = this;
    const [type, id, generation] = [words[i]!, words[i + 1]!, words[i + 2]!];
    if (type === RECORD_CONNECT && length === CONNECT_SIZE && id >> 16 === 1 - this.side) {
      const one = new HostileConnection(id, generation);
      this.connections.set(id, one);
      this.requests.push(one);
      return;
    }
    const one = this.connections.get(id);
    if (one === undefined || one.generation !== generation) {
      return this.fault(`record ${type} for ${id} ${generation}, which is not known`);
    }
    if (type === RECORD_CLOSE && length === CLOSE_SIZE) {
      if (one.state === 'saying') this.forget(one);
      else if (one.state === 'open') {
        one.state = 'told';
        this.closed[one.unclear ? 'unclear' : one.finished ? 'orderly' : one.resetting ? 'reset' : 'violation']++;
      } else this.fault(`close of ${id} in state ${one.state}`);
    } else if (type === RECORD_ACCEPT && length === ACCEPT_SIZE && one.state === 'asked') {
      one.state = 'open';
    } else if (type === RECORD_REFUSE && length === REFUSE_SIZE && one.state === 'asked') {
      if (id === this.side * SLOTS + probeSlot) this.#probed = generation;
      if (words[i + 3]! < 1 || words[i + 3]! > 3) this.fault(`refusal for ${words[i + 3]}`);
      this.forget(one);
    } else this.fault(`record ${type} of ${length} bytes in state ${one.state}`);
  }

  #message(i: number, length: number, id: number): void {
    const { words } = this;
    const one = this.connections.get(id);
    if (one === undefined || (one.state !== 'open' && one.state !== 'saying')) {
      return this.fault(`message for ${id} in state ${one?.state}`);
    }
    const payload = length - HEADER_SIZE;
    const [word0, said, sequence, taken] = [words[i]!, words[i + 1]!, words[i + 2]!, words[i + 3]!];
    const type = word0 & 0xff;
    const closing = type === TYPE_FINISH && (word0 & FLAG_CLOSED) !== 0;
    if (payload < 0 || said !== payload || sequence !== ++one.received) {
      return this.fault(`header ${said} ${sequence} in ${length} bytes, the ${one.received}th`);
    }
    if ((word0 & 0xff00 & ~(closing ? FLAG_CLOSED : 0)) !== 0 || (taken !== 0 && !closing)) {
      this.fault(`header ${word0} ${taken}`);
    }
    one.credit += word0 >>> 16;
    one.owed++;
    if (one.credit > offered.postedBuffersMax) this.fault(`${one.credit} credits`);
    const at = 4 * i + HEADER_SIZE;
    if (type === TYPE_NEGOTIATE) {
      const offer = readNegotiation(words, at, payload);
      const same = offer !== null && JSON.stringify(offer) === JSON.stringify({ ...offer, ...offered });
      if (!same || one.agreed || offer.large === undefined) this.fault('negotiation');
      one.agreed = true;
      // The first message of a connection takes no credit.
      if (one.id >> 16 !== this.side) one.owed = 0;
    } else if (type === TYPE_DATA) {
      for (let k = 0; k < payload; k++) {
        const byte = this.bytes[at + k];
        if (byte !== one.tag && byte !== one.strange?.tag) return this.fault(`byte ${byte} instead of ${one.tag}`);
      }
      one.bytesBack += payload;
      if (one.bytesBack > one.bytesSent + (one.strange?.bytes ?? 0))
        this.fault(`${one.bytesBack} bytes back of ${one.bytesSent}`);
    } else if (type === TYPE_FINISH) one.finished = true;
    else if (type !== TYPE_CREDIT || payload !== 0) this.fault(`message of type ${type}`);
  }

  fault(what: string): void {
    if (this.faults.length < 10) this.faults.push(what);
  }

  /** True if the bytes are anywhere in the memory that both share. */
  contains(bytes: Buffer): boolean {
    return Buffer.from(this.bytes.buffer).includes(bytes);
  }
}
