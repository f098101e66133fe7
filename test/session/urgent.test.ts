/** Urgent data in the session: it keeps its place in the stream, and its mark arrives there. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HEADER_SIZE, TYPE_DATA, URGENT_MAX } from '../../src/session/index.js';
import { choices, numRuns, Pair, pairOptions } from './support.js';

type Act = ['write' | 'urgent' | 'step', number] | ['pause' | 'resume', number];

const script = fc.array(
  fc.oneof(
    fc.tuple(fc.constant<'write'>('write'), fc.integer({ min: 1, max: 20_000 })),
    fc.tuple(fc.constant<'urgent'>('urgent'), fc.integer({ min: 1, max: URGENT_MAX })),
    fc.tuple(fc.constant<'step'>('step'), fc.integer({ min: 1, max: 10 })),
    fc.tuple(fc.constantFrom<'pause' | 'resume'>('pause', 'resume'), fc.constant(0)),
  ),
  { maxLength: 60 },
) as fc.Arbitrary<Act[]>;

test('WSD-OOB-2, WSD-OOB-7: bytes keep their order, and the last mark always arrives at its place', () => {
  let marks = 0;
  const property = fc.property(pairOptions, script, fc.integer(), (options, acts, seed) => {
    const random = choices(seed);
    const pair = Pair.negotiated(options);
    const { a, b } = pair;
    for (const [act, size] of acts) {
      if (act === 'write') pair.a.write(size);
      else if (act === 'urgent') pair.a.writeUrgent(size);
      else if (act === 'pause') pair.b.session.readStop();
      else if (act === 'resume') pair.b.session.readStart();
      else for (let i = 0; i < size; i++) pair.step(random());
    }
    pair.b.session.readStart();
    pair.settle(random);
    assert.equal(b.receivedBytes, a.writtenBytes);
    b.checkReceived();
    a.checkWrites();
    // Marks may be replaced by later ones, but none is moved or made up.
    for (const position of b.urgentReceived) assert.ok(a.urgentWritten.includes(position), `at ${position}`);
    assert.deepEqual(
      b.urgentReceived,
      [...new Set(b.urgentReceived)].sort((x, y) => x - y),
    );
    assert.equal(b.urgentReceived.at(-1), a.urgentWritten.at(-1));
    assert.equal(b.times('violation') + a.times('violation'), 0);
    marks += b.urgentReceived.length;
  });
  fc.assert(property, { numRuns });
  assert.ok(marks > 0);
});

test('WSD-OOB-2: urgent data is a message with payload, like other data', () => {
  const pair = Pair.negotiated();
  pair.b.session.readStart();
  pair.a.writeUrgent(3);
  const [message] = pair.b.inbox as Uint8Array[];
  assert.equal(message!.length, HEADER_SIZE + 3);
  assert.equal(message![0], TYPE_DATA);
  pair.settle();
  assert.deepEqual(pair.b.urgentReceived, [3]);
  pair.a.write(3);
  pair.settle();
  assert.deepEqual([pair.b.urgentReceived, pair.b.receivedBytes], [[3], 6]);
});

test('urgent data counts as written like other data: after the end it is refused, and credit holds it back', () => {
  const pair = Pair.negotiated();
  for (let i = 0; i < 20; i++) pair.a.writeUrgent(4096);
  assert.ok(pair.a.messagesSent < 20);
  assert.ok(pair.a.session.writeQueueSize > 0);
  pair.b.session.readStart();
  pair.settle();
  pair.b.checkReceived();
  assert.equal(pair.b.urgentReceived.at(-1), 20 * 4096);
  pair.a.checkWrites();
  pair.a.shutdown();
  pair.a.writeUrgent(1);
  pair.settle();
  assert.deepEqual(pair.a.writes.at(-1)!.results, [10058]);
});
