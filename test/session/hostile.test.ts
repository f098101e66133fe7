/** Negotiation, and what a session makes of messages that no correct peer sends. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  HEADER_SIZE,
  readNegotiation,
  TYPE_CREDIT,
  TYPE_DATA,
  TYPE_FINISH,
  TYPE_NEGOTIATE,
  writeHeader,
  writeNegotiation,
} from '../../src/session/index.js';
import { MAX_NEGOTIATION_MESSAGE_SIZE, WSAECONNRESET } from '../../src/spi/index.js';
import { choices, numRuns, Pair, region, type Side, usual } from './support.js';

function message(type: number, sequence: number, payload = 0, credits = 0): Uint8Array {
  const { bytes, words } = region(HEADER_SIZE + payload);
  writeHeader(words, 0, type, credits, payload, sequence);
  return bytes;
}

/** Puts a message on the wire to the side, instead of its peer, and delivers it. */
function inject(side: Side, bytes: Uint8Array): void {
  side.inbox.push(bytes);
  while (side.inbox.length > 0) side.deliver();
}

/** Sequence number that the side expects next. */
const next = (side: Side): number => side.peer.messagesSent + 1;

test('WSD-NEG-2 WSD-NEG-4 WSD-NEG-5 one pair of messages agrees the session, each with the number of posted buffers', () => {
  const offers = [
    { postedBuffers: 5, postedBuffersMax: 5, payloadSize: 2048 },
    { postedBuffers: 9, postedBuffersMax: 12, payloadSize: 4096 },
  ] as const;
  const pair = new Pair({ ...usual, offers });
  assert.equal(pair.a.messagesSent, 1);
  const sent: Uint8Array[] = [];
  const look = (side: Side): void => {
    const bytes = side.inbox[0] as Uint8Array;
    sent.push(bytes);
    side.deliver();
  };
  look(pair.b);
  assert.deepEqual([pair.a.session.negotiated, pair.b.session.negotiated], [false, true]);
  look(pair.a);
  assert.deepEqual([pair.a.events, pair.b.events], [['negotiated'], ['negotiated']]);
  assert.deepEqual([pair.a.messagesSent, pair.b.messagesSent], [1, 1]);
  const found = sent.map((bytes) =>
    readNegotiation(new Int32Array(bytes.buffer), HEADER_SIZE, bytes.length - HEADER_SIZE),
  );
  assert.deepEqual(found, offers);
});

test('WSD-NEG-6 WSD-LIM-1 a negotiation message has at most 256 bytes', () => {
  const pair = new Pair();
  const lengths = [(pair.b.inbox[0] as Uint8Array).length];
  pair.b.deliver();
  lengths.push((pair.a.inbox[0] as Uint8Array).length);
  assert.ok(lengths.every((length) => length <= MAX_NEGOTIATION_MESSAGE_SIZE));
});

test('a session with too few buffers, buffers too small, or of another version is not agreed', () => {
  const { words } = region(64);
  const good = { postedBuffers: 4, postedBuffersMax: 4, payloadSize: 1024 };
  const read = (change: () => void, length = 24): unknown => {
    writeNegotiation(words, 0, good);
    change();
    return readNegotiation(words, 0, length);
  };
  assert.deepEqual(
    read(() => {}),
    good,
  );
  for (const [word, value] of [
    [0, 0],
    [1, 2],
    [2, 3],
    [2, -1],
    [2, 5],
    [3, 1023],
    [3, -1],
    [3, (1 << 20) + 1],
    [4, 4097],
    [4, -1],
  ] as const) {
    assert.equal(
      read(() => {
        words[word] = value;
      }),
      null,
      `word ${word} is ${value}`,
    );
  }
  for (const length of [0, 23, 25, 1000])
    assert.equal(
      read(() => {}, length),
      null,
    );
});

test('each kind of malformed message is a violation, which ends the session with WSAECONNRESET', () => {
  const cases: Readonly<Record<string, (side: Side) => Uint8Array>> = {
    'no header': () => new Uint8Array(8),
    'half a header': (side) => message(TYPE_DATA, next(side), 4).subarray(0, 15),
    'payload longer than the message': (side) => message(TYPE_DATA, next(side), 10).subarray(0, HEADER_SIZE + 9),
    'payload shorter than the message': (side) => {
      const bytes = message(TYPE_DATA, next(side), 10);
      new Int32Array(bytes.buffer)[1] = 9;
      return bytes;
    },
    'negative payload': (side) => {
      const bytes = message(TYPE_DATA, next(side), 0);
      new Int32Array(bytes.buffer)[1] = -16;
      return bytes;
    },
    'a number left out': (side) => message(TYPE_DATA, next(side) + 1, 10),
    'a number twice': (side) => message(TYPE_DATA, next(side) - 1, 10),
    'unknown type': (side) => message(77, next(side), 0),
    'type 0': (side) => message(0, next(side), 0),
    'more credits than there can be': (side) => message(TYPE_CREDIT, next(side), 0, 7),
    'all credits': (side) => message(TYPE_CREDIT, next(side), 0, 0xffff),
    'data without bytes': (side) => message(TYPE_DATA, next(side), 0),
    'credit message with bytes': (side) => message(TYPE_CREDIT, next(side), 8),
    'end with bytes': (side) => message(TYPE_FINISH, next(side), 8),
    'second negotiation': (side) => {
      const bytes = message(TYPE_NEGOTIATE, next(side), 24);
      writeNegotiation(new Int32Array(bytes.buffer), HEADER_SIZE, usual.offers[0]);
      return bytes;
    },
  };
  for (const [name, make] of Object.entries(cases)) {
    const { a } = Pair.negotiated();
    a.write(100_000);
    inject(a, make(a));
    assert.equal(a.times('violation'), 1, name);
    a.session.readStart();
    for (const task of a.tasks.splice(0)) task();
    assert.equal(a.times(`error ${WSAECONNRESET}`), 1, name);
    assert.deepEqual(a.writes[0]?.results, [WSAECONNRESET], name);
    assert.equal(a.receivedBytes, 0, name);
  }
});

test('what comes after the end of data, or before the negotiation, is a violation', () => {
  for (const make of [(n: number) => message(TYPE_DATA, n, 5), (n: number) => message(TYPE_FINISH, n)]) {
    const { a } = Pair.negotiated();
    inject(a, message(TYPE_FINISH, next(a)));
    assert.equal(a.times('violation'), 0);
    inject(a, make(next(a) + 1));
    assert.equal(a.times('violation'), 1);
  }
  for (const type of [TYPE_DATA, TYPE_CREDIT, TYPE_FINISH]) {
    for (const which of [0, 1] as const) {
      const pair = new Pair();
      const side = pair.sides[which];
      side.inbox.length = 0;
      inject(side, message(type, 1, type === TYPE_DATA ? 5 : 0));
      assert.equal(side.times('violation'), 1);
      assert.equal(side.session.negotiated, false);
    }
  }
});

test('WSD-FLW-2 credits never exceed what the peer has announced', () => {
  const offer = { postedBuffers: 4, postedBuffersMax: 4, payloadSize: 1024 };
  const { a } = Pair.negotiated({ ...usual, offers: [usual.offers[0], offer] });
  assert.equal(a.session.credits, 4);
  a.write(10);
  assert.equal(a.session.credits, 3);
  inject(a, message(TYPE_CREDIT, next(a), 0, 1));
  assert.equal(a.session.credits, 4);
  inject(a, message(TYPE_CREDIT, next(a) + 1, 0, 1));
  assert.equal(a.times('violation'), 1);
  assert.ok(a.session.credits <= 4);
});

test('WSD-FLW-9 a peer that sends without credit is stopped, however little the program reads', () => {
  for (const [type, payload] of [
    [TYPE_DATA, 1],
    [TYPE_CREDIT, 0],
  ] as const) {
    const { a } = Pair.negotiated();
    // The peer takes what is sent to it and gives no credit back, so credit goes to it a few times only.
    const { postedBuffersMax } = usual.offers[0];
    const most = (postedBuffersMax + 1) * postedBuffersMax;
    for (let sent = 0; a.times('violation') === 0; sent++) {
      assert.ok(sent <= most, `${sent} messages of type ${type} were taken`);
      inject(a, message(type, next(a) + sent, payload));
      a.peer.inbox.length = 0;
    }
  }
});

test('no sequence of arbitrary messages makes a session throw, deliver twice, or send beyond its credit', () => {
  const word = fc.oneof(fc.constantFrom(0, -1, 1, 16, 0x7fffffff, -0x80000000), fc.integer());
  const mutation = fc.record({
    type: fc.oneof(
      { weight: 5, arbitrary: fc.constantFrom(TYPE_DATA, TYPE_CREDIT, TYPE_FINISH, TYPE_NEGOTIATE) },
      { weight: 1, arbitrary: fc.nat(255) },
    ),
    payload: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 4096 })),
    credits: fc.oneof({ weight: 5, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(0xffff) }),
    garbled: fc.option(fc.tuple(fc.nat(3), word), { freq: 5 }),
    cut: fc.option(fc.nat(4112), { freq: 8 }),
  });
  const property = fc.property(
    fc.array(mutation, { minLength: 1, maxLength: 30 }),
    fc.boolean(),
    fc.integer(),
    (script, negotiated, seed) => {
      const random = choices(seed);
      const pair = negotiated ? Pair.negotiated() : new Pair();
      const { b } = pair;
      b.inbox.length = 0;
      let sequence = negotiated ? next(b) : 1;
      if (random() % 2 === 0) b.session.readStart();
      if (negotiated) b.write(random() % 60_000);
      for (const { type, payload, credits, garbled, cut } of script) {
        const bytes = message(type, sequence++, payload, credits);
        if (type === TYPE_NEGOTIATE && payload >= 24)
          writeNegotiation(new Int32Array(bytes.buffer), HEADER_SIZE, usual.offers[0]);
        if (garbled !== null) new Int32Array(bytes.buffer)[garbled[0]] = garbled[1];
        // A hostile peer takes what it has given credit for.
        pair.a.inbox.length = 0;
        if (b.posted.length === 0) break;
        inject(b, cut === null ? bytes : bytes.subarray(0, Math.min(cut, bytes.length)));
        for (const task of b.tasks.splice(0)) task();
        assert.ok(b.session.credits <= usual.offers[0].postedBuffersMax);
        assert.ok(b.session.credits >= 0);
      }
      assert.ok(b.times('violation') <= 1);
      assert.ok(b.times('end') + b.times('error') <= 1);
      for (const task of b.tasks.splice(0)) task();
      b.session.reset();
      for (const task of b.tasks.splice(0)) task();
      b.checkWrites();
    },
  );
  fc.assert(property, { numRuns: 10 * numRuns });
});
