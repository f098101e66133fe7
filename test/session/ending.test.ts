/** How sessions end: half-close, close, reset, and the loss of what is below. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  WSA_OPERATION_ABORTED,
  WSAECONNABORTED,
  WSAECONNRESET,
  WSAENOTCONN,
  WSAESHUTDOWN,
} from '../../src/spi/index.js';
import { acts, choices, numRuns, Pair, pairOptions, perform, usual } from './support.js';

test('WSD-CLS-1 a half-close ends one direction after everything written, and the other one goes on', () => {
  const property = fc.property(pairOptions, acts(), acts(), fc.integer(), (options, before, after, seed) => {
    const random = choices(seed);
    const pair = Pair.negotiated(options);
    const { a, b } = pair;
    perform(pair, before, random);
    a.shutdown();
    a.write(10);
    perform(
      pair,
      after.filter(([which, act]) => which === 1 || act.kind !== 'write'),
      random,
    );
    for (const side of pair.sides) side.session.readStart();
    pair.settle(random);
    assert.deepEqual(a.shutdowns, [0]);
    assert.deepEqual(a.writes.at(-1)?.results, [WSAESHUTDOWN]);
    // The write after the shutdown is none.
    a.writtenBytes -= 10;
    assert.equal(b.receivedBytes, a.writtenBytes);
    assert.deepEqual([b.events, a.events], [['negotiated', 'end'], ['negotiated']]);
    b.shutdown();
    pair.settle(random);
    assert.equal(a.receivedBytes, b.writtenBytes);
    for (const side of pair.sides) {
      side.checkReceived();
      side.checkWrites();
      assert.equal(side.times('end'), 1);
      assert.equal(side.times('finished'), 1, 'the companion goes once both directions have ended');
    }
  });
  fc.assert(property, { numRuns });
});

test('WSD-CLS-1 the end of sending is told even when no credit is left for data', () => {
  const pair = Pair.negotiated();
  pair.a.write(1_000_000);
  pair.a.shutdown();
  pair.b.shutdown();
  pair.settle();
  assert.deepEqual([pair.a.shutdowns, pair.b.shutdowns], [[], [0]], "a's end comes after its data, b's at once");
  pair.b.session.readStart();
  pair.a.session.readStart();
  pair.settle();
  assert.equal(pair.b.receivedBytes, 1_000_000);
  assert.deepEqual([pair.a.shutdowns, pair.b.shutdowns], [[0], [0]]);
  assert.deepEqual(
    [pair.a.events, pair.b.events].map((events) => [...events].sort()),
    [
      ['end', 'finished', 'negotiated'],
      ['end', 'finished', 'negotiated'],
    ],
  );
});

test('whatever the programs do, every write and shutdown is answered once, and the end is told once', () => {
  const property = fc.property(
    pairOptions,
    acts('shutdown', 'close', 'reset'),
    fc.integer(),
    (options, script, seed) => {
      const random = choices(seed);
      const pair = Pair.negotiated(options);
      const shutdowns = [0, 0];
      const closed = new Set<number>();
      for (const [which, act] of script) {
        if (act.kind === 'shutdown') shutdowns[which]!++;
        if (act.kind === 'close' || act.kind === 'reset') closed.add(which);
        perform(pair, [[which, act]], random);
      }
      for (const side of pair.sides) side.session.readStart();
      pair.settle(random);
      for (const which of [0, 1] as const) {
        if (closed.has(which)) continue;
        pair.sides[which].shutdown();
        shutdowns[which]!++;
      }
      pair.settle(random);
      for (const side of pair.sides) side.session.close();
      pair.settle(random);
      pair.sides.forEach((side, which) => {
        assert.equal(side.companionOpen, false, 'the connection has ended');
        assert.equal(side.times('violation'), 0);
        assert.ok(side.times('finished') <= 1);
        assert.ok(side.times('end') + side.times('error') <= 1);
        if (!closed.has(which)) assert.ok(side.ended, 'a program that reads is told the end');
        side.checkReceived();
        side.checkWrites();
        assert.equal(side.shutdowns.length, shutdowns[which]);
      });
    },
  );
  fc.assert(property, { numRuns: 3 * numRuns });
});

test('WSD-CLS-5 close sends what is unsent in the background', () => {
  const pair = Pair.negotiated();
  const { a, b } = pair;
  a.write(500_000);
  a.write(3);
  a.session.close();
  assert.deepEqual(
    a.writes.map(({ results }) => results),
    [[0], [0]],
    'the program has its memory back',
  );
  pair.settle();
  assert.ok(a.companionOpen, 'the companion stays while bytes are unsent');
  b.session.readStart();
  pair.settle();
  assert.equal(b.receivedBytes, 500_003);
  b.checkReceived();
  assert.deepEqual(b.events, ['negotiated', 'end']);
  b.session.close();
  pair.settle();
  assert.deepEqual([a.companionOpen, b.companionOpen], [false, false]);
  assert.equal(a.times('finished'), 1);
});

test('close with unread bytes is a reset, as with TCP', () => {
  const pair = Pair.negotiated();
  const { a, b } = pair;
  b.session.readStart();
  a.write(100);
  b.write(100);
  pair.settle();
  a.session.close();
  assert.deepEqual(a.events, ['negotiated', 'finished']);
  pair.settle();
  assert.equal(b.receivedBytes, 100);
  assert.deepEqual(b.events, ['negotiated', `error ${WSAECONNRESET}`]);
});

test('close with bytes still on the way to it is a reset for the peer, also if the peer has not read', () => {
  const pair = Pair.negotiated();
  const { a, b } = pair;
  b.session.readStart();
  a.session.readStart();
  b.write(100);
  a.session.close();
  pair.settle();
  assert.deepEqual(b.events, ['negotiated', 'finished', `error ${WSAECONNRESET}`]);
});

test('close after everything was taken is an end, not a reset', () => {
  const pair = Pair.negotiated();
  const { a, b } = pair;
  b.session.readStart();
  a.session.readStart();
  b.write(100);
  pair.settle();
  a.session.close();
  pair.settle();
  assert.deepEqual(b.events, ['negotiated', 'end']);
});

test('data for a closed session is answered with a reset', () => {
  const pair = Pair.negotiated();
  const { a, b } = pair;
  a.write(50_000);
  a.shutdown();
  a.session.close();
  pair.settle();
  b.session.readStart();
  b.write(1);
  pair.settle();
  assert.equal(a.companionOpen, false);
  assert.equal(a.receivedBytes, 0);
  assert.equal(a.shutdowns.length, 1);
  assert.deepEqual(b.events, ['negotiated', `error ${WSAECONNRESET}`]);
});

test('WSD-CLS-5 reset loses what is unsent and the peer gets WSAECONNRESET', () => {
  const pair = Pair.negotiated();
  const { a, b } = pair;
  a.write(200_000);
  a.shutdown();
  a.session.reset();
  b.session.readStart();
  pair.settle();
  assert.deepEqual(a.writes[0]?.results, [WSA_OPERATION_ABORTED]);
  assert.deepEqual(a.shutdowns, [WSA_OPERATION_ABORTED]);
  assert.ok(b.receivedBytes < 200_000);
  b.checkReceived();
  assert.deepEqual(b.events, ['negotiated', `error ${WSAECONNRESET}`]);
  assert.equal(a.times('finished'), 1);
});

test('after close and reset writes and shutdowns fail, in a later turn', () => {
  for (const end of ['close', 'reset'] as const) {
    const pair = Pair.negotiated();
    pair.a.session[end]();
    pair.a.write(5);
    pair.a.write(5, 6);
    pair.a.shutdown();
    pair.settle();
    assert.deepEqual(
      pair.a.writes.map(({ results }) => results),
      [[WSA_OPERATION_ABORTED], [WSA_OPERATION_ABORTED]],
    );
    assert.equal(pair.a.shutdowns.length, 1);
    assert.notEqual(pair.a.shutdowns[0], 0);
  }
});

test('a second shutdown is answered too', () => {
  const pair = Pair.negotiated();
  pair.a.write(200_000);
  pair.a.shutdown();
  pair.a.shutdown();
  pair.settle();
  assert.deepEqual(pair.a.shutdowns, [WSAESHUTDOWN]);
  pair.b.session.readStart();
  pair.settle();
  pair.a.shutdown();
  pair.settle();
  assert.deepEqual(pair.a.shutdowns, [WSAESHUTDOWN, 0, WSAESHUTDOWN]);
});

test('a lost connection delivers what has arrived, then the error, once', () => {
  const property = fc.property(
    acts(),
    fc.boolean(),
    fc.constantFrom(0, WSAECONNRESET),
    fc.integer(),
    (script, readFirst, error, seed) => {
      const random = choices(seed);
      const pair = Pair.negotiated();
      const { a, b } = pair;
      perform(pair, script, random);
      const arrived = b.session.bytesReceived;
      if (readFirst) b.session.readStart();
      b.companionOpen = false;
      b.session.lost(error);
      b.session.lost(error);
      if (!readFirst) {
        pair.settle(random);
        b.session.readStart();
      }
      pair.settle(random);
      assert.equal(b.receivedBytes, arrived);
      b.checkReceived();
      b.checkWrites();
      assert.deepEqual(b.events, ['negotiated', error === 0 ? 'end' : `error ${error}`]);
      const waiting = b.writes.filter(({ results }) => results.length > 0 && results[0] !== 0);
      assert.ok(waiting.every(({ results }) => results[0] === (error === 0 ? WSAESHUTDOWN : error)));
      b.shutdown();
      pair.settle(random);
      assert.deepEqual(b.shutdowns, [WSAENOTCONN]);
      assert.equal(a.times('violation'), 0);
    },
  );
  fc.assert(property, { numRuns });
});

test('a peer that dies is an end of data if it has read everything, else a reset', () => {
  const died = (unconsumed: number, prepare: (pair: Pair) => void): readonly string[] => {
    const pair = Pair.negotiated();
    prepare(pair);
    pair.a.companionOpen = false;
    pair.a.session.peerDied(unconsumed);
    pair.a.session.readStart();
    pair.settle();
    pair.a.checkWrites();
    return pair.a.events.slice(1);
  };
  assert.deepEqual(
    died(0, () => {}),
    ['end'],
  );
  assert.deepEqual(
    died(0, ({ a }) => a.write(5)),
    ['end'],
  );
  assert.deepEqual(
    died(1, ({ a }) => a.write(5)),
    [`error ${WSAECONNRESET}`],
  );
  // What was not taken is younger than all data: a message that only returns credits.
  const read = (pair: Pair): void => {
    pair.a.write(5);
    pair.settle();
    pair.a.session.readStart();
    pair.b.write(40_000);
    pair.settle();
  };
  assert.deepEqual(died(1, read), ['end']);
  assert.deepEqual(
    died(0, ({ a }) => a.write(1_000_000)),
    [`error ${WSAECONNRESET}`],
    'bytes are still queued',
  );
  const dead = new Pair(usual);
  dead.a.session.peerDied(0);
  assert.deepEqual(dead.a.events, [`error ${WSAECONNRESET}`], 'there was no session yet');
});

test('a write fails once the connection below refuses a buffer', () => {
  const pair = Pair.negotiated();
  pair.a.companionOpen = false;
  pair.a.write(5);
  pair.a.write(5, 5);
  pair.settle();
  pair.a.session.lost(WSAECONNABORTED);
  pair.settle();
  assert.notEqual(pair.a.writes[0]?.results[0], 0);
  assert.equal(pair.a.writes[0]?.results.length, 1);
});
