/** Overlapped operations, limits, and what providers may call (sections 12, 19 and 21 of the digest). */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type EventObject,
  FD_ACCEPT,
  FD_CONNECT,
  INVALID_SOCKET,
  type Out,
  OVERLAPPED_POLL,
  SOCKET_ERROR,
  WSA_IO_INCOMPLETE,
  WSAEINVAL,
  WSAENOBUFS,
  WSAENOTSOCK,
  WSAOVERLAPPED,
  type WSPUPCALLTABLEEX,
  WSS_OPERATION_IN_PROGRESS,
} from '../../src/spi/index.js';
import { Upcalls } from '../../src/switch/upcalls.js';
import { messagesOf, offerIn } from './messages.js';
import { Bench, type Knobs, Stage } from './stage.js';
import { at, Program } from './support.js';

const memories: readonly Knobs[] = [{ providerMemory: true }, { providerMemory: false }];

/** Both ends send, finish and close. */
function busy(knobs: Knobs): Bench {
  const bench = new Bench(knobs);
  const { mine, theirs } = bench.pair();
  for (const { connection } of [mine, theirs]) {
    connection.write(Buffer.alloc(100_000), () => {});
    connection.shutdown(() => {});
  }
  bench.stage.until(() => mine.told.length + theirs.told.length === 2, 'both have ended');
  assert.deepEqual([mine.bytes.length, theirs.bytes.length], [100_000, 100_000]);
  for (const { connection } of [mine, theirs]) connection.close();
  bench.stage.settle();
  return bench;
}

test('WSD-OVL-1 every send and receive has an overlapped record and no completion routine [simulated]', () => {
  for (const knobs of memories) {
    const bench = busy(knobs);
    for (const { log } of [bench.client, bench.server]) {
      const calls = [...log.of('WSPSend'), ...log.of('WSPRecv')];
      assert.ok(calls.length > 20);
      for (const { args } of calls) {
        assert.ok(args[5] instanceof WSAOVERLAPPED);
        assert.deepEqual([args[6], args[7]], [null, null]);
      }
    }
  }
});

test('WSD-OVL-7 sends are in poll mode, and the switch asks for the result of those that are pending [simulated]', () => {
  for (const knobs of memories) {
    const bench = busy({ ...knobs, immediateSends: false });
    for (const { log } of [bench.client, bench.server]) {
      const sends = log.of('WSPSend');
      assert.ok(sends.length > 1 && sends.every(({ hEvent }) => (hEvent & OVERLAPPED_POLL) === OVERLAPPED_POLL));
      const told = new Set(log.of('WPUCompleteOverlappedRequest').map(({ args }) => args[1]));
      assert.ok(
        sends.every(({ args }) => !told.has(args[5])),
        'nothing is told of them',
      );
      if (knobs.providerMemory) continue;
      const polled = log.of('WSPGetOverlappedResult');
      assert.ok(polled.length > 0);
      assert.ok(
        polled.every(({ args }) => args[3] === false),
        'it does not wait',
      );
    }
  }
});

test('WSD-OVL-9 receives are in notify mode [simulated]', () => {
  for (const knobs of memories) {
    const bench = busy(knobs);
    for (const { log } of [bench.client, bench.server]) {
      const receives = log.of('WSPRecv');
      assert.ok(receives.length > 8 && receives.every(({ hEvent }) => (hEvent & OVERLAPPED_POLL) === 0));
    }
  }
});

test('WSD-OVL-11 a completion reaches the connection whose operation it is [simulated]', () => {
  const bench = new Bench();
  const listening = bench.server.listen(bench.name);
  const texts = ['first', 'second', 'third'];
  const mine = texts.map((text) => {
    const { outcome } = bench.connected();
    outcome.connection!.write(Buffer.from(text), () => {});
    return new Program(outcome.connection!);
  });
  bench.stage.until(() => listening.accepted.length === 3, 'all are accepted');
  const theirs = listening.accepted.map((connection) => new Program(connection));
  bench.stage.settle();
  assert.deepEqual(theirs.map(({ bytes }) => bytes.toString()).sort(), [...texts].sort());
  for (const program of theirs) program.connection.write(Buffer.from(`${program.bytes} again`), () => {});
  bench.stage.settle();
  assert.deepEqual(
    mine.map(({ bytes }) => bytes.toString()),
    texts.map((text) => `${text} again`),
  );
});

test('WSD-OVL-11 a send whose buffer is still in use keeps it, and another one gets another [simulated]', () => {
  const bench = new Bench({ providerMemory: false, immediateSends: false });
  const { mine, theirs } = bench.pair();
  const running = new Map<object, string>();
  bench.client.tap.override('WSPSend', (inner, ...args) => {
    const [, [buffer], , , , overlapped] = args;
    for (const [record, place] of running) {
      if ((record as WSAOVERLAPPED).Internal !== WSS_OPERATION_IN_PROGRESS) running.delete(record);
      else assert.notEqual(place, `${buffer!.offset}`, 'not the memory of a send that runs');
    }
    assert.ok(!running.has(overlapped), 'nor its record');
    running.set(overlapped, `${buffer!.offset}`);
    return inner(...args);
  });
  const bytes = Buffer.from(Array.from({ length: 5000 }, (_, i) => i));
  for (let i = 0; i < 20; i++) mine.connection.write(bytes, () => {});
  bench.stage.settle();
  assert.ok(theirs.bytes.equals(Buffer.concat(new Array<Buffer>(20).fill(bytes))));
});

test('WSD-OVL-7 a pending send is not over before WSPGetOverlappedResult says so [simulated]', () => {
  const bench = new Bench({ providerMemory: false, immediateSends: false });
  const { mine } = bench.pair();
  bench.client.tap.fail('WSPGetOverlappedResult', WSA_IO_INCOMPLETE);
  const places = new Set<number>();
  const from = bench.client.log.of('WSPSend').length;
  for (let i = 0; i < 5; i++) mine.connection.write(Buffer.from('x'), () => {});
  bench.stage.settle();
  const sends = bench.client.log.of('WSPSend').slice(from);
  for (const { buffers } of sends) places.add(buffers[0]!.offset);
  assert.deepEqual([sends.length, places.size], [5, 5]);
});

// ---- what providers call

/** The table that a provider is given. */
function upcalls(): { table: WSPUPCALLTABLEEX; errno: Out<number> } {
  return { table: new Upcalls().table, errno: { value: 0 } };
}

test('WSD-OVL-15 WPUCompleteOverlappedRequest sets InternalHigh, and Internal after it', () => {
  const { table, errno } = upcalls();
  const handle = table.WPUCreateSocketHandle(1, null, errno);
  assert.ok(handle !== INVALID_SOCKET);
  const order: string[] = [];
  class Watched extends WSAOVERLAPPED {}
  const overlapped = new Watched();
  for (const name of ['Internal', 'InternalHigh'] as const) {
    let current = WSS_OPERATION_IN_PROGRESS;
    Object.defineProperty(overlapped, name, {
      get: () => current,
      set: (value: number) => {
        order.push(name);
        current = value;
      },
    });
  }
  assert.equal(table.WPUCompleteOverlappedRequest(handle, overlapped, 0, 42, errno), 0);
  assert.deepEqual(order, ['InternalHigh', 'Internal']);
  assert.equal(overlapped.InternalHigh, 42);
  assert.notEqual(overlapped.Internal, WSS_OPERATION_IN_PROGRESS);
});

test('WSD-OVL-24 a completion for a handle that is none is WSAEINVAL, for any other it is 0', () => {
  const { table, errno } = upcalls();
  const handle = table.WPUCreateSocketHandle(1, null, errno);
  assert.ok(handle !== INVALID_SOCKET);
  const foreign = upcalls().table.WPUCreateSocketHandle(1, null, errno);
  assert.ok(foreign !== INVALID_SOCKET);
  const complete = (s: typeof handle): number => {
    errno.value = 0;
    return table.WPUCompleteOverlappedRequest(s, new WSAOVERLAPPED(), 0, 0, errno);
  };
  assert.equal(complete(handle), 0);
  for (const none of [{ spi: 'SwitchHandle' }, { spi: 'ProviderSocket' }] as never[]) {
    assert.deepEqual([complete(none), errno.value], [SOCKET_ERROR, WSAEINVAL]);
  }
  table.WPUCloseSocketHandle(handle, errno);
  assert.deepEqual([complete(handle), errno.value], [SOCKET_ERROR, WSAEINVAL], 'nor is one that is closed');
});

/** Names of WSPUPCALLTABLEEX, in its order. */
const upcallNames = [
  ...['WPUCloseEvent', 'WPUCloseSocketHandle', 'WPUCreateEvent', 'WPUCreateSocketHandle', 'WPUFDIsSet'],
  ...['WPUGetProviderPath', 'WPUModifyIFSHandle', 'WPUPostMessage', 'WPUQueryBlockingCallback'],
  ...['WPUQuerySocketHandleContext', 'WPUQueueApc', 'WPUResetEvent', 'WPUSetEvent', 'WPUOpenCurrentThread'],
  ...['WPUCloseThread', 'WPUCompleteOverlappedRequest'],
];

test('WSD-THR-5 WSD-THR-6 WSPStartupEx gets the 16 up-calls in their order, the completion last', () => {
  const host = new Stage().host([['10.1.0.2/24']]);
  host.connect(at('10.1.0.9', 80));
  const table = host.tap.upcalls!;
  assert.deepEqual(Object.keys(table), upcallNames);
  assert.equal(Object.keys(table).at(-1), 'WPUCompleteOverlappedRequest');
  assert.ok(Object.values(table).every((upcall) => typeof upcall === 'function'));
});

test('WSD-THR-8 WPUCreateSocketHandle makes a new handle that remembers its context, or fails with WSAENOBUFS', () => {
  const { table, errno } = upcalls();
  const contexts = [{ a: 1 }, 'text', 7];
  const handles = contexts.map((context) => table.WPUCreateSocketHandle(1, context, errno));
  assert.equal(new Set(handles).size, 3);
  const context: Out<unknown> = { value: null };
  for (const [i, handle] of handles.entries()) {
    assert.ok(handle !== INVALID_SOCKET);
    assert.equal(table.WPUQuerySocketHandleContext(handle, context, errno), 0);
    assert.equal(context.value, contexts[i]);
  }
  let last = handles[0]!;
  for (let i = 0; i < 2_000_000 && last !== INVALID_SOCKET; i++) last = table.WPUCreateSocketHandle(1, null, errno);
  assert.deepEqual([last, errno.value], [INVALID_SOCKET, WSAENOBUFS]);
  table.WPUCloseSocketHandle(handles[0] as never, errno);
  assert.notEqual(table.WPUCreateSocketHandle(1, null, errno), INVALID_SOCKET, 'one that is closed makes room');
});

test('WSD-THR-9 closing and querying are WSAENOTSOCK for what is no handle, and closing asks nothing of the provider', () => {
  const { table, errno } = upcalls();
  const handle = table.WPUCreateSocketHandle(1, 'context', errno);
  assert.ok(handle !== INVALID_SOCKET);
  const query = (s: typeof handle) => table.WPUQuerySocketHandleContext(s, { value: null }, errno);
  const none = { spi: 'SwitchHandle' } as const;
  for (const ask of [query, (s: typeof handle) => table.WPUCloseSocketHandle(s, errno)]) {
    errno.value = 0;
    assert.deepEqual([ask(none), errno.value], [SOCKET_ERROR, WSAENOTSOCK]);
  }
  assert.equal(table.WPUCloseSocketHandle(handle, errno), 0);
  for (const ask of [query, (s: typeof handle) => table.WPUCloseSocketHandle(s, errno)]) {
    errno.value = 0;
    assert.deepEqual([ask(handle), errno.value], [SOCKET_ERROR, WSAENOTSOCK], 'it is gone');
  }
  const bench = new Bench();
  bench.pair();
  const created = bench.client.log.of('WPUCreateSocketHandle').at(-1)!.result;
  const calls = bench.client.log.calls.length;
  bench.client.tap.upcalls!.WPUCloseSocketHandle(created as never, errno);
  assert.equal(bench.client.log.calls.length, calls, 'the provider is not asked for anything');
});

// ---- limits and events

test('WSD-EVT-2 nothing but FD_ACCEPT and FD_CONNECT is selected at a provider [simulated]', () => {
  const bench = busy({});
  const selected = [bench.server, bench.client].map(({ log }) => log.of('WSPEventSelect').map(({ args }) => args[2]));
  assert.deepEqual(selected, [[FD_ACCEPT], [FD_CONNECT]]);
});

test('WSD-LIM-6 event objects have handles whose bit 0 is clear', () => {
  const bench = busy({});
  const events = [bench.server, bench.client].flatMap(({ log }) =>
    log.of('WSPEventSelect').map(({ args }) => args[1] as EventObject),
  );
  const { table, errno } = upcalls();
  for (let i = 0; i < 3; i++) events.push(table.WPUCreateEvent(errno)!);
  assert.equal(new Set(events.map(({ handle }) => handle)).size, 5);
  for (const { handle } of events) assert.equal(handle & 1, 0);
});

test('WSD-LIM-2 WSD-XFR-8 no message is larger than SO_MAX_MSG_SIZE of the provider [simulated]', () => {
  for (const messageSizeMax of [2048, 5000, 131_072]) {
    const bench = busy({ messageSizeMax });
    for (const { log } of [bench.client, bench.server]) {
      const sizes = log.of('WSPSend').map(({ buffers }) => buffers.reduce((sum, { len }) => sum + len, 0));
      assert.ok(Math.max(...sizes) <= messageSizeMax);
      assert.ok(Math.max(...sizes) > messageSizeMax / 10, 'though the limit is made use of');
    }
  }
});

test('WSD-LIM-4 WSD-NEG-7 posted buffers take the largest message that the peer may send [simulated]', () => {
  for (const knobs of memories) {
    const bench = new Bench(knobs);
    const messages = [messagesOf(bench.client.tap), messagesOf(bench.server.tap)];
    const { mine, theirs } = bench.pair();
    for (const { connection } of [mine, theirs]) connection.write(Buffer.alloc(300_000), () => {});
    bench.stage.until(() => mine.bytes.length === 300_000 && theirs.bytes.length === 300_000, 'all arrives');
    for (const [i, { log }] of [bench.client, bench.server].entries()) {
      const smallest = Math.min(...log.of('WSPRecv').flatMap(({ buffers }) => buffers.map(({ len }) => len)));
      const header = messages[i]![0]!.size - messages[i]![0]!.payload.length;
      assert.ok(smallest >= offerIn(messages[i]![0]!).payloadSize + header, 'as large as was promised');
      assert.ok(
        messages[1 - i]!.every(({ size }) => size <= smallest),
        'and nothing larger comes',
      );
    }
  }
});

// ---- providers that do it in the other permitted way, or wrongly

test('WSD-OVL-5 WSD-OVL-11 receives that complete inside WSPRecv are taken in their order [simulated]', () => {
  const bench = new Bench();
  const { mine, theirs } = bench.pair();
  const { tap } = bench.server;
  const held: (() => void)[] = [];
  let holding = true;
  tap.overrideUpcall('WPUCompleteOverlappedRequest', (inner, ...args) => {
    if (!holding) return inner(...args);
    held.push(() => inner(...args));
    return 0;
  });
  const texts = Array.from({ length: 6 }, (_, i) => `message ${i};`);
  for (const text of texts) mine.connection.write(Buffer.from(text), () => {});
  bench.stage.settle();
  assert.equal(held.length, 6);
  // The first one comes as usual; while its buffer is posted again the provider tells of the others.
  holding = false;
  const [first, ...others] = held;
  tap.override('WSPRecv', (inner, ...args) => {
    const result = inner(...args);
    for (const tell of others.splice(0)) tell();
    return result;
  });
  first!();
  bench.stage.settle();
  assert.equal(theirs.bytes.toString(), texts.join(''));
  mine.connection.write(Buffer.from('and on'), () => {});
  bench.stage.settle();
  assert.ok(theirs.bytes.toString().endsWith('and on'));
  assert.deepEqual(theirs.told, []);
});

test('WSD-THR-7 a socket for which the provider asks no handle is closed, and TCP/IP goes on [simulated]', () => {
  const host = new Stage().host([['10.1.0.2/24']]);
  host.connect(at('192.168.7.7', 80));
  host.log.clear();
  // It makes a handle of its own.
  host.tap.overrideUpcall('WPUCreateSocketHandle', () => ({ spi: 'SwitchHandle' }));
  assert.ok(host.connect(at('10.1.0.9', 80), at('10.1.0.2', 50_001)).outcome.fellBack);
  const [socket] = host.log.of('WSPSocket');
  assert.deepEqual(
    host.log.names(socket!.result as object).filter((fn) => fn.startsWith('WSP')),
    ['WSPSocket', 'WSPCloseSocket'],
  );
  const bench = new Bench();
  const listening = bench.server.listen(bench.name);
  bench.server.tap.overrideUpcall('WPUCreateSocketHandle', () => ({ spi: 'SwitchHandle' }));
  bench.connect();
  bench.stage.settle();
  assert.equal(listening.accepted.length, 0);
  assert.ok(bench.server.decisions.includes('provider-error'));
  assert.ok(bench.server.log.names(bench.serverSocket).includes('WSPCloseSocket'));
});

test('WSD-LIM-2 a provider whose messages are too small for a session is left out, and released', () => {
  const host = new Stage().host([['10.1.0.2/24']], { messageSizeMax: 512 });
  assert.ok(host.connect(at('10.1.0.9', 80)).outcome.fellBack);
  assert.equal(host.log.of('WSPCleanup', host.tap.name).length, 1);
  assert.equal(host.log.of('WSPConnect', host.tap.name).length, 0);
});
