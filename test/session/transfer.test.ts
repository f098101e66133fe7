/** The session protocol carries bytes: properties over arbitrary programs and arbitrary interleavings. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HEADER_SIZE } from '../../src/session/index.js';
import { acts, choices, numRuns, Pair, type PairOptions, pairOptions, perform, type Side, usual } from './support.js';

function resume(pair: Pair, random: () => number): void {
  for (const side of pair.sides) side.session.readStart();
  pair.settle(random);
}

/** A program that reads misses nothing; once both do, nobody waits either. */
function checkComplete(side: Side, bothRead = true): void {
  assert.equal(side.receivedBytes, side.peer.writtenBytes, 'everything written has arrived');
  side.checkReceived();
  assert.equal(side.times('violation'), 0);
  if (!bothRead) return;
  side.checkWrites();
  assert.ok(side.writes.every(({ results }) => results.every((error) => error === 0)));
  assert.equal(side.session.hasUnsent, false);
  assert.equal(side.session.writeQueueSize, 0);
}

test('WSD-COMP-5 every byte arrives once and in order, whatever is written and whoever pauses', () => {
  const property = fc.property(pairOptions, acts(), fc.integer(), (options, script, seed) => {
    const random = choices(seed);
    const pair = Pair.negotiated(options);
    perform(pair, script, random);
    pair.settle(random);
    resume(pair, random);
    for (const side of pair.sides) checkComplete(side);
  });
  fc.assert(property, { numRuns });
});

test('WSD-FLW-7 one direction flows on while the program of the other does not read', () => {
  const property = fc.property(
    pairOptions,
    acts(),
    fc.constantFrom<0 | 1>(0, 1),
    fc.integer(),
    (options, script, which, seed) => {
      const random = choices(seed);
      const pair = Pair.negotiated(options);
      const side = pair.sides[which];
      perform(pair, script, random);
      side.peer.session.readStop();
      side.peer.write(400_000);
      side.session.readStart();
      pair.settle(random);
      checkComplete(side, false);
      resume(pair, random);
      for (const side of pair.sides) checkComplete(side);
    },
  );
  fc.assert(property, { numRuns });
});

test('WSD-FLW-3 WSD-NEG-7 every message finds a posted buffer that is large enough', () => {
  // The wire checks it at every message; here both sides write as much as they can, and read little.
  const property = fc.property(pairOptions, fc.integer(), fc.nat(5), (options, seed, reads) => {
    const random = choices(seed);
    const pair = Pair.negotiated(options);
    for (const side of pair.sides) for (let i = 0; i < 4; i++) side.write(1 + (random() % 200_000));
    for (let i = 0; i < reads; i++) {
      const side = pair.sides[random() % 2]!;
      side.session.readStart();
      for (let k = random() % 20; k > 0; k--) pair.step(random());
      side.session.readStop();
    }
    pair.settle(random);
    for (const { outstandingMax, posted } of pair.sides) assert.ok(outstandingMax <= posted.length);
    resume(pair, random);
    for (const side of pair.sides) checkComplete(side);
  });
  fc.assert(property, { numRuns });
});

test('WSD-FLW-2 a side sends no more messages than the peer has announced before it gets credits back', () => {
  for (const postedBuffers of [4, 5, 8, 32]) {
    const offer = { postedBuffers, postedBuffersMax: postedBuffers, payloadSize: 1024 };
    const pair = new Pair({ ...usual, offers: [usual.offers[0], offer] });
    pair.settle();
    const before = pair.a.messagesSent;
    pair.a.write(100 * 1024);
    const sent = pair.a.messagesSent - before;
    assert.ok(sent < postedBuffers && sent >= postedBuffers - 2, `${sent} messages for ${postedBuffers} buffers`);
    assert.equal(pair.b.inbox.length, sent);
  }
});

test('WSD-FLW-7 WSD-FLW-4 control messages are consumed while data waits for a program that does not read', () => {
  const pair = Pair.negotiated();
  pair.a.write(150_000);
  pair.settle();
  assert.equal(pair.b.receivedBytes, 0);
  assert.equal(pair.b.posted.length, usual.offers[1].postedBuffers, 'all buffers are posted again');
  // The other direction still works, which needs the credits that b's messages bring back to a.
  pair.a.session.readStart();
  pair.b.write(400_000);
  pair.settle();
  assert.equal(pair.a.receivedBytes, 400_000);
  pair.b.session.readStart();
  pair.settle();
  for (const side of pair.sides) checkComplete(side);
});

test('WSD-FLW-9 a program that does not read holds its peer back', () => {
  const pair = Pair.negotiated();
  pair.a.write(10_000_000);
  pair.settle();
  const { postedBuffers, payloadSize } = usual.offers[1];
  const arrived = pair.a.session.bytesSent;
  assert.ok(arrived <= postedBuffers * payloadSize, `${arrived} bytes were sent`);
  assert.equal(pair.a.writes[0]?.results.length, 0, 'the write waits');
  assert.equal(pair.a.session.writeQueueSize, 10_000_000 - arrived);
});

test('WSD-FLW-8 credits go back alone at half of the window, and in the headers of data before that', () => {
  const pair = Pair.negotiated();
  const { a, b } = pair;
  for (const side of pair.sides) side.session.readStart();
  const before = b.messagesSent;
  for (let i = 0; i < 4; i++) {
    a.write(10);
    pair.settle();
  }
  assert.equal(b.messagesSent - before, 1, 'one credit message for half of eight buffers');
  const credits = a.session.credits;
  for (let i = 0; i < 100; i++) {
    a.write(10);
    pair.settle();
    b.write(10);
    pair.settle();
  }
  assert.equal(b.messagesSent - before, 101, 'an echo needs no credit messages');
  assert.ok(a.session.credits >= credits - 1);
});

test('WSD-FLW-8 credit messages do not provoke each other for ever', () => {
  const property = fc.property(
    fc.tuple(fc.integer({ min: 4, max: 12 }), fc.integer({ min: 4, max: 12 })),
    fc.array(fc.tuple(fc.constantFrom<0 | 1>(0, 1), fc.constantFrom('read', 'write', 'shutdown', 'step')), {
      maxLength: 60,
      size: 'max',
    }),
    fc.boolean(),
    fc.integer(),
    ([n, m], script, saturated, seed) => {
      const random = choices(seed);
      const offers: PairOptions['offers'] = [
        { postedBuffers: n, postedBuffersMax: n, payloadSize: 1024 },
        { postedBuffers: m, postedBuffersMax: m, payloadSize: 1024 },
      ];
      const pair = Pair.negotiated({ ...usual, offers });
      if (saturated) for (const side of pair.sides) side.write(50 * 1024);
      pair.settle(random);
      const finished = new Set<Side>();
      for (const [which, act] of script) {
        const side = pair.sides[which];
        // One chunk at a time: reading stops again from inside the handler.
        side.onChunk = () => side.session.readStop();
        if (act === 'read') side.session.readStart();
        else if (act === 'write' && !finished.has(side)) side.write(700);
        else if (act === 'shutdown' && !finished.has(side) && side.shutdowns.length === 0) {
          finished.add(side);
          side.shutdown();
        } else pair.step(random());
      }
      pair.settle(random);
      // One side reads on, the other one not: its data must get through nevertheless.
      const reader = pair.sides[random() % 2]!;
      for (const side of pair.sides) side.onChunk = null;
      reader.peer.session.readStop();
      reader.session.readStart();
      if (!finished.has(reader.peer)) for (let i = 0; i < 4; i++) reader.peer.write(3000);
      pair.settle(random);
      assert.equal(reader.receivedBytes, reader.peer.writtenBytes, 'nobody waits for credits that the other owes');
      resume(pair, random);
      const data = pair.a.received.length + pair.b.received.length;
      const messages = pair.a.messagesSent + pair.b.messagesSent;
      assert.ok(messages <= 2 * data + 2 * (n + m), `${messages} messages for ${data} with data`);
      for (const side of pair.sides) checkComplete(side);
    },
  );
  fc.assert(property, { numRuns: 3 * numRuns });
});

test('one message read by a program that was saturated lets the peer send the next one', () => {
  const pair = Pair.negotiated();
  const { a, b } = pair;
  a.write(1_000_000);
  pair.settle();
  const { bytesSent } = a.session;
  b.onChunk = () => b.session.readStop();
  for (let i = 1; i < 5; i++) {
    b.session.readStart();
    pair.settle();
    assert.equal(a.session.bytesSent - bytesSent, i * usual.offers[1].payloadSize);
  }
});

test('small writes without credit are gathered into full messages', () => {
  const pair = Pair.negotiated();
  pair.a.write(100_000);
  pair.settle();
  pair.b.session.readStart();
  pair.settle();
  pair.b.session.readStop();
  const before = pair.a.messagesSent;
  for (let i = 0; i < 1000; i++) pair.a.write(30);
  pair.b.session.readStart();
  pair.settle();
  checkComplete(pair.b);
  assert.ok(pair.a.messagesSent - before < 40, `${pair.a.messagesSent - before} messages for 1000 writes`);
});

test('a waiting write is taken over by copying, but not beyond the bound', () => {
  const pair = Pair.negotiated({ ...usual, acceptMax: 60_000 });
  pair.a.write(70_000);
  pair.settle();
  assert.deepEqual(pair.a.writes[0]?.results, [0], 'what is left after the first messages is below the bound');
  pair.a.write(70_000);
  pair.settle();
  assert.deepEqual(pair.a.writes[1]?.results, []);
  pair.b.session.readStart();
  pair.settle();
  checkComplete(pair.b);
});

test('an exception of the program in its data handler loses nothing', () => {
  const pair = Pair.negotiated();
  pair.a.write(20_000);
  pair.settle();
  let thrown = 0;
  pair.b.onChunk = () => {
    thrown++;
    throw new Error('handler');
  };
  pair.b.session.readStart();
  for (;;) {
    try {
      pair.settle();
      break;
    } catch (error) {
      assert.equal((error as Error).message, 'handler');
    }
  }
  assert.ok(thrown > 1);
  checkComplete(pair.b);
});

test('delivery takes turns: at most 256 KiB of stored bytes in one', () => {
  const offer = { postedBuffers: 32, postedBuffersMax: 32, payloadSize: 16384 };
  const pair = Pair.negotiated({ ...usual, offers: [offer, offer] });
  pair.a.write(32 * 16384);
  pair.settle();
  pair.b.session.readStart();
  pair.b.tasks.shift()!();
  assert.ok(pair.b.receivedBytes <= 262_144 + 16_384);
  pair.settle();
  checkComplete(pair.b);
});

test('payloads are copied where no memory is to be had for other buffers', () => {
  const pair = Pair.negotiated({ ...usual, copyMax: 100 });
  pair.b.session.readStart();
  pair.b.outOfMemory = true;
  for (let i = 0; i < 200; i++) {
    pair.a.write(101 + i);
    pair.settle();
  }
  checkComplete(pair.b);
});

test('payloads above the bound are handed over and their memory is never written again', () => {
  const pair = Pair.negotiated({ ...usual, copyMax: 100 });
  pair.b.session.readStart();
  for (let i = 0; i < 200; i++) {
    pair.a.write(101 + i);
    pair.settle();
  }
  assert.ok(
    pair.b.received.every(
      (chunk) => chunk.buffer.byteLength <= HEADER_SIZE + 4096 + 64 || chunk.byteOffset >= HEADER_SIZE,
    ),
  );
  checkComplete(pair.b);
});
