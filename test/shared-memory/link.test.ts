/** The link between two event loops: connections on it, their beginning and end, waiting sends, and the end of the link. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { notify, poll } from '../../src/conformance/memory.js';
import { arenaLayout } from '../../src/providers/shared-memory/arena.js';
import {
  REFUSED_BY_SWITCH,
  REFUSED_NO_LISTENER,
  REFUSED_RESOURCES,
} from '../../src/providers/shared-memory/records.js';
import {
  WSA_OPERATION_ABORTED,
  WSAECONNABORTED,
  WSAECONNREFUSED,
  WSAECONNRESET,
  WSAENOBUFS,
  WSAETIMEDOUT,
  WSS_OPERATION_IN_PROGRESS,
} from '../../src/spi/index.js';
import { callee, caller, join, type Party } from './link-support.js';

const bytes = (length: number, value = 7): Buffer => Buffer.alloc(length, value);

test('a connect is asked, accepted, and carries messages both ways', () => {
  const { a, b, run } = join();
  const one = a.connect();
  assert.equal(b.requests.length, 0);
  run();
  const request = b.requests[0];
  assert.deepEqual([request?.callee, request?.caller], [callee, caller]);
  assert.ok(b.link.isPending(request!.id, request!.generation));
  const other = b.accept()!;
  assert.deepEqual(one.connects, [], 'the connector learns it in its own turn');
  run();
  assert.deepEqual(one.connects, [[0, null]]);
  one.post(2);
  other.post(2);
  for (const party of [one, other]) party.send(Buffer.from('to the other'));
  run();
  assert.deepEqual([one.received, other.received].map(String), ['to the other', 'to the other']);
  assert.deepEqual([a.link.connectionCount, b.link.connectionCount], [1, 1]);
});

test('WSD-ACC-24 a refusal ends the connect with the error of its cause', () => {
  for (const [cause, error, reason] of [
    [REFUSED_BY_SWITCH, WSAECONNREFUSED, 'refused'],
    [REFUSED_NO_LISTENER, WSAETIMEDOUT, 'no-listener'],
    [REFUSED_RESOURCES, WSAENOBUFS, 'resources-exhausted'],
  ] as const) {
    const { a, b, run } = join();
    const one = a.connect();
    run();
    const { id, generation } = b.requests[0]!;
    b.link.refuse(id, generation, cause);
    b.link.refuse(id, generation, cause);
    run();
    assert.deepEqual(one.connects, [[error, reason]]);
    assert.equal(a.link.connectionCount, 0);
    assert.deepEqual([a.ends, b.ends], [[], []]);
  }
});

test('a withdrawn request is never accepted, and an accepted one never withdrawn', () => {
  const { a, b, run } = join();
  const early = a.connect();
  run();
  assert.equal(early.connection.withdraw(), true);
  assert.equal(b.link.isPending(b.requests[0]!.id, b.requests[0]!.generation), false);
  assert.equal(b.accept(), null);
  const late = a.connect();
  run();
  const other = b.accept();
  assert.ok(other !== null);
  assert.equal(late.connection.withdraw(), false, 'the answer is on the way');
  run();
  assert.deepEqual([early.connects, late.connects], [[], [[0, null]]]);
  assert.deepEqual([a.link.connectionCount, b.link.connectionCount], [1, 1]);
});

test('WSD-CON-22 closing a connect that was accepted meanwhile closes the other side as well', () => {
  const { a, b, run } = join();
  const one = a.connect();
  run();
  const other = b.accept()!;
  other.post(2);
  one.connection.close();
  other.send(bytes(10));
  run();
  assert.deepEqual(one.connects, []);
  assert.deepEqual(
    other.completions.map(({ error }) => error),
    [WSAECONNRESET, WSAECONNRESET],
  );
  assert.deepEqual([a.link.connectionCount, b.link.connectionCount], [0, 0]);
  assert.deepEqual([a.ends, b.ends], [[], []]);
});

test('WSD-CLS-8 WSD-CLS-9 WSD-CLS-10 a close tears down both sides: own receives are aborted, those of the peer reset', () => {
  for (const closer of [0, 1] as const) {
    const joined = join();
    const parties = joined.connected();
    for (const party of parties) party.post(3);
    const [mine, theirs] = closer === 0 ? parties : [parties[1], parties[0]];
    mine.send(bytes(5));
    mine.connection.close();
    assert.deepEqual(
      mine.completions.map(({ error }) => error),
      [WSA_OPERATION_ABORTED, WSA_OPERATION_ABORTED, WSA_OPERATION_ABORTED],
    );
    joined.run();
    assert.deepEqual(
      theirs.completions.map(({ error }) => error),
      [0, WSAECONNRESET, WSAECONNRESET],
      'what was sent before arrives',
    );
    assert.ok(mine.completions.every((one) => one.bytes === 0));
    theirs.connection.close();
    joined.run();
    assert.equal(theirs.completions.length, 3, 'each operation completes once');
    assert.deepEqual([joined.a.link.connectionCount, joined.b.link.connectionCount], [0, 0]);
  }
});

test('closes of both sides at the same time meet and free the slot', () => {
  const { a, b, run, connected } = join();
  const parties = connected();
  for (const { connection } of parties) connection.close();
  run();
  assert.deepEqual([a.link.connectionCount, b.link.connectionCount, a.ends.length, b.ends.length], [0, 0, 0, 0]);
});

test('slots are used again with another generation, and stay apart', () => {
  const { a, b, run, connected } = join();
  const generations = new Map<number, Set<number>>();
  for (let round = 0; round < 50; round++) {
    const [one, other] = connected();
    const { id, generation } = one.connection;
    assert.ok(id < 4, 'a freed slot is used before a new one');
    const seen = generations.get(id) ?? new Set();
    assert.ok(!seen.has(generation));
    generations.set(id, seen.add(generation));
    one.post(1);
    other.send(Buffer.from(`round ${round}`));
    run();
    assert.deepEqual(one.received.map(String), [`round ${round}`]);
    (round % 2 === 0 ? one : other).connection.close();
    run();
  }
  // A stale answer to an old use of the slot must not reach its new one.
  const first = a.connect();
  run();
  const stale = b.requests.pop()!;
  assert.ok(first.connection.withdraw());
  const second = a.connect();
  assert.equal(second.connection.id, first.connection.id);
  b.link.refuse(stale.id, stale.generation, REFUSED_BY_SWITCH);
  run();
  assert.deepEqual(second.connects, []);
  assert.ok(b.accept() !== null);
  run();
  assert.deepEqual(second.connects, [[0, null]]);
});

test('both sides may initiate; their ids do not meet', () => {
  const { a, b, run } = join();
  const out = a.connect();
  const back = b.connect();
  run();
  const [toB, toA] = [b.accept()!, a.accept()!];
  run();
  for (const party of [out, back, toA, toB]) party.post(1);
  out.send(Buffer.from('1'));
  back.send(Buffer.from('2'));
  toA.send(Buffer.from('3'));
  toB.send(Buffer.from('4'));
  run();
  assert.deepEqual(
    [toB, toA, back, out].map(({ received }) => String(received)),
    ['1', '2', '3', '4'],
  );
});

/** Fills the ring towards the peer, whose loop takes no turn, until a send has to wait. */
function fill(party: Party): number {
  for (let sent = 1; ; sent++) if (!party.send(bytes(65_536, sent))) return sent;
}

test('WSD-OVL-22 sends that find no room wait, in order with everything behind them, and lose nothing', () => {
  const { run, connected, a } = join();
  const [one, other] = connected();
  other.post(400, 65_536);
  const sent = fill(one);
  for (let i = sent + 1; i <= 200; i++) assert.equal(one.send(bytes(10, i)), false, 'nothing overtakes');
  assert.equal(a.link.hasWaiting, true);
  run();
  assert.equal(a.link.hasWaiting, false);
  assert.deepEqual(
    other.received.map((chunk) => chunk[0]),
    Array.from({ length: 200 }, (_, i) => (i + 1) & 0xff),
  );
  assert.ok(other.received.every((chunk, i) => chunk.length === (i < sent ? 65_536 : 10)));
  assert.equal(one.send(bytes(10)), true);
});

test('WSD-OVL-10 WSD-OVL-8 a send that had to wait completes by up-call in notify mode, silently in poll mode', () => {
  const { run, connected } = join();
  const [one, other] = connected();
  other.post(400, 65_536);
  fill(one);
  const [told, polled] = [notify(), poll()];
  for (const overlapped of [told, polled]) {
    overlapped.OffsetHigh = 12_345;
    overlapped.Internal = WSS_OPERATION_IN_PROGRESS;
    assert.equal(one.send(bytes(100), overlapped), false);
  }
  assert.deepEqual([told.Internal, polled.Internal], [WSS_OPERATION_IN_PROGRESS, WSS_OPERATION_IN_PROGRESS]);
  run();
  assert.deepEqual(one.completions, [{ overlapped: told, error: 0, bytes: 100 }]);
  for (const overlapped of [told, polled]) {
    assert.deepEqual([overlapped.Internal, overlapped.InternalHigh, overlapped.OffsetHigh], [0, 100, 0]);
  }
});

test('WSD-OVL-23 a send that waits completes once, whatever ends first: the socket, the connection or the link', () => {
  for (const [end, error] of [
    ['close', WSA_OPERATION_ABORTED],
    ['peer', WSAECONNRESET],
    ['link', WSAECONNABORTED],
  ] as const) {
    const { a, b, run, connected } = join();
    const [one, other] = connected();
    other.post(400, 65_536);
    fill(one);
    const overlapped = [notify(), notify()];
    for (const each of overlapped) one.send(bytes(9), each);
    if (end === 'close') one.connection.close();
    else if (end === 'peer') {
      other.connection.close();
      a.link.poll();
    } else a.link.end('peer-gone');
    assert.deepEqual(
      one.completions,
      overlapped.map((each) => ({ overlapped: each, error, bytes: 0 })),
      end,
    );
    const before = other.received.length;
    run();
    assert.equal(one.completions.length, 2, end);
    assert.ok(end !== 'close' || other.received.length > before + 30, 'a graceful end above relies on what was sent');
    assert.equal(b.ends.length, 0);
  }
});

test('a program that is told of a completed send may send again, and close', () => {
  const { run, connected, a, b } = join();
  const [one, other] = connected();
  other.post(400, 65_536);
  fill(one);
  let again = 0;
  one.onCompletion = ({ overlapped }) => {
    if (++again < 5) one.send(bytes(20, 200 + again), overlapped);
    else one.connection.close();
  };
  one.send(bytes(20, 200), notify());
  run();
  const tail = other.received.filter(({ length }) => length === 20).map((chunk) => chunk[0]);
  assert.deepEqual(tail, [200, 201]);
  assert.equal(again, 1, 'the second send found room at once, and WSPSend tells that by its result');
  one.connection.close();
  run();
  assert.deepEqual([a.link.connectionCount, b.link.connectionCount], [0, 0]);
});

test('a consumer that falls asleep is woken once, and a producer that waits for room is woken when half is free', () => {
  const { a, b, run, connected } = join();
  const [one, other] = connected();
  other.post(500, 65_536);
  run();
  const { bells } = a.link.counters;
  one.send(bytes(1));
  one.send(bytes(1));
  assert.equal(a.link.counters.bells, bells + 1, 'one sleep costs one bell');
  run();
  assert.equal(other.received.length, 2);
  fill(one);
  a.rest();
  const before = b.link.counters.bells;
  b.turn();
  assert.equal(b.link.counters.bells, before, 'one turn does not make enough room');
  run();
  assert.equal(b.link.counters.bells, before + 1);
  assert.equal(a.link.hasWaiting, false);
});

test('what arrives between the last look and falling asleep is found: the link stays awake', () => {
  const { b, run, connected } = join();
  const [one, other] = connected();
  other.post(2);
  run();
  assert.equal(b.link.poll(), false);
  one.send(bytes(1));
  assert.equal(b.link.sleep(), false);
  assert.equal(b.link.poll(), true);
  assert.equal(b.link.sleep(), true);
});

test('what arrives before the other side has taken its first turn rings no bell and is found nevertheless', () => {
  const { a, b, run } = join();
  a.connect();
  run();
  assert.equal(b.requests.length, 1);
  assert.equal(a.link.counters.bells, 0);
});

test('the end of a peer delivers what it has sent, then aborts, and tells which messages it never took', () => {
  const { a, b, connected } = join();
  const [one, other] = connected();
  const [second, third] = connected();
  const open = a.connect();
  one.post(3);
  for (const party of [other, third]) party.post(3);
  one.send(bytes(1));
  one.send(bytes(2));
  second.send(bytes(3));
  b.link.poll();
  one.send(bytes(1));
  other.send(Buffer.from('last words'));
  for (let i = 0; i < 2; i++) second.send(bytes(3));
  a.link.end('peer-gone');
  assert.deepEqual(one.received.map(String), ['last words']);
  assert.deepEqual(
    one.completions.map(({ error }) => error),
    [0, WSAECONNABORTED, WSAECONNABORTED],
  );
  assert.deepEqual(
    [one, second].map(({ connection }) => connection.unconsumed),
    [1, 2],
  );
  assert.deepEqual(open.connects, [[WSAETIMEDOUT, 'peer-gone']]);
  assert.equal(one.connection.error, WSAECONNABORTED);
  assert.deepEqual(a.ends, ['peer-gone']);
  a.link.end('again');
  assert.deepEqual(a.ends, ['peer-gone']);
  assert.equal(a.link.connectionCount, 0);
});

test('messages that wait in memory count as never taken', () => {
  const { a, connected } = join();
  const [one] = connected();
  const sent = fill(one);
  one.send(bytes(5));
  a.link.end('peer-gone');
  assert.equal(one.connection.unconsumed, sent + 1);
});

test('WSD-NEG-8 WSD-NEG-9 a message before any buffer is posted is kept, and the connection with it', async () => {
  const { run, connected } = join();
  const [one, other] = connected();
  one.send(bytes(256, 42));
  run();
  assert.ok(other.connection.isConnected);
  other.post(2, 512);
  assert.deepEqual(other.completions, [], 'not before the call has returned');
  await new Promise(setImmediate);
  assert.deepEqual(other.received, [bytes(256, 42)]);
  one.send(bytes(4, 1));
  run();
  assert.equal(other.received.length, 2);
});

test('WSD-NEG-10 WSD-NEG-11 the kept message is the first, also if the next one arrives before it was handed over', async () => {
  const { run, connected } = join();
  const [one, other] = connected();
  one.send(bytes(24, 1));
  run();
  other.post(2);
  one.send(bytes(24, 2));
  run();
  await new Promise(setImmediate);
  assert.deepEqual(
    other.received.map((chunk) => chunk[0]),
    [1, 2],
  );
});

test('a peer that sends what no buffer can take loses this connection only', () => {
  const cases: Readonly<Record<string, (one: Party, other: Party) => void>> = {
    'two messages before a buffer': (one) => {
      one.send(bytes(10));
      one.send(bytes(10));
    },
    'a large message before a buffer': (one) => {
      one.send(bytes(257));
    },
    'a message larger than the buffer': (one, other) => {
      other.post(1, 64);
      one.send(bytes(65));
    },
  };
  for (const [name, act] of Object.entries(cases)) {
    const { a, b, run, connected } = join();
    const [one, other] = connected();
    const [good, peer] = connected();
    one.post(1);
    act(one, other);
    run();
    assert.equal(other.connection.error, WSAECONNRESET, name);
    assert.equal(other.connection.isConnected, false, name);
    assert.deepEqual(
      one.completions.map(({ error }) => error),
      [WSAECONNRESET],
      name,
    );
    peer.post(1);
    good.send(bytes(3));
    run();
    assert.equal(peer.received.length, 1, name);
    assert.deepEqual([a.ends, b.ends], [[], []], name);
    assert.deepEqual([a.link.connectionCount, b.link.connectionCount], [1, 1], name);
  }
});

test('a message is written into its buffer and nowhere behind it', () => {
  for (const length of [0, 1, 2, 3, 4, 5, 63, 94, 95, 96, 97, 99, 500]) {
    const { run, connected } = join();
    const [one, other] = connected();
    const overlapped = notify();
    const memory = new ArrayBuffer(1024);
    const buf = { bytes: new Uint8Array(memory).fill(0xaa), words: new Int32Array(memory) };
    other.connection.post({ len: length, buf, offset: 8 }, overlapped);
    one.send(bytes(length, 0x55));
    run();
    assert.equal(overlapped.InternalHigh, length);
    assert.ok(
      buf.bytes.every((byte, i) => byte === (i >= 8 && i < 8 + length ? 0x55 : 0xaa)),
      `${length} bytes`,
    );
  }
});

test('any number of receive buffers may be posted, and they fill in order', () => {
  const { run, connected } = join();
  const [one, other] = connected();
  other.post(3);
  for (let i = 0; i < 2; i++) one.send(bytes(1, i));
  run();
  other.post(300);
  for (let i = 2; i < 303; i++) one.send(bytes(1, i));
  run();
  assert.equal(other.connection.postedCount, 0);
  assert.deepEqual(
    other.received.map((chunk) => chunk[0]),
    Array.from({ length: 303 }, (_, i) => i & 0xff),
  );
});

test('a lie of the peer about its progress is no exception of whoever sends, and ends the link in the next turn', () => {
  const { a, words, connected } = join();
  const [one] = connected();
  one.post(2);
  fill(one);
  a.rest();
  const { sendTail } = arenaLayout(0);
  Atomics.store(words, sendTail >> 2, 12_345_678);
  assert.equal(one.send(bytes(9)), false);
  a.connect();
  const written = { buf: { bytes: bytes(100), words: new Int32Array(0) }, offset: 0, len: 100 };
  assert.equal(one.connection.transfers.start(false, [written], bytes(16), 0, notify()).ended, false);
  a.turn();
  assert.deepEqual(a.ends, ['tail out of bounds']);
  assert.deepEqual(
    one.completions.map(({ error }) => error),
    [WSAECONNABORTED, WSAECONNABORTED, WSAECONNABORTED],
  );
  const other = join();
  const [first] = other.connected();
  Atomics.store(other.words, sendTail >> 2, 12_345_678);
  for (let i = 0; i < 40; i++) first.send(bytes(65_536));
  first.connection.close();
  other.a.turn();
  assert.deepEqual(other.a.ends, ['tail out of bounds']);
});
