/** Large transfers: who says what when, what ends them, and what a session makes of wrong messages. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  DESCRIPTOR_SIZE_MAX,
  HEADER_SIZE,
  LARGE_FIELDS_SIZE,
  type LargeMethod,
  TYPE_FINISH,
  TYPE_GRANT,
  TYPE_LARGE,
  TYPE_READ,
  TYPE_WRITTEN,
  writeHeader,
} from '../../src/session/index.js';
import { WSA_OPERATION_ABORTED, WSAECONNRESET } from '../../src/spi/index.js';
import { Pair, type PairOptions, region, type Side, usual } from './support.js';

const methods: readonly LargeMethod[] = ['read', 'write'];
const payloadSize = 4096;
const threshold = 50_000;
/** Bytes of a block that go in its message. */
const first = payloadSize - LARGE_FIELDS_SIZE - DESCRIPTOR_SIZE_MAX;

function options(method: LargeMethod, more: Partial<PairOptions> = {}): PairOptions {
  const offer = { postedBuffers: 8, postedBuffersMax: 8, payloadSize, large: method };
  return { ...usual, offers: [offer, offer], largeThreshold: threshold, acceptMax: 1_000_000, ...more };
}

function typeOf(message: unknown): number {
  return (message as Uint8Array)[0]!;
}

function lengths(side: Side, call: string): number {
  return side.rdma.calls.filter((one) => one.startsWith(call)).reduce((sum, one) => sum + Number(one.split(' ')[1]), 0);
}

for (const method of methods) {
  test(`a block above the threshold goes by RDMA, one of that size in messages, method ${method}`, () => {
    const pair = Pair.negotiated(options(method));
    const { a, b } = pair;
    b.session.readStart();
    a.write(threshold);
    pair.settle();
    assert.deepEqual([a.rdma.calls, b.rdma.calls], [[], []]);
    a.write(threshold + 1);
    assert.deepEqual(b.inbox.map(typeOf), [TYPE_LARGE]);
    pair.settle();
    const moved = method === 'read' ? lengths(b, 'read') : lengths(a, 'write');
    assert.equal(moved, threshold + 1 - first);
    assert.equal(b.receivedBytes, 2 * threshold + 1);
    b.checkReceived();
    a.checkWrites();
  });

  test(`nothing overtakes a block, and the end of sending comes after it, method ${method}`, () => {
    const pair = Pair.negotiated(options(method));
    const { a, b } = pair;
    b.session.readStart();
    for (const size of [10, 200_000, 10, 300_000, 70_000, 1]) a.write(size);
    a.write(5, 400_000, 6);
    a.shutdown();
    pair.settle();
    assert.equal(b.receivedBytes, 970_032);
    b.checkReceived();
    a.checkWrites();
    assert.deepEqual([a.shutdowns, b.events], [[0], ['negotiated', 'end']]);
    assert.equal(a.session.bytesSent, 970_032);
  });

  test(`a very large block gets on in steps, method ${method}`, () => {
    const pair = Pair.negotiated(options(method));
    const { a, b } = pair;
    b.session.readStart();
    a.write(40_000_000);
    const sizes = new Set<number>();
    while (pair.step(0)) sizes.add(a.session.writeQueueSize);
    assert.ok(sizes.size >= 3, 'whoever watches the write sees it get on');
    assert.equal(b.receivedBytes, 40_000_000);
    b.checkReceived();
    assert.deepEqual(a.writes[0]?.results, [0]);
  });

  test(`of a block for a program that does not read only so much is moved, method ${method}`, () => {
    const pair = Pair.negotiated(options(method, { acceptMax: 100_000 }));
    const { a, b } = pair;
    a.write(5_000_000);
    pair.settle();
    const moved = b.session.bytesReceived;
    assert.ok(moved >= 100_000 && moved <= 100_000 + (1 << 20) + first, `${moved} bytes`);
    assert.deepEqual(a.writes[0]?.results, [], 'the write waits');
    // The other direction is not held up, nor is what a block needs to be told.
    a.session.readStart();
    b.write(10);
    b.write(200_000);
    pair.settle();
    assert.equal(a.receivedBytes, 200_010);
    b.session.readStart();
    pair.settle();
    assert.deepEqual(a.writes[0]?.results, [0]);
    assert.equal(b.receivedBytes, 5_000_000);
    b.checkReceived();
  });

  test(`a reset with a block under way gives the memory back, and the peer gets WSAECONNRESET, method ${method}`, () => {
    for (let steps = 0; steps < 12; steps++) {
      const pair = Pair.negotiated(options(method));
      const { a, b } = pair;
      b.session.readStart();
      a.write(500_000);
      for (let i = 0; i < steps; i++) pair.step(0);
      const done = a.writes[0]!.results.length > 0;
      if (steps % 2 === 0) a.session.reset();
      else a.session.close();
      if (!done) {
        assert.deepEqual(a.writes[0]?.results, [WSA_OPERATION_ABORTED]);
        assert.equal(a.rdma.exposed, null);
      }
      pair.settle();
      b.checkReceived();
      if (done) continue;
      assert.deepEqual(b.events, ['negotiated', `error ${WSAECONNRESET}`]);
      // The answer to all of it may be on the way.
      assert.ok(b.receivedBytes < 500_000 || method === 'read');
    }
  });

  test(`a receiver that closes with a block under way resets, method ${method}`, () => {
    for (let steps = 1; steps < 6; steps++) {
      const pair = Pair.negotiated(options(method));
      const { a, b } = pair;
      a.session.readStart();
      b.session.readStart();
      a.write(500_000);
      while (b.receivedBytes === 0) assert.ok(pair.step(0));
      for (let i = 0; i < steps; i++) pair.step(0);
      if (b.receivedBytes === 500_000) continue;
      b.session.close();
      pair.settle();
      // All of it may be written, and not be looked at.
      const complete = method === 'write' && a.writes[0]!.results[0] === 0;
      if (!complete) assert.deepEqual(a.writes[0]?.results, [WSAECONNRESET]);
      assert.ok(a.events.includes(`error ${WSAECONNRESET}`));
    }
  });

  test(`without memory for a block, on either side, the rest of it goes in messages, method ${method}`, () => {
    const failures = method === 'read' ? (['a expose', 'b read'] as const) : (['b grant', 'a write'] as const);
    for (const failure of failures) {
      for (const late of [false, true]) {
        const pair = Pair.negotiated(options(method));
        const { a, b } = pair;
        b.session.readStart();
        const [who, call] = failure.split(' ') as ['a' | 'b', 'expose' | 'read' | 'grant' | 'write'];
        if (!late) pair[who].rdma.failing.add(call);
        a.write(3_000_000);
        for (let i = 0; late && b.receivedBytes < 10_000; i++) assert.ok(i < 100 && pair.step(0));
        pair[who].rdma.failing.add(call);
        pair.settle();
        assert.deepEqual(a.writes[0]?.results, [0], failure);
        a.write(200_000);
        pair.settle();
        assert.equal(b.receivedBytes, 3_200_000);
        b.checkReceived();
        a.checkWrites();
        const calls = a.rdma.calls.length + b.rdma.calls.length;
        a.write(200_000);
        pair.settle();
        if (call !== 'expose' || !late)
          assert.equal(a.rdma.calls.length + b.rdma.calls.length, calls, 'not tried again');
      }
    }
  });

  test(`a process that ends while a block is under way still sends all of it, method ${method}`, () => {
    const pair = Pair.negotiated(options(method));
    const { a, b } = pair;
    b.session.readStart();
    a.write(700_000);
    a.write(30);
    pair.step(0);
    const told = a.writes.flatMap(({ results }) => results).length;
    const rest = [Buffer.from('and this')];
    a.session.endWithProcess(rest);
    // The program is gone: nothing of it runs any more, but its loop still looks for messages and completions.
    pair.settle();
    assert.equal(b.receivedBytes, 700_038);
    assert.equal(Buffer.concat(b.received).subarray(-8).toString(), 'and this');
    assert.ok(b.events.includes('end'));
    assert.equal(a.writes.flatMap(({ results }) => results).length, told, 'nobody is told any more');
  });

  test(`urgent data keeps its place among blocks, method ${method}`, () => {
    const pair = Pair.negotiated(options(method));
    const { a, b } = pair;
    b.session.readStart();
    a.write(100_000);
    a.writeUrgent(3);
    a.write(100_000);
    pair.settle();
    assert.equal(b.receivedBytes, 200_003);
    assert.deepEqual(b.urgentReceived, a.urgentWritten);
    b.checkReceived();
  });

  test(`a handler that throws loses nothing of a block, method ${method}`, () => {
    const pair = Pair.negotiated(options(method, { rdma: { readMax: 300_000, immediate: true } }));
    const { a, b } = pair;
    b.session.readStart();
    let thrown = 0;
    b.onChunk = () => {
      if (b.receivedBytes > 60_000 && thrown++ < 3) throw new Error('of the program');
    };
    a.write(900_000);
    a.write(5);
    for (let more = true; more; ) {
      try {
        more = pair.step(0);
      } catch (error) {
        assert.equal((error as Error).message, 'of the program');
      }
    }
    assert.ok(thrown > 3);
    assert.equal(b.receivedBytes, 900_005);
    b.checkReceived();
  });
}

test('a block in immediate reads does not hold up the loop: at most 1 MiB a turn', () => {
  const pair = Pair.negotiated(options('read', { rdma: { readMax: 65_536, immediate: true } }));
  const { a, b } = pair;
  b.session.readStart();
  a.write(5_000_000);
  let most = 0;
  for (let more = true, before = 0; more; before = b.receivedBytes) {
    more = pair.step(0);
    most = Math.max(most, b.receivedBytes - before);
  }
  assert.equal(b.receivedBytes, 5_000_000);
  assert.ok(most <= (1 << 20) + 65_536, `${most} bytes in one turn`);
});

function message(type: number, sequence: number, word3: number, payload: Uint8Array): Uint8Array {
  const { bytes, words } = region(HEADER_SIZE + payload.length);
  writeHeader(words, 0, type, 0, payload.length, sequence);
  words[3] = word3;
  bytes.set(payload, HEADER_SIZE);
  return bytes;
}

/** The fields of a large send, a descriptor, and a first portion of 8 bytes. */
function fields(descriptorLength: number, rest = 8): Uint8Array {
  const bytes = new Uint8Array(LARGE_FIELDS_SIZE + ((Math.max(0, descriptorLength) + 7) & ~7) + rest);
  new Int32Array(bytes.buffer)[0] = descriptorLength;
  // What the peer's RDMA calls its first descriptor.
  if (descriptorLength === 5) bytes.set([1, 1, 2, 3, 4], LARGE_FIELDS_SIZE);
  return bytes;
}

test('messages about large transfers that no correct peer sends end the connection', () => {
  const none = new Uint8Array(0);
  const cases: readonly [what: string, method: LargeMethod, type: number, word3: number, payload: Uint8Array][] = [
    ['no first portion', 'read', TYPE_LARGE, 100_000, fields(8, 0)],
    ['no fields', 'read', TYPE_LARGE, 100_000, none],
    ['no descriptor to read from', 'read', TYPE_LARGE, 100_000, fields(0)],
    ['a descriptor where this side does not read', 'write', TYPE_LARGE, 100_000, fields(8)],
    ['a descriptor that is too long', 'read', TYPE_LARGE, 100_000, fields(DESCRIPTOR_SIZE_MAX + 1)],
    ['a negative length of a descriptor', 'read', TYPE_LARGE, 100_000, fields(-8)],
    ['nothing beyond the first portion', 'read', TYPE_LARGE, 8, fields(8)],
    ['a negative amount', 'read', TYPE_LARGE, -5, fields(8)],
    ['too large an amount', 'read', TYPE_LARGE, 2 ** 30 + 1, fields(8)],
    ['an answer to nothing', 'read', TYPE_READ, 10, none],
    ['memory for nothing', 'write', TYPE_GRANT, 10, fields(8)],
    ['a write of nothing', 'write', TYPE_WRITTEN, 10, none],
  ];
  for (const [what, method, type, word3, payload] of cases) {
    const { b } = Pair.negotiated(options(method));
    b.inbox.push(message(type, 2, word3, payload));
    b.deliver();
    assert.equal(b.times('violation'), 1, what);
  }
  const plain = Pair.negotiated(usual);
  plain.b.inbox.push(message(TYPE_LARGE, 2, 100_000, fields(8)));
  plain.b.deliver();
  assert.equal(plain.b.times('violation'), 1, 'without an offer to take large sends');
});

test('wrong answers to a block, and data or an end before it is complete, end the connection', () => {
  const none = new Uint8Array(0);
  const left = 100_000 - first;
  const answers: readonly [LargeMethod, number, number, Uint8Array][] = [
    ['read', TYPE_READ, left + 1, none],
    ['read', TYPE_READ, -1, none],
    ['read', TYPE_GRANT, 10, fields(8)],
    ['write', TYPE_GRANT, left + 1, fields(8)],
    ['write', TYPE_GRANT, -1, fields(8)],
    ['write', TYPE_GRANT, 10, none],
    ['write', TYPE_READ, 10, none],
    ['read', TYPE_READ, 10, fields(8)],
  ];
  for (const [method, type, word3, payload] of answers) {
    const { a, b } = Pair.negotiated(options(method));
    a.write(100_000);
    a.inbox.push(message(type, b.messagesSent + 1, word3, payload));
    a.deliver();
    assert.equal(a.times('violation'), 1, `${type} ${word3}`);
    assert.deepEqual(a.writes[0]?.results, [WSAECONNRESET]);
    assert.equal(a.rdma.exposed, null);
  }
  for (const type of [TYPE_FINISH, TYPE_LARGE]) {
    const { a, b } = Pair.negotiated(options('read'));
    b.inbox.push(message(TYPE_LARGE, a.messagesSent + 1, 100_000, fields(5)));
    a.rdma.expose(Buffer.alloc(100_000));
    b.deliver();
    b.inbox.push(message(type, a.messagesSent + 2, 100_000, type === TYPE_LARGE ? fields(5) : none));
    b.deliver();
    assert.equal(b.times('violation'), 1, `${type}`);
  }
});
