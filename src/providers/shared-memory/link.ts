/**
 * A PeerLink joins two event loops: one ring for each direction, shared by all connections, sleep words, a doorbell and
 * the Unix socket whose end is the peer's. One link exists for each pair of loops, however many connections there are.
 *
 * Posted buffers make it possible to drain the ring always, so no slow program blocks another's connection. What finds no
 * room in the ring waits in memory of our own, in order, for all connections together.
 */

import type { MemoryRegion, SOCKADDR, WSABUF, WSAOVERLAPPED } from '../../spi/index.js';
import { arenaLayout, RING_SIZE, type Side, SLOTS } from './arena.js';
import type { LinkConnection, Spilled } from './link-face.js';
import type { LinkMemory } from './link-memory.js';
import { PollWindow } from './poll-window.js';
import type { Pollable, Poller } from './poller.js';
import { Pumps } from './pumps.js';
import {
  CLOSE_SIZE,
  CONNECT_SIZE,
  GENERATION_MAX,
  MOVE_SIZE,
  RECORD_ACCEPT,
  RECORD_CLOSE,
  RECORD_CONNECT,
  RECORD_MOVE,
  RECORD_RDMA_WRITE,
  RECORD_REFUSE,
  RECORD_RESUME,
  REFUSE_SIZE,
  RESUME_SIZE,
  readConnect,
  writeConnect,
} from './records.js';
import { Requests } from './requests.js';
import { RingConsumer, RingProducer, RingViolation } from './ring.js';

/** Who is told of connection requests and of the link's end. */
export interface LinkOwner {
  connectRequest(link: PeerLink, id: number, generation: number, callee: SOCKADDR, caller: SOCKADDR): void;
  /** A connection that the peer's process has been given wants to go on, on this link. */
  resumeRequest(link: PeerLink, id: number, generation: number, nonce: Int32Array): void;
  /** A connection broke the rules, and it alone ends for that. Called once for each. */
  violated(): void;
  /** Everything that arrived has been delivered and all connections have been told. */
  ended(link: PeerLink, cause: string): void;
}

export interface LinkOptions {
  arena: ArrayBuffer;
  side: Side;
  poller: Poller;
  owner: LinkOwner;
  /** Wakes the peer's loop; false if the peer is gone. */
  ringDoorbell(): boolean;
  /** Null: RDMA memory is reached over the ring only. */
  memory?: LinkMemory | null;
}

/** A correct peer uses a slot again only after it has taken our close or refusal, so no more answers than these can wait. */
const answersMax = 2 * SLOTS;

const asleep = 1;
const asleepWantingSpace = 3;
const wantsSpace = 2;
/** Free bytes at which a producer that waits for space is woken, and the bound it checks itself. */
const wakeSpace = RING_SIZE / 2;
/** Work of one turn. */
const recordsMax = 256;
const bytesMax = 262144;

export class PeerLink implements Pollable {
  readonly window = new PollWindow();
  awake = false;
  lastWork = 0;
  lastReceived = 0;
  /** Connects of ours that the peer has decided on. */
  decided = 0;
  busy = false;
  readonly #options: LinkOptions;
  readonly #words: Int32Array;
  readonly #mySleep: number;
  readonly #peerSleep: number;
  readonly #requests: Requests;
  readonly #producer: RingProducer;
  readonly #consumer: RingConsumer;
  readonly #idBase: number;
  /** Connections by slot, those that this side initiated and those of the peer. */
  readonly #mine: (LinkConnection | undefined)[] = [];
  readonly #peers: (LinkConnection | undefined)[] = [];
  readonly #generations: number[] = [];
  readonly #freeSlots: number[] = [];
  #nextSlot = 1;
  #connections = 0;
  #spilled: Spilled[] = [];
  #answers = 0;
  #spillBuffer: Spilled | null = null;
  #reserved = -1;
  #dead = false;
  readonly pumps = new Pumps(() => {
    if (!this.awake && !this.#dead) this.#options.poller.kick(this);
  });
  /** Counters for status displays. */
  readonly counters = { bells: 0, rung: 0, messages: 0, spilled: 0 };
  readonly #handle = (region: MemoryRegion, offset: number, length: number, id: number): void =>
    this.#record(region, offset, length, id);

  constructor(options: LinkOptions) {
    this.#options = options;
    const { arena, side } = options;
    const layout = arenaLayout(side);
    this.#words = new Int32Array(arena, 0, 1024);
    this.#mySleep = layout.mySleep >> 2;
    this.#peerSleep = layout.peerSleep >> 2;
    this.#requests = new Requests(arena, layout.myRequests, layout.peerRequests);
    this.#producer = new RingProducer(arena, layout.sendHead, layout.sendTail, layout.sendRing, RING_SIZE);
    this.#consumer = new RingConsumer(arena, layout.receiveHead, layout.receiveTail, layout.receiveRing, RING_SIZE);
    this.#idBase = side * SLOTS;
    // Both sides must take a turn at link-up: what the peer sent before we could be woken rang no bell.
    options.poller.kick(this);
  }

  /** Messages wait for room in the ring. */
  get hasWaiting(): boolean {
    return !this.#dead && (this.#spilled.length > 0 || this.pumps.size > 0);
  }

  /** True if the peer has sent something that has not been looked at. */
  get hasRecords(): boolean {
    return !this.#dead && this.#consumer.hasRecords;
  }

  get isDead(): boolean {
    return this.#dead;
  }

  get memory(): LinkMemory | null {
    return this.#options.memory ?? null;
  }

  get connectionCount(): number {
    return this.#connections;
  }

  // ---- connections

  /** A slot for a new connection of this side, with its generation; null if all are taken. */
  open(connection: LinkConnection): { id: number; generation: number } | null {
    const slot = this.#freeSlots.length > 0 ? this.#freeSlots.shift()! : this.#nextSlot < SLOTS ? this.#nextSlot++ : 0;
    if (slot === 0) return null;
    this.#mine[slot] = connection;
    this.#connections++;
    const generation = ((this.#generations[slot] ?? 0) + 1) & GENERATION_MAX;
    this.#generations[slot] = generation;
    return { id: this.#idBase + slot, generation };
  }

  sendConnect(id: number, generation: number, callee: SOCKADDR, caller: SOCKADDR): void {
    this.#requests.begin(id, generation);
    const { region, offset } = this.#beginControl(CONNECT_SIZE);
    writeConnect(region.words, offset, id, generation, callee, caller);
    this.#commit(CONNECT_SIZE, 0, null);
  }

  sendResume(id: number, generation: number, nonce: Int32Array): void {
    this.#requests.begin(id, generation);
    this.sendRecord([RECORD_RESUME, id, generation, ...nonce]);
  }

  /** True: the acceptor will never accept. False: it has decided already, and its answer is on the way (decision 8). */
  withdraw(id: number, generation: number): boolean {
    return this.#requests.withdraw(id, generation);
  }

  /** Something else stands for a connection from now on. */
  replace(id: number, connection: LinkConnection): void {
    (this.#isMine(id) ? this.#mine : this.#peers)[id & (SLOTS - 1)] = connection;
  }

  #isMine(id: number): boolean {
    return id - (id & (SLOTS - 1)) === this.#idBase;
  }

  /** Frees a slot of this side whose connection nobody can name any more. */
  release(id: number): void {
    const slot = id & (SLOTS - 1);
    if (this.#mine[slot] === undefined) return;
    this.#mine[slot] = undefined;
    this.#connections--;
    this.#freeSlots.push(slot);
  }

  /** Takes on a connection of the peer; false if its request was withdrawn, or its slot is in use. */
  accept(id: number, generation: number, connection: LinkConnection): boolean {
    const slot = id & (SLOTS - 1);
    if (this.#peers[slot] !== undefined || this.#dead || !this.#requests.decide(id, generation, true)) return false;
    this.#peers[slot] = connection;
    this.#connections++;
    this.#answer(id, [RECORD_ACCEPT, id, generation]);
    return true;
  }

  refuse(id: number, generation: number, cause: number): void {
    if (this.#dead || !this.#requests.decide(id, generation, false)) return;
    this.#answer(id, [RECORD_REFUSE, id, generation, cause]);
  }

  /** True while the request has not been withdrawn. */
  isPending(id: number, generation: number): boolean {
    return !this.#dead && this.#requests.isPending(id, generation);
  }

  /** Frees a slot of the peer after both sides have said close. */
  forget(id: number): void {
    const slot = id & (SLOTS - 1);
    if (this.#peers[slot] === undefined) return;
    this.#peers[slot] = undefined;
    this.#connections--;
  }

  sendClose(id: number, generation: number): void {
    this.#answer(id, [RECORD_CLOSE, id, generation]);
  }

  /** A record that the peer may have provoked, if the connection is one of its own. */
  #answer(id: number, words: readonly number[]): void {
    if (this.sendRecord(words) || this.#isMine(id)) return;
    this.#spilled[this.#spilled.length - 1].answer = true;
    this.#answers++;
  }

  /** False: it waits for room in the ring. */
  sendRecord(words: readonly number[]): boolean {
    if (this.#dead) return true;
    const { region, offset } = this.#beginControl(4 * words.length);
    region.words.set(words, offset >> 2);
    return this.#commit(4 * words.length, 0, null);
  }

  readonly #control: WSABUF = { len: 0, buf: { bytes: new Uint8Array(0), words: new Int32Array(0) }, offset: 0 };

  #beginControl(size: number): { region: MemoryRegion; offset: number } {
    this.begin(size, this.#control);
    return { region: this.#control.buf, offset: this.#control.offset };
  }

  // ---- sending

  /** Room for a message of `length` bytes, on the ring if possible. To be filled and committed before anything else. */
  begin(length: number, buffer: WSABUF): void {
    if (this.tryBegin(length, buffer)) return;
    this.#reserved = -1;
    const memory = new ArrayBuffer((length + 7) & ~7);
    const region = { bytes: new Uint8Array(memory), words: new Int32Array(memory) };
    this.#spillBuffer = { id: 0, region, length, overlapped: null, answer: false };
    buffer.buf = region;
    buffer.offset = 0;
  }

  /** The same on the ring or not at all. */
  tryBegin(length: number, buffer: WSABUF): boolean {
    buffer.len = length;
    const offset = this.#spilled.length === 0 ? this.#roomInRing(length) : -1;
    if (offset < 0) return false;
    this.#reserved = offset;
    buffer.buf = this.#producer.region;
    buffer.offset = offset;
    return true;
  }

  #roomInRing(length: number): number {
    try {
      return this.#producer.begin(length);
    } catch (error) {
      if (!(error instanceof RingViolation)) throw error;
      // Whoever sends is not to blame: the message waits, and the next turn ends the link.
      return -1;
    }
  }

  /** Sends what `begin` made room for. False: it waits for wire, and `overlapped` is completed later. */
  commit(length: number, id: number, overlapped: WSAOVERLAPPED | null): boolean {
    return this.#commit(length, id, overlapped);
  }

  /** Of control records too, which are no messages to whoever counts these. */
  #commit(length: number, id: number, overlapped: WSAOVERLAPPED | null): boolean {
    if (this.#reserved >= 0) {
      this.#producer.commit(this.#reserved, length, id);
      this.#reserved = -1;
      this.#notify();
      return true;
    }
    const spill = this.#spillBuffer!;
    this.#spillBuffer = null;
    spill.id = id;
    spill.length = length;
    spill.overlapped = overlapped;
    this.#spilled.push(spill);
    this.counters.spilled++;
    if (!this.awake) this.#options.poller.kick(this);
    return false;
  }

  #notify(): void {
    if (Atomics.load(this.#words, this.#peerSleep) !== 0) this.#wakePeer();
    // A reply is likely soon where traffic is dense; else the doorbell will tell.
    if (!this.awake && this.window.length > 0) this.#options.poller.kick(this);
  }

  #wakePeer(): void {
    // Only who takes the word from non-zero to zero rings, so one sleep costs one bell.
    if (this.#dead || Atomics.exchange(this.#words, this.#peerSleep, 0) === 0) return;
    this.counters.bells++;
    this.#options.ringDoorbell();
  }

  #sendSpilled(): boolean {
    let sent = 0;
    try {
      for (; this.#spilled.length > 0; sent++) {
        const { id, region, length, overlapped, answer } = this.#spilled[0];
        const offset = this.#producer.begin(length);
        if (offset < 0) break;
        this.#producer.region.bytes.set(region.bytes.subarray(0, length), offset);
        this.#producer.commit(offset, length, id);
        this.#spilled.shift();
        if (answer) this.#answers--;
        // Last, because whoever is told may send, close, or throw.
        if (overlapped !== null) this.#connectionOf(id)?.sent(overlapped, 0, length);
      }
    } finally {
      if (sent > 0) this.#notify();
    }
    return sent > 0;
  }

  #connectionOf(id: number): LinkConnection | undefined {
    return (this.#isMine(id) ? this.#mine : this.#peers)[id & (SLOTS - 1)];
  }

  /** Ends the sends of a connection that wait for wire. What they carry is sent nevertheless, unless the link is gone. */
  endSends(id: number, connection: LinkConnection, wsaError: number): void {
    if (this.#spilled.length === 0) return;
    const waiting: WSAOVERLAPPED[] = [];
    for (const spilled of this.#spilled) {
      if (spilled.id !== id || spilled.overlapped === null) continue;
      waiting.push(spilled.overlapped);
      spilled.overlapped = null;
    }
    for (const overlapped of waiting) connection.sent(overlapped, wsaError, 0);
  }

  // ---- the poller's side

  poll(): boolean {
    if (this.#dead) return false;
    try {
      let sent = this.#spilled.length > 0 && this.#sendSpilled();
      if (this.pumps.size > 0 && this.pumps.run()) sent = true;
      if (this.#answers > answersMax) throw new RingViolation('answers are not taken');
      const records = this.#consumer.consume(recordsMax, bytesMax, this.#handle);
      if (records === 0) return sent;
      this.counters.messages += records;
      if ((Atomics.load(this.#words, this.#peerSleep) & wantsSpace) !== 0 && this.#consumer.free >= wakeSpace)
        this.#wakePeer();
      return true;
    } catch (error) {
      if (!(error instanceof RingViolation)) throw error;
      this.end(error.message);
      return true;
    }
  }

  sleep(): boolean {
    const waits = this.hasWaiting;
    Atomics.store(this.#words, this.#mySleep, waits ? asleepWantingSpace : asleep);
    // What arrived between the last look and the announcement has rung no bell.
    if (this.#consumer.hasRecords || (waits && this.#hasSpace())) {
      Atomics.store(this.#words, this.#mySleep, 0);
      return false;
    }
    return true;
  }

  #hasSpace(): boolean {
    try {
      return this.#producer.free() >= wakeSpace;
    } catch {
      return true;
    }
  }

  wake(): void {
    Atomics.store(this.#words, this.#mySleep, 0);
  }

  /** The doorbell has rung. */
  rung(): void {
    if (this.#dead) return;
    this.counters.rung++;
    this.#options.poller.ring(this);
  }

  #record(region: MemoryRegion, offset: number, length: number, id: number): void {
    if (id === 0) {
      this.#controlRecord(region, offset, length);
      return;
    }
    const connection = this.#connectionOf(id);
    if (connection === undefined || id >>> 0 >= 2 * SLOTS) throw new RingViolation('message for no connection');
    connection.receive(region, offset, length);
  }

  #controlRecord(region: MemoryRegion, offset: number, length: number): void {
    if (length < CLOSE_SIZE) throw new RingViolation('short control record');
    const words = region.words;
    const i = offset >> 2;
    const type = words[i];
    const id = words[i + 1];
    const generation = words[i + 2];
    const slot = id & (SLOTS - 1);
    const mine = this.#isMine(id);
    if (slot === 0 || id >>> 0 >= 2 * SLOTS) throw new RingViolation('connection id out of bounds');
    if (type === RECORD_CONNECT) {
      const known = length === CONNECT_SIZE && !mine && generation >>> 0 <= GENERATION_MAX;
      const request = known ? readConnect(words, offset) : null;
      if (request === null) throw new RingViolation('malformed connect record');
      this.#options.owner.connectRequest(this, id, generation, request.callee, request.caller);
      return;
    }
    if (type === RECORD_RESUME && length === RESUME_SIZE && !mine && generation >>> 0 <= GENERATION_MAX)
      return this.#options.owner.resumeRequest(this, id, generation, words.slice(i + 3, i + 7));
    const connection = mine ? this.#mine[slot] : this.#peers[slot];
    if (connection === undefined) throw new RingViolation('control record for no connection');
    if (mine && this.#generations[slot] !== generation)
      throw new RingViolation('control record for another connection');
    if (type === RECORD_MOVE && length === MOVE_SIZE) {
      connection.peerMoves(words[i + 3] >>> 0, words.slice(i + 4, i + 8));
    } else if (type >= RECORD_RDMA_WRITE) {
      if (!connection.handleRdma(type, region, offset, length)) throw new RingViolation('malformed RDMA record');
    } else if (type === RECORD_CLOSE) {
      connection.closedByPeer();
    } else if (type === RECORD_ACCEPT && mine) {
      this.decided++;
      connection.accepted();
    } else if (type === RECORD_REFUSE && mine && length === REFUSE_SIZE) {
      this.decided++;
      connection.refused(words[i + 3]);
    } else {
      throw new RingViolation('control record out of place');
    }
  }

  // ---- the end

  /** The peer is gone, or must not be heard any more. What it sent before is delivered first, except after a violation. */
  end(cause: string): void {
    if (this.#dead) return;
    try {
      if (cause === 'peer-gone') this.#drain();
    } finally {
      this.#finish(cause);
    }
  }

  #finish(cause: string): void {
    // Somebody who was told of what was drained may have ended the link already.
    if (this.#dead) return;
    this.#dead = true;
    this.#options.poller.remove(this);
    const unconsumed = new Map<LinkConnection, number>();
    const count = (id: number) => {
      const connection = this.#connectionOf(id);
      if (connection !== undefined) unconsumed.set(connection, (unconsumed.get(connection) ?? 0) + 1);
    };
    this.#producer.forEachUnconsumed(count);
    for (const { id } of this.#spilled) count(id);
    const violated = cause !== 'peer-gone' && cause !== 'closed';
    for (const table of [this.#mine, this.#peers]) {
      for (const connection of table.splice(0)) connection?.linkLost(unconsumed.get(connection) ?? 0, violated);
    }
    this.#spilled = [];
    this.pumps.clear();
    this.#connections = 0;
    this.#options.owner.ended(this, cause);
  }

  #drain(): void {
    try {
      // The peer writes no more, so a ring's worth is the bound; one that goes on writing must not hold us here.
      const from = this.#consumer.position;
      while (this.#consumer.hasRecords && (this.#consumer.position - from) >>> 0 < RING_SIZE) {
        const { position } = this.#consumer;
        this.#consumer.consume(recordsMax, bytesMax, this.#handle);
        if (this.#consumer.position === position) return;
      }
    } catch (error) {
      if (!(error instanceof RingViolation)) throw error;
    }
  }
}
