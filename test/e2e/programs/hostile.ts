/**
 * `hostile.js dial PORT SEED MILLISECONDS`: links with the process that listens at the port, by the real handshake, and then
 * breaks every rule there is, again and again. `hostile.js listen PORT SEED MILLISECONDS` says that it listens at the port
 * and does the same to everybody who believes it. What it does in a round depends on the seed alone.
 */

import { loadPlatform } from '../../../src/platform/index.js';
import { ARENA_SIZE, arenaLayout, RING_SIZE, SLOTS } from '../../../src/providers/shared-memory/arena.js';
import { type EstablishedLink, LinkEndpoint } from '../../../src/providers/shared-memory/endpoint.js';
import {
  ACCEPT_SIZE,
  CONNECT_SIZE,
  RECORD_ACCEPT,
  REQUEST_ACCEPTED,
  REQUEST_PENDING,
  requestWord,
  writeConnect,
} from '../../../src/providers/shared-memory/records.js';
import { Rendezvous } from '../../../src/providers/shared-memory/rendezvous.js';
import { RingProducer } from '../../../src/providers/shared-memory/ring.js';
import {
  HEADER_SIZE,
  NEGOTIATION_SIZE,
  TYPE_NEGOTIATE,
  writeHeader,
  writeNegotiation,
} from '../../../src/session/index.js';
import { AF_INET } from '../../../src/spi/index.js';
import { realTime } from '../../support/real-time.js';
import { report, reported } from './support.js';

const [role, ...numbers] = process.argv.slice(2);
const [port, seed, milliseconds] = numbers.map(Number);
const platform = loadPlatform();
const rendezvous = new Rendezvous({ environment: process.env, platform });
const side = role === 'dial' ? 0 : 1;
const layout = arenaLayout(side);

let state = seed;
function random(bound: number): number {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) % bound;
}

/** Mostly numbers at which somebody could go wrong. */
function word(): number {
  const special = [
    0,
    1,
    -1,
    2,
    3,
    4,
    7,
    8,
    0x7fffffff,
    -0x80000000,
    RING_SIZE,
    RING_SIZE - 8,
    RING_SIZE + 8,
    SLOTS,
    SLOTS + 1,
  ];
  return random(2) === 0 ? special[random(special.length)] : random(0x100000000) | 0;
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A correct peer's side of the ring, until it is abused. */
class Attack {
  readonly #link: EstablishedLink;
  readonly #control: Int32Array;
  readonly #ring: Int32Array;
  readonly #requests: Int32Array;
  readonly #peerRequests: Int32Array;
  readonly #producer: RingProducer;
  readonly #connected: number[] = [];

  constructor(link: EstablishedLink) {
    this.#link = link;
    this.#control = new Int32Array(link.arena, 0, 1024);
    this.#ring = new Int32Array(link.arena, layout.sendRing, RING_SIZE >> 2);
    this.#requests = new Int32Array(link.arena, layout.myRequests, SLOTS);
    this.#peerRequests = new Int32Array(link.arena, layout.peerRequests, SLOTS);
    this.#producer = new RingProducer(link.arena, layout.sendHead, layout.sendTail, layout.sendRing, RING_SIZE);
  }

  #send(length: number, id: number, fill: (words: Int32Array, i: number) => void): void {
    const offset = this.#producer.begin(length);
    if (offset < 0) return;
    fill(this.#producer.region.words, offset >> 2);
    this.#producer.commit(offset, length, id);
  }

  #wake(): void {
    Atomics.store(this.#control, layout.peerSleep >> 2, 0);
    platform.ringDoorbell(this.#link.descriptor);
  }

  #connect(): void {
    const slot = 1 + random(40);
    const id = side * SLOTS + slot;
    const generation = random(3);
    Atomics.store(this.#requests, slot, requestWord(generation, REQUEST_PENDING));
    const address = { sa_family: AF_INET, address: '127.0.0.1', port };
    const offset = this.#producer.begin(CONNECT_SIZE);
    if (offset < 0) return;
    writeConnect(this.#producer.region.words, offset, id, generation, address, { ...address, port: 40_000 + slot });
    this.#producer.commit(offset, CONNECT_SIZE, 0);
    this.#connected.push(id);
  }

  /** Accepts what the victim has asked for, as a correct peer does. */
  #accept(): void {
    for (let slot = 1; slot < 40; slot++) {
      const request = Atomics.load(this.#peerRequests, slot);
      const generation = request >> 2;
      if (request === 0 || request !== requestWord(generation, REQUEST_PENDING)) continue;
      Atomics.store(this.#peerRequests, slot, requestWord(generation, REQUEST_ACCEPTED));
      const id = (1 - side) * SLOTS + slot;
      this.#send(ACCEPT_SIZE, 0, (words, i) => words.set([RECORD_ACCEPT, id, generation], i));
      this.#connected.push(id);
    }
  }

  /** A header of a session with a payload; both lie now and then. */
  #message(): void {
    const id = this.#connected.length > 0 && random(8) > 0 ? this.#connected[random(this.#connected.length)] : word();
    const payload = random(4) === 0 ? random(17_000) : random(64);
    const truth = random(3) > 0;
    this.#send(16 + payload, id, (words, i) => {
      const type = truth ? 1 + random(4) : word();
      words[i] = (type & 0xff) | (random(3) << 8) | (random(40) << 16);
      words[i + 1] = truth ? payload : word();
      words[i + 2] = truth ? 1 + random(3) : word();
      words[i + 3] = random(3) === 0 ? word() : 0;
      for (let k = 4; k < 4 + (payload >> 2) && k < 16; k++) words[i + k] = word();
    });
  }

  #negotiate(id: number, truth: boolean): void {
    this.#send(HEADER_SIZE + NEGOTIATION_SIZE, id, (words, i) => {
      writeHeader(words, 4 * i, TYPE_NEGOTIATE, side, NEGOTIATION_SIZE, 1);
      writeNegotiation(words, 4 * i + HEADER_SIZE, { postedBuffers: 32, postedBuffersMax: 32, payloadSize: 16_384 });
      if (!truth) words[i + random(10)] = word();
    });
  }

  /** For a while it is what it says it is. */
  async #begin(): Promise<void> {
    if (side === 0) {
      if (random(2) === 0) this.#connect();
    } else {
      for (let k = 0; k < 10 && this.#connected.length === 0 && !this.#link.socket.destroyed; k++) {
        await new Promise((resolve) => setTimeout(resolve, 1));
        this.#accept();
      }
    }
    if (random(4) > 0) for (const id of this.#connected) this.#negotiate(id, true);
    this.#wake();
    if (random(2) === 0) await turn();
  }

  #controlRecord(): void {
    this.#send(4 * (1 + random(16)), 0, (words, i) => {
      words[i] = 1 + random(6);
      words[i + 1] = random(4) === 0 ? word() : random(2) * SLOTS + 1 + random(40);
      for (let k = 2; k < 16; k++) words[i + k] = word();
    });
  }

  async run(): Promise<void> {
    await this.#begin();
    const steps = 1 + random(30);
    for (let step = 0; step < steps && !this.#link.socket.destroyed; step++) {
      switch (random(12)) {
        case 0:
        case 1:
        case 2:
          if (side === 0) this.#connect();
          else this.#accept();
          break;
        case 3:
          for (const id of this.#connected) this.#negotiate(id, random(2) === 0);
          break;
        case 4:
        case 5:
          this.#message();
          break;
        case 6:
          this.#controlRecord();
          break;
        case 7:
          Atomics.store(this.#requests, random(64), word());
          break;
        case 8:
          for (const at of [layout.peerSleep, layout.mySleep]) Atomics.store(this.#control, at >> 2, word());
          break;
        case 9:
          // The whole page of control words, of both sides.
          if (random(4) === 0) this.#control[random(1024)] = word();
          break;
        case 10:
          if (random(4) === 0) for (let k = 0; k < 64; k++) this.#ring[random(4096)] = word();
          break;
        default:
          if (random(4) === 0)
            Atomics.store(this.#control, (random(2) === 0 ? layout.sendHead : layout.receiveTail) >> 2, word());
      }
      this.#wake();
      if (random(3) === 0) await turn();
    }
    // Time for the victim to look at all of it, or to have had enough.
    for (let k = 0; k < 5 && !this.#link.socket.destroyed; k++) await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

let rounds = 0;
let ended = 0;

async function attack(link: EstablishedLink): Promise<void> {
  link.socket.on('error', () => {});
  link.socket.resume();
  try {
    await new Attack(link).run();
  } catch {
    // Its own ring is as broken as the victim's.
  }
  rounds++;
  if (link.socket.destroyed) ended++;
  link.socket.destroy();
  await turn();
}

const endpoint = new LinkEndpoint({
  ...realTime,
  platform,
  rendezvous,
  arenaSize: ARENA_SIZE,
  onLink: (link) => void attack(link),
});
const alive = setInterval(() => {}, 60_000);
if (role === 'dial') {
  const end = performance.now() + milliseconds;
  while (performance.now() < end) {
    const [entry] = rendezvous.list(port);
    try {
      await attack(await endpoint.dial(entry.token));
    } catch {
      // The victim may still hold the link of the last round for a moment.
      await turn();
    }
  }
} else {
  endpoint.publish();
  rendezvous.register(port, '127.0.0.1');
  report('listening', { port });
  await new Promise((resolve) => setTimeout(resolve, milliseconds));
}
clearInterval(alive);
endpoint.close();
rendezvous.close();
await reported('attacked', { rounds, ended });
process.exit(0);
