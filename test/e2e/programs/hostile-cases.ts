/**
 * Cases: each is one field of something otherwise correct that has a wrong value, or changes while the victim reads it. It
 * counts only if the victim has looked at it: it has taken the record, or has ended the link for it.
 */

import { RING_SIZE, SLOTS } from '../../../src/providers/shared-memory/arena.js';
import {
  ACCEPT_SIZE,
  CLOSE_SIZE,
  MOVE_SIZE,
  RDMA_DATA_SIZE,
  RDMA_READ_SIZE,
  RDMA_WRITE_SIZE,
  RECORD_ACCEPT,
  RECORD_CLOSE,
  RECORD_MOVE,
  RECORD_RDMA_DATA,
  RECORD_RDMA_READ,
  RECORD_RDMA_WRITE,
  RECORD_REFUSE,
  RECORD_RESUME,
  REFUSE_SIZE,
  REQUEST_ACCEPTED,
  REQUEST_PENDING,
  RESUME_SIZE,
  requestWord,
} from '../../../src/providers/shared-memory/records.js';
import { FLAG_CLOSED, HEADER_SIZE, TYPE_CREDIT, TYPE_DATA, TYPE_FINISH } from '../../../src/session/header.js';
import { type Field, fieldsOf, get, keyOf, put, type Structure } from './hostile-fields.js';
import type { HostileConnection, HostileLink, Placed } from './hostile-link.js';
import { type Random, wrongValue } from './hostile-values.js';

/** Connections of a link at one time. */
const poolSize = 32;
/** Milliseconds for which a link is kept on which the victim asks for nothing. */
const requestPatience = 300;
const negotiationWords = HEADER_SIZE / 4;

/** Type and size of records, for those that are not requests. */
const records = {
  accept: [RECORD_ACCEPT, ACCEPT_SIZE],
  refuse: [RECORD_REFUSE, REFUSE_SIZE],
  close: [RECORD_CLOSE, CLOSE_SIZE],
  move: [RECORD_MOVE, MOVE_SIZE],
  resume: [RECORD_RESUME, RESUME_SIZE],
  rdma: [RECORD_RDMA_WRITE, RDMA_WRITE_SIZE + 8],
  rdma_read: [RECORD_RDMA_READ, RDMA_READ_SIZE],
  rdma_data: [RECORD_RDMA_DATA, RDMA_DATA_SIZE + 8],
} as const;

const controlFields = (
  ['connect', 'accept', 'refuse', 'close', 'move', 'resume', 'rdma', 'rdma_read', 'rdma_data'] as const
).flatMap(fieldsOf);

interface Pending {
  readonly key: string;
  readonly position: number;
}

/** What was tried, summed over all links. */
export class Tally {
  readonly cases = new Map<string, number>();
  /** Cases whose value went to and fro while the victim looked. */
  flipped = 0;
  /** Control records that were spoilt. */
  controls = 0;

  add(key: string): void {
    this.cases.set(key, (this.cases.get(key) ?? 0) + 1);
  }

  get total(): number {
    let sum = 0;
    for (const count of this.cases.values()) sum += count;
    return sum;
  }
}

export class Attacker {
  readonly link: HostileLink;
  readonly #random: Random;
  readonly #tally: Tally;
  /** The port at which the victim listens; 0 if it is the victim that connects. */
  readonly #port: number;
  readonly #pool: HostileConnection[] = [];
  #pending: Pending[] = [];
  #flips: ((phase: boolean) => void)[] = [];
  #flipping = false;
  #slot = 0;
  #sleeping = false;
  /** The victim asks for nothing. */
  #idle = false;

  constructor(link: HostileLink, random: Random, tally: Tally, port: number) {
    this.link = link;
    this.#random = random;
    this.#tally = tally;
    this.#port = port;
  }

  /** One turn of the attack: some cases at once. False if the link is over, by the victim or for good reason. */
  turn(): boolean {
    const random = this.#random;
    this.#flipping = random.once(5);
    this.#tidy();
    const asked = this.#port > 0 ? this.#ask() : this.#answer();
    if (this.#idle) return false;
    for (const one of this.#pool) if (one.state === 'open') this.#message(one);
    const dangerous = random.once(6);
    if (dangerous) this.#danger();
    else if (this.#port > 0) for (let k = random.below(24); k > 0; k--) this.#oddRequest();
    this.#sleepWord();
    if (random.once(16)) this.link.noise(Buffer.alloc(1 + random.below(4000), random.below(256)));
    if (!this.#settle()) return false;
    if (dangerous) return false;
    // Answers come after the records were taken, because the program is asked.
    this.link.wait(() => this.#allAnswered(asked));
    if (!this.link.ended && !this.#allAnswered(asked)) this.link.fault('requests are not answered');
    return !this.link.ended && this.link.faults.length === 0;
  }

  #allAnswered(asked: readonly HostileConnection[]): boolean {
    this.link.read();
    return this.link.faults.length > 0 || asked.every(({ state }) => state !== 'asked');
  }

  // ---- one case

  #spoil(field: Field, base: number, { position }: Placed, others: readonly number[] = []): number {
    const { words } = this.link;
    const truth = get(words, base, field);
    const value = wrongValue(this.#random, field, truth, others);
    if (!this.#flipping || this.#random.once(2)) put(words, base, field, value);
    if (this.#flipping) this.#flips.push((phase) => put(words, base, field, phase ? value : truth));
    this.#pending.push({ key: keyOf(field), position });
    return value;
  }

  #settle(): boolean {
    const { link } = this;
    link.publish();
    let phase = false;
    const flips = this.#flips;
    const flip = (): void => {
      phase = !phase;
      for (const one of flips) one(phase);
    };
    const taken = link.settle(flips.length > 0 ? flip : null);
    const upTo = link.taken;
    for (const { key, position } of this.#pending) {
      // Where the first words of a record, or the head, are the cause of the end, nothing is taken.
      const distance = key === 'arena.sendHead' ? 0 : (upTo - position) | 0;
      if (distance < 0 || (distance === 0 && !link.ended)) continue;
      this.#tally.add(key);
      if (flips.length > 0) this.#tally.flipped++;
    }
    this.#pending = [];
    this.#flips = [];
    if (this.#sleeping && Atomics.load(link.words, link.layout.mySleep >> 2) === 0) this.#tally.add('arena.mySleep');
    this.#sleeping = false;
    return taken && !link.ended && link.faults.length === 0;
  }

  #field(...structures: readonly Structure[]): Field {
    return this.#random.pick(fieldsOf(this.#random.pick(structures)));
  }

  // ---- connections

  /** Says close where it is due, so that slots can be used again. */
  #tidy(): void {
    for (const one of this.link.connections.values()) {
      const leftOver = one.state === 'open' && (one.retired || !this.#pool.includes(one));
      if (one.state === 'told' || leftOver) this.link.close(one);
    }
    for (let i = this.#pool.length - 1; i >= 0; i--) {
      if (this.#pool[i]!.state !== 'open') this.#pool.splice(i, 1);
    }
  }

  #freeSlot(): number {
    do this.#slot = (this.#slot % 4000) + 1;
    while (this.link.connections.has(this.link.side * SLOTS + this.#slot));
    return this.#slot;
  }

  #ask(): HostileConnection[] {
    const asked: HostileConnection[] = [];
    for (let k = poolSize - this.#pool.length; k > 0; k--) {
      const { one } = this.link.request(this.#freeSlot(), this.#port);
      asked.push(one);
      this.#pool.push(one);
    }
    return asked;
  }

  /** What the victim asks for: mostly accepted, so that there is something to go on with. */
  #answer(): HostileConnection[] {
    const { link } = this;
    const random = this.#random;
    const somebody = (): boolean => {
      link.read();
      return link.requests.length > 0;
    };
    if (this.#pool.length === 0 && !link.wait(somebody, null, requestPatience)) this.#idle = true;
    for (const one of link.requests.splice(0)) {
      // Withdrawn, because we were slow.
      if (!this.#decide(one)) continue;
      if (random.once(8)) {
        const placed = link.control(RECORD_REFUSE, one.id, one.generation, 1 + random.below(3));
        const [cause] = fieldsOf('refuse').filter(({ name }) => name === 'cause');
        this.#spoil(cause!, placed.body, placed);
        link.forget(one);
      } else if (random.once(12)) {
        // A refusal before anything: then a close, which is out of place.
        link.control(RECORD_CLOSE, one.id, one.generation);
        one.state = 'saying';
      } else {
        link.control(RECORD_ACCEPT, one.id, one.generation);
        one.state = 'open';
        this.#pool.push(one);
      }
    }
    return [];
  }

  #decide(one: HostileConnection): boolean {
    const { link } = this;
    const word = (link.layout.peerRequests >> 2) + (one.id & (SLOTS - 1));
    const pending = requestWord(one.generation, REQUEST_PENDING);
    const accepted = requestWord(one.generation, REQUEST_ACCEPTED);
    if (Atomics.compareExchange(link.words, word, pending, accepted) === pending) return true;
    link.forget(one);
    return false;
  }

  /** A request with one wrong field that a correct victim refuses, ignores or takes, and then goes on. */
  #oddRequest(): void {
    const { link } = this;
    const random = this.#random;
    const slot = this.#freeSlot();
    const { one, placed } = link.request(slot, this.#port);
    one.retired = true;
    if (random.once(3)) {
      const word = requestWord(one.generation + random.pick([0, 0, 1, -1]), random.pick([0, 2, 3]));
      const value = random.once(3) ? random.word() : word;
      const truth = requestWord(one.generation, REQUEST_PENDING);
      link.setRequest(slot, value);
      if (this.#flipping) this.#flips.push((phase) => link.setRequest(slot, phase ? value : truth));
      this.#pending.push({ key: 'arena.myRequests', position: placed.position });
      return;
    }
    // A generation that there cannot be costs the link.
    const generation = random.once(40);
    const harmless = fieldsOf('connect').filter(({ name }) =>
      generation ? name === 'generation' : name.endsWith('port') || name.includes('address'),
    );
    this.#spoil(random.pick(harmless), placed.body, placed, [one.generation - 1, this.#port]);
  }

  // ---- messages

  #message(one: HostileConnection): void {
    const { link } = this;
    const random = this.#random;
    if (!one.negotiationSent) {
      // The victim begins where it has connected.
      if (this.#port === 0 && !one.agreed) return;
      const placed = link.negotiate(one);
      if (random.once(2)) return;
      const field = this.#field('header', 'negotiation');
      this.#spoil(field, placed.body + (field.structure === 'negotiation' ? negotiationWords : 0), placed);
      return;
    }
    if (!one.agreed || (one.credit <= 0 && !random.once(20))) return;
    if (random.once(20)) return this.#rdma(one);
    const field = this.#field('header');
    const finish = field.name === 'taken' || field.name === 'flags';
    const type = finish ? TYPE_FINISH : random.pick([TYPE_DATA, TYPE_DATA, TYPE_DATA, TYPE_CREDIT, TYPE_FINISH]);
    const payload = type !== TYPE_DATA ? 0 : random.once(40) ? 1 + random.below(16_384) : 1 + random.below(64);
    const placed = link.message(one, type, payload);
    const spoilt = !random.once(4);
    if (field.name === 'taken') link.words[placed.body]! |= FLAG_CLOSED;
    if (type === TYPE_FINISH) one.resetting = finish;
    if (type === TYPE_FINISH || one.sequence > 12) one.retired = true;
    if (spoilt || finish) this.#spoil(field, placed.body, placed, [one.sequence - 1, one.received]);
  }

  #rdma(one: HostileConnection): void {
    const { link } = this;
    const random = this.#random;
    const placed = link.place(RDMA_WRITE_SIZE + 1 + random.below(64), 0, (words, i) => {
      words.set([RECORD_RDMA_WRITE, one.id, one.generation, random.below(64)], i);
      for (let k = 4; k < 8; k++) words[i + k] = random.word();
    });
    const harmless = fieldsOf('rdma').filter(({ word }) => word >= 2);
    const field = random.pick(harmless);
    this.#spoil(field, placed.body, placed);
    if (field.name.startsWith('descriptor')) {
      const part = fieldsOf('descriptor')[field.word - 4]!;
      this.#pending.push({ key: keyOf(part), position: placed.position });
    }
    one.retired = true;
  }

  /** The victim looks at it when it answers, and clears it. */
  #sleepWord(): void {
    const { words, layout } = this.link;
    if (this.#random.once(2)) return;
    Atomics.store(words, layout.mySleep >> 2, this.#random.word() | 1);
    this.#sleeping = true;
  }

  // ---- what may cost the link

  #danger(): void {
    const random = this.#random;
    const { link } = this;
    switch (random.below(10)) {
      case 8:
      case 9:
      case 0:
      case 1:
        return this.#wrongControl();
      case 2:
      case 3: {
        const one = random.pick([...this.#pool, null]);
        const placed =
          one !== null && one.state === 'open' && one.agreed && one.credit > 0
            ? link.message(one, TYPE_DATA, 1 + random.below(64))
            : link.place(8 * random.below(5), random.below(3));
        const ids = [0, ...this.#pool.map(({ id }) => id)];
        const value = this.#spoil(this.#field('prefix'), placed.prefix, placed, ids);
        // Should the number fit, the other connection takes it for its own.
        const other = link.connections.get(value);
        if (one !== null && other !== undefined) other.strange = { tag: one.tag, bytes: one.bytesSent };
        return;
      }
      case 4: {
        const placed = link.control(RECORD_CLOSE, 0, 0, 0, 0, 0, 0, 0);
        link.head = (random.once(2) ? placed.position + random.pick([8, 16, 24, 4, 1]) : random.word()) | 0;
        this.#pending.push({ key: 'arena.sendHead', position: placed.position });
        return;
      }
      case 5:
      case 6: {
        const from = link.place(8 * (1 + random.below(20)), random.below(3));
        const count = (((link.head - from.position) | 0) >> 2) - 1;
        const scribble = (): void => {
          link.words[from.prefix + random.below(count)] = random.once(2) ? random.below(16) : random.word();
        };
        for (let k = random.below(12); k >= 0; k--) scribble();
        if (this.#flipping) this.#flips.push(scribble);
        this.#pending.push({ key: 'arena.sendRing', position: from.position });
        return;
      }
      default:
        return this.#vain();
    }
  }

  #wrongControl(): void {
    const { link } = this;
    const random = this.#random;
    const open = this.#pool.filter(({ state }) => state === 'open');
    const one = open.length > 0 ? random.pick(open) : null;
    const id = one?.id ?? 1 + random.below(2 * SLOTS);
    const generation = one?.generation ?? 1;
    // In turn, so that each has its cases however few links there are.
    const field = controlFields[this.#tally.controls++ % controlFields.length]!;
    const structure = field.structure as 'connect' | keyof typeof records;
    let placed: Placed;
    if (structure === 'connect') {
      placed = link.request(this.#freeSlot(), this.#port || 9).placed;
    } else {
      const [type, size] = records[structure];
      placed = link.place(size, 0, (words, i) => words.set([type, id, generation, 1 + random.below(3)], i));
    }
    const value = this.#spoil(field, placed.body, placed, [...open.map((other) => other.id), 1, 4]);
    // A close that hits somebody is answered with one, and that is no verdict.
    const closing = structure === 'close' || structure === 'move' || value === RECORD_CLOSE || value === RECORD_MOVE;
    for (const other of open) if (closing && (other === one || other.id === value)) other.unclear = true;
  }

  /** Where nobody looks, or only to write: for nothing, then. */
  #vain(): void {
    const { link } = this;
    const { words, layout } = link;
    const random = this.#random;
    for (const at of [layout.sendTail, layout.peerSleep]) Atomics.store(words, at >> 2, random.word());
    link.garbage = random.word();
    Atomics.store(words, layout.receiveHead >> 2, link.garbage);
    // Behind what the victim has sent.
    words[(layout.receiveRing + ((link.received + RING_SIZE / 2) & (RING_SIZE - 8))) >> 2] = random.word();
    link.request(this.#freeSlot(), 9);
  }
}
