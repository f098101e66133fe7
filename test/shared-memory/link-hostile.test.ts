/** A link whose peer writes whatever it likes: at worst this link ends, and nobody's call fails with an exception. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { notify, region } from '../../src/conformance/memory.js';
import { ARENA_SIZE, arenaLayout, RING_SIZE, SLOTS } from '../../src/providers/shared-memory/arena.js';
import { PeerLink } from '../../src/providers/shared-memory/link.js';
import {
  ACCEPT_SIZE,
  CLOSE_SIZE,
  CONNECT_SIZE,
  RDMA_DATA_SIZE,
  RDMA_READ_SIZE,
  RDMA_WRITE_SIZE,
  RECORD_ACCEPT,
  RECORD_CLOSE,
  RECORD_CONNECT,
  RECORD_RDMA_DATA,
  RECORD_RDMA_READ,
  RECORD_RDMA_WRITE,
  RECORD_REFUSE,
  REFUSE_SIZE,
  REFUSED_BY_SWITCH,
  REQUEST_PENDING,
  requestWord,
  writeConnect,
} from '../../src/providers/shared-memory/records.js';
import { RingConsumer, RingProducer } from '../../src/providers/shared-memory/ring.js';
import { MEM_READ, MEM_WRITE, WSAECONNREFUSED, WSAECONNRESET, WSAETIMEDOUT } from '../../src/spi/index.js';
import { callee, caller, clear, Loop, type Party } from './link-support.js';

/** A loop whose peer is not a link but this test's own hand. */
class Target {
  readonly loop = new Loop();
  readonly parties: Party[] = [];
  readonly words: Int32Array;
  readonly requests: Int32Array;
  readonly ring: RingProducer;
  readonly #taken: RingConsumer;
  readonly #sent: Buffer[] = [];

  constructor(arena: ArrayBuffer) {
    const { sendHead, sendTail, sendRing, receiveHead, receiveTail, receiveRing, myRequests } = arenaLayout(1);
    this.#taken = new RingConsumer(arena, receiveHead, receiveTail, receiveRing, RING_SIZE);
    this.words = new Int32Array(arena, 0, 1024);
    this.requests = new Int32Array(arena, myRequests, SLOTS);
    this.ring = new RingProducer(arena, sendHead, sendTail, sendRing, RING_SIZE);
    this.loop.link = new PeerLink({
      arena,
      side: 0,
      poller: this.loop.poller,
      owner: this.loop,
      ringDoorbell: () => true,
    });
  }

  /** All records that the loop has sent. */
  get sent(): readonly Buffer[] {
    this.#taken.consume(1000, RING_SIZE, ({ bytes }, offset, length) => {
      this.#sent.push(Buffer.from(bytes.slice(offset, offset + length)));
    });
    return this.#sent;
  }

  /** Writes a record of `length` bytes that begins with the words. */
  record(id: number, length: number, ...words: number[]): void {
    const offset = this.ring.begin(Math.max(length, 4 * words.length));
    assert.ok(offset >= 0);
    this.ring.region.words.set(words, offset >> 2);
    this.ring.commit(offset, length, id);
    this.loop.bell = true;
  }

  request(slot: number, generation: number): void {
    const offset = this.ring.begin(CONNECT_SIZE);
    writeConnect(this.ring.region.words, offset, SLOTS + slot, generation, callee, caller);
    this.ring.commit(offset, CONNECT_SIZE, 0);
    this.loop.bell = true;
    Atomics.store(this.requests, slot, requestWord(generation, REQUEST_PENDING));
  }

  connect(): Party {
    const party = this.loop.connect();
    this.parties.push(party);
    return party;
  }

  accept(): Party | null {
    const party = this.loop.accept();
    if (party !== null) this.parties.push(party);
    return party;
  }
}

function target(): Target {
  return new Target(new ArrayBuffer(ARENA_SIZE));
}

test('each kind of malformed control record ends the link, and only the link', () => {
  const cases: Readonly<Record<string, (one: Target) => void>> = {
    'no bytes': (one) => one.record(0, 0),
    short: (one) => one.record(0, 8, RECORD_CLOSE, 1),
    'unknown type': (one) => one.record(0, 12, 99, 1, 1),
    'slot 0': (one) => one.record(0, CLOSE_SIZE, RECORD_CLOSE, 0, 1),
    'id out of bounds': (one) => one.record(0, CLOSE_SIZE, RECORD_CLOSE, 2 * SLOTS + 1, 1),
    'negative id': (one) => one.record(0, CLOSE_SIZE, RECORD_CLOSE, -65535, 1),
    'close of no connection': (one) => one.record(0, CLOSE_SIZE, RECORD_CLOSE, 9, 1),
    'close of another use of the slot': (one) => one.record(0, CLOSE_SIZE, RECORD_CLOSE, 1, 2),
    'accept of no connection': (one) => one.record(0, ACCEPT_SIZE, RECORD_ACCEPT, 9, 1),
    'accept of another use of the slot': (one) => one.record(0, ACCEPT_SIZE, RECORD_ACCEPT, 1, 7),
    'refusal without a cause': (one) => one.record(0, CLOSE_SIZE, RECORD_REFUSE, 1, 1),
    'connect with an id of ours': (one) => one.record(0, CONNECT_SIZE, RECORD_CONNECT, 1, 1),
    'connect that is too short': (one) => one.record(0, 48, RECORD_CONNECT, SLOTS + 1, 1),
    'connect of a generation that there is not': (one) => {
      one.request(1, -0x80000000 + 1);
    },
    'connect without addresses': (one) => one.record(0, CONNECT_SIZE, RECORD_CONNECT, SLOTS + 1, 1, 0x30050),
    'write of nothing': (one) => one.record(0, RDMA_WRITE_SIZE, RECORD_RDMA_WRITE, 1, 1),
    'read that is too short': (one) => one.record(0, RDMA_READ_SIZE - 4, RECORD_RDMA_READ, 1, 1),
    'read that is too long': (one) => one.record(0, RDMA_READ_SIZE + 4, RECORD_RDMA_READ, 1, 1),
    'data of nothing': (one) => one.record(0, RDMA_DATA_SIZE, RECORD_RDMA_DATA, 1, 1),
    'message for no connection': (one) => one.record(9, 16),
    'message for an id out of bounds': (one) => one.record(2 * SLOTS + 1, 16),
    'message for a negative id': (one) => one.record(-1, 16),
  };
  for (const [name, act] of Object.entries(cases)) {
    const one = target();
    const party = one.connect();
    act(one);
    one.loop.rest();
    assert.equal(one.loop.ends.length, 1, name);
    assert.notEqual(one.loop.ends[0], 'peer-gone', name);
    assert.deepEqual(party.connects, [[WSAETIMEDOUT, 'peer-gone']], name);
    assert.equal(one.loop.link.isDead, true);
    assert.equal(one.loop.link.connectionCount, 0);
  }
});

test('answers that contradict each other end the connection, and every waiting call with it', () => {
  const refuse = (one: Target): void => one.record(0, REFUSE_SIZE, RECORD_REFUSE, 1, 1, REFUSED_BY_SWITCH);
  const accept = (one: Target): void => one.record(0, ACCEPT_SIZE, RECORD_ACCEPT, 1, 1);
  const close = (one: Target): void => one.record(0, CLOSE_SIZE, RECORD_CLOSE, 1, 1);

  const accepted = target();
  const party = accepted.connect();
  accept(accepted);
  accepted.loop.rest();
  party.post(2);
  accept(accepted);
  accepted.loop.rest();
  assert.deepEqual([party.connects, party.completions.length], [[[0, null]], 0], 'a second accept changes nothing');
  refuse(accepted);
  accepted.loop.rest();
  assert.deepEqual(
    party.completions.map(({ error }) => error),
    [WSAECONNRESET, WSAECONNRESET],
  );
  assert.equal(party.reason, 'peer-protocol');
  close(accepted);
  accepted.loop.rest();
  assert.deepEqual([accepted.loop.link.connectionCount, accepted.loop.ends], [0, []]);

  const closed = target();
  const waiting = closed.connect();
  close(closed);
  closed.loop.rest();
  assert.deepEqual(waiting.connects, [[WSAETIMEDOUT, 'peer-protocol']]);
  assert.equal(waiting.connection.withdraw(), false);
  assert.equal(closed.loop.link.connectionCount, 0);

  const refused = target();
  const first = refused.connect();
  refuse(refused);
  refused.loop.rest();
  assert.deepEqual(first.connects, [[WSAECONNREFUSED, 'refused']]);
});

test('a connection that ends with its link knows whether the peer broke the rules or has gone', () => {
  for (const [cause, reason] of [
    ['peer-gone', null],
    ['closed', null],
    ['unknown record', 'link-violation'],
  ] as const) {
    const one = target();
    const party = one.connect();
    one.record(0, ACCEPT_SIZE, RECORD_ACCEPT, 1, 1);
    one.loop.rest();
    one.loop.link.end(cause);
    assert.deepEqual([party.connection.isConnected, party.reason], [false, reason], cause);
  }
});

test('WSD-MEM-31 WSD-MEM-12 writes of the peer outside what it may write change nothing and end the connection', () => {
  for (const [name, offset, length, flags, wrong] of [
    ['in bounds', 4, 8, MEM_WRITE, 0],
    ['behind the end', 9, 8, MEM_WRITE, 0],
    ['before the begin', -1, 8, MEM_WRITE, 0],
    ['far away', 0x7fffffff, 8, MEM_WRITE, 0],
    ['read-only', 0, 8, 1, 0],
    ['another key', 0, 8, MEM_WRITE, 1],
  ] as const) {
    const one = target();
    const party = one.connect();
    one.record(0, ACCEPT_SIZE, RECORD_ACCEPT, 1, 1);
    one.loop.rest();
    party.post(1);
    const memory = region(64);
    const descriptor = new Uint8Array(16);
    assert.equal(party.rdma.register(memory, 16, 16, flags, descriptor), 0);
    const words = [...new Int32Array(descriptor.buffer)];
    words[0]! ^= wrong;
    one.record(0, RDMA_WRITE_SIZE + length, RECORD_RDMA_WRITE, 1, 1, offset, ...words, 0, 0x01010101, 0x01010101);
    one.loop.rest();
    const good = name === 'in bounds';
    assert.equal(party.connection.isConnected, good, name);
    assert.equal(
      memory.bytes.some((byte) => byte !== 0),
      good,
      name,
    );
    assert.ok(
      memory.bytes.every((byte, i) => byte === 0 || (i >= 20 && i < 28)),
      name,
    );
    assert.deepEqual(one.loop.ends, [], name);
  }
});

for (const [name, offset, length, flags, wrong] of [
  ['in bounds', 4, 8, MEM_READ, 0],
  ['behind the end', 9, 8, MEM_READ, 0],
  ['before the begin', -1, 8, MEM_READ, 0],
  ['far away', 0x7fffffff, 8, MEM_READ, 0],
  ['nothing', 0, 0, MEM_READ, 0],
  ['less than nothing', 8, -8, MEM_READ, 0],
  ['write-only', 0, 8, MEM_WRITE, 0],
  ['by another key', 0, 8, MEM_READ, 1],
] as const) {
  test(`WSD-MEM-31 WSD-MEM-13 a peer reads what it may and nothing else: ${name}`, () => {
    const one = target();
    const party = one.connect();
    one.record(0, ACCEPT_SIZE, RECORD_ACCEPT, 1, 1);
    one.loop.rest();
    const memory = region(64);
    memory.bytes.fill(7);
    const descriptor = new Uint8Array(16);
    assert.equal(party.rdma.register(memory, 16, 16, flags, descriptor), 0);
    const words = [...new Int32Array(descriptor.buffer)];
    words[0]! ^= wrong;
    const before = one.sent.length;
    one.record(0, RDMA_READ_SIZE, RECORD_RDMA_READ, 1, 1, offset, ...words, length);
    one.loop.rest();
    const good = name === 'in bounds';
    assert.equal(party.connection.isConnected, good);
    const records = one.sent.slice(before);
    assert.deepEqual(
      records.map((record) => record.readInt32LE(0)),
      good ? [RECORD_RDMA_DATA] : [RECORD_CLOSE],
    );
    if (good) assert.deepEqual(records[0]!.subarray(RDMA_DATA_SIZE), Buffer.alloc(8, 7));
    assert.deepEqual(one.loop.ends, []);
  });
}

test('a peer that asks for more pieces than the ring has room for, or sends what nobody has asked for, loses the connection', () => {
  const accepted = (): [Target, Party] => {
    const one = target();
    const party = one.connect();
    one.record(0, ACCEPT_SIZE, RECORD_ACCEPT, 1, 1);
    one.loop.rest();
    return [one, party];
  };
  const [flooded, asked] = accepted();
  const memory = region(4 << 20);
  const descriptor = new Uint8Array(16);
  assert.equal(asked.rdma.register(memory, 0, 4 << 20, MEM_READ, descriptor), 0);
  const words = [...new Int32Array(descriptor.buffer)];
  // Nobody takes the answers, so the ring fills, and what waits is no copy.
  for (let i = 0; i < 12; i++) flooded.record(0, RDMA_READ_SIZE, RECORD_RDMA_READ, 1, 1, 0, ...words, 1 << 20);
  flooded.loop.turn();
  assert.equal(asked.connection.isConnected, false);
  assert.equal(asked.reason, 'peer-protocol');

  for (const bytes of [8, 17, 64]) {
    const [one, party] = accepted();
    const into = region(64);
    const overlapped = notify();
    const list = [{ buf: into, offset: 8, len: 16 }];
    // 0 bytes are asked for in the first round, then 16.
    if (bytes !== 8) party.connection.transfers.start(true, list, descriptor, 0, overlapped);
    one.record(0, RDMA_DATA_SIZE + bytes, RECORD_RDMA_DATA, 1, 1, ...new Array<number>(16).fill(-1));
    one.loop.rest();
    assert.equal(party.connection.isConnected, false, `${bytes} bytes`);
    if (bytes !== 8) assert.deepEqual(party.completions, [{ overlapped, error: WSAECONNRESET, bytes: 0 }]);
    assert.ok(into.bytes.every((byte) => byte === 0));
  }
});

test('a flood of requests is refused or withdrawn without an answer to each', () => {
  const one = target();
  for (let slot = 1; slot < 2000; slot++) one.request(slot, 5);
  one.loop.rest();
  assert.equal(one.loop.requests.length, 1999);
  assert.ok(one.accept() !== null);
  const again = { ...one.loop.requests[0]! };
  assert.ok(one.accept() !== null);
  // The peer sets the word of an accepted request back.
  Atomics.store(one.requests, 2, requestWord(5, REQUEST_PENDING));
  one.loop.requests.unshift(again);
  assert.equal(one.accept(), null, 'the slot is in use');
});

const arena = new ArrayBuffer(ARENA_SIZE);
const rdmaRecords = [RECORD_RDMA_WRITE, RECORD_RDMA_READ, RECORD_RDMA_DATA] as const;
const usualSizes = [
  0,
  CONNECT_SIZE,
  ACCEPT_SIZE,
  REFUSE_SIZE,
  CLOSE_SIZE,
  RDMA_WRITE_SIZE + 8,
  RDMA_READ_SIZE,
  RDMA_DATA_SIZE + 8,
];

test('no sequence of hostile records, heads, tails and request words makes anything throw or complete twice', () => {
  const cases = Math.max(20_000, 300 * Number(process.env.SOCKETS_DIRECT_TEST_RUNS ?? 0));
  let survived = 0;
  const property = fc.property(fc.integer(), (seed) => {
    if (attack(seed)) survived++;
  });
  fc.assert(property, { numRuns: cases, includeErrorInReport: true });
  assert.ok(survived > cases / 20 && survived < cases, `${survived} of ${cases} links survived: both kinds are there`);
});

/** One hostile peer. True if the link has survived it. */
function attack(seed: number): boolean {
  clear(arena, 16);
  let state = seed | 0;
  const random = (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    return (state >>> 8) % below;
  };
  const pick = (...values: readonly number[]): number => values[random(values.length)]!;
  const anyWord = (): number =>
    random(2) === 0 ? pick(0, 1, -1, 8, 0x7fffffff, -0x80000000) : (random(65_536) << 16) | random(65_536);
  const anyId = (): number => (random(12) === 0 ? anyWord() : pick(1, 2, 3, SLOTS + 1, SLOTS + 2));
  const one = new Target(arena);
  one.connect();
  one.connect();
  if (random(4) > 0) one.record(0, ACCEPT_SIZE, RECORD_ACCEPT, 1, 1);
  one.request(1, 1);
  one.loop.rest();
  one.accept();
  for (const party of one.parties) if (party.connection.isConnected) party.post(random(4), 64);
  for (let i = 1 + random(8); i > 0; i--) {
    const type =
      random(12) === 0 ? anyWord() : pick(RECORD_CONNECT, RECORD_ACCEPT, RECORD_REFUSE, RECORD_CLOSE, ...rdmaRecords);
    const usual = usualSizes[type] ?? 12;
    const length = random(8) === 0 ? random(80) : usual;
    const act = random(20);
    if (act < 10) {
      const generation = random(8) === 0 ? anyWord() : 1;
      one.record(0, length, type, anyId(), generation, 0x20050, anyWord(), anyWord(), anyWord(), anyWord(), 0x20050);
    } else if (act < 13) one.record(anyId(), random(120), anyWord(), anyWord());
    else if (act === 13) Atomics.store(one.words, arenaLayout(0).receiveHead >> 2, anyWord());
    else if (act === 14) Atomics.store(one.words, arenaLayout(0).sendTail >> 2, anyWord());
    else if (act === 15) Atomics.store(one.words, arenaLayout(0).peerSleep >> 2, anyWord());
    else if (act === 16) Atomics.store(one.requests, 1 + random(4), anyWord());
    else if (act === 17) one.request(1 + random(4), 1 + random(2));
    else one.ring.region.words[random(256)] = anyWord();
    const party = one.parties[random(one.parties.length)]!;
    const { connection } = party;
    const own = random(10);
    if (own === 0 && one.loop.requests.length > 0) one.accept();
    else if (own === 1) connection.close();
    else if (own === 2) connection.withdraw();
    else if (own === 3 && connection.isConnected) party.send(new Uint8Array(40), notify());
    else if (own === 6 && connection.isConnected) {
      const into = { buf: region(64), offset: 0, len: 8 * (1 + random(8)) };
      connection.transfers.start(random(2) === 0, [into], new Uint8Array(16), random(64), notify());
    } else if (own === 4 && !one.loop.link.isDead) one.connect();
    else if (own === 5 && one.loop.requests.length > 0) {
      const { id, generation } = one.loop.requests.shift()!;
      one.loop.link.refuse(id, generation, REFUSED_BY_SWITCH);
    } else one.loop.rest();
  }
  one.loop.rest();
  const survived = !one.loop.link.isDead;
  one.loop.link.end('peer-gone');
  assert.equal(one.loop.ends.length, 1);
  assert.equal(one.loop.link.connectionCount, 0);
  for (const { connection, completions, connects } of one.parties) {
    assert.ok(connects.length <= 1, 'a connect ends once');
    assert.equal(connection.postedCount, 0, 'no receive is left');
    assert.equal(
      new Set(completions.map(({ overlapped }) => overlapped)).size,
      completions.length,
      'each completes once',
    );
  }
  return survived;
}
