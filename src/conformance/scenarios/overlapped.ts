/** Overlapped operations: how they start, how their end is told, and that it is told once. */

import assert from 'node:assert/strict';
import {
  type ProviderSocket,
  WSA_IO_INCOMPLETE,
  WSA_IO_PENDING,
  WSAECONNRESET,
  WSAEFAULT,
  WSAEINVAL,
  WSAENOTCONN,
  WSAENOTSOCK,
  type WSAOVERLAPPED,
  WSS_OPERATION_IN_PROGRESS,
} from '../../spi/index.js';
import { buffer, notify, poll, text, unregistered } from '../memory.js';
import { connectedScenario, type Scenario, scenario } from '../scenario.js';

/** Messages of 100,000 bytes that may go out before a provider's wire is full. */
const sendsMax = 200;

/** Records every write to an overlapped record. */
function watched(overlapped: WSAOVERLAPPED, writes: string[]): WSAOVERLAPPED {
  const values = { ...overlapped };
  for (const field of ['Internal', 'InternalHigh', 'Offset', 'OffsetHigh', 'hEvent'] as const) {
    Object.defineProperty(overlapped, field, {
      get: () => values[field],
      set: (value: number) => {
        values[field] = value;
        writes.push(`${field}=${value}`);
      },
    });
  }
  return overlapped;
}

export const overlapped: readonly Scenario[] = [
  connectedScenario(
    'WSD-OVL-4 WSD-OVL-10 WSD-OVL-14 a receive is pending, and completes by up-call when its message has come',
    async (bench, mine, theirs) => {
      const { server } = bench;
      const { overlapped, at } = bench.posted(theirs);
      assert.equal(overlapped.Internal, WSS_OPERATION_IN_PROGRESS);
      assert.deepEqual(server.result(theirs, overlapped), [false, -1, WSA_IO_INCOMPLETE]);
      const writes: string[] = [];
      watched(overlapped, writes);
      const atUpcall: string[] = [];
      server.onUpcall = () => atUpcall.push(...writes);
      bench.client.say(mine, 'hello');
      await bench.received(1);
      const [one] = server.completions;
      assert.equal(one?.overlapped, overlapped);
      assert.deepEqual([one?.handle, one?.error, one?.bytes], [server.created.at(-1), 0, 5]);
      assert.equal(text(at, 5), 'hello');
      assert.ok(atUpcall.includes('OffsetHigh=0') && atUpcall.includes('Offset=0'), 'error and flags come before');
      assert.deepEqual(server.result(theirs, overlapped), [true, 5, 0]);
    },
  ),

  connectedScenario(
    'WSD-OVL-12 WSD-OVL-13 WSD-OVL-16 the provider writes its own fields; in poll mode the byte count and last of all Internal',
    async (bench, mine, theirs) => {
      const { server, client } = bench;
      const told: string[] = [];
      const notified = watched(notify(), told);
      bench.posted(theirs, 64, notified);
      assert.equal(told.at(-1), `Internal=${WSS_OPERATION_IN_PROGRESS}`);
      const polled: string[] = [];
      const silent = watched(poll(), polled);
      bench.posted(theirs, 64, silent);
      assert.deepEqual(polled.slice(-1), [`Internal=${WSS_OPERATION_IN_PROGRESS}`]);
      told.length = 0;
      polled.length = 0;
      server.onUpcall = () => {
        // The switch's own writes of the up-call come last (WSD-OVL-15).
        assert.deepEqual(told.slice(-2), ['InternalHigh=5', 'Internal=0']);
        assert.ok(
          told.slice(0, -2).every((write) => /^Offset(High)?=/.test(write)),
          'only its own fields',
        );
      };
      client.say(mine, 'hello');
      client.say(mine, 'quiet');
      await bench.until(() => silent.Internal === 0, 'both have come');
      assert.deepEqual(polled.slice(-2), ['InternalHigh=5', 'Internal=0']);
      assert.ok(polled.slice(0, -2).every((write) => /^Offset(High)?=/.test(write)));
      assert.equal(server.completions.length, 1);
      const sends: string[] = [];
      const sent = watched(poll(), sends);
      client.say(mine, 'x', sent);
      await bench.until(() => sent.Internal === 0, 'the send is done');
      assert.deepEqual(sends.slice(-2), ['InternalHigh=1', 'Internal=0']);
      assert.ok(!sends.some((write) => write.startsWith('hEvent')));
    },
  ),

  connectedScenario(
    'WSD-OVL-8 WSD-OVL-17 WSD-OVL-19 in poll mode nothing is told; WSPGetOverlappedResult knows',
    async (bench, mine, theirs) => {
      const { server, client } = bench;
      const { overlapped } = bench.posted(theirs, 4096, poll());
      assert.deepEqual(server.result(theirs, overlapped), [false, -1, WSA_IO_INCOMPLETE]);
      client.say(mine, 'quiet');
      await bench.until(() => overlapped.Internal !== WSS_OPERATION_IN_PROGRESS, 'the receive completes');
      assert.deepEqual(server.completions, []);
      assert.deepEqual(server.result(theirs, overlapped), [true, 5, 0]);
      const aborted = bench.posted(theirs, 4096, poll()).overlapped;
      client.close(mine);
      await bench.until(() => aborted.Internal !== WSS_OPERATION_IN_PROGRESS, 'the peer has closed');
      assert.deepEqual(server.result(theirs, aborted), [false, 0, WSAECONNRESET]);
      assert.deepEqual(server.completions, []);
    },
  ),

  connectedScenario(
    'WSD-OVL-20 WSD-OVL-21 results of sends and receives, with the flags of the receive; a closed socket has none',
    async (bench, mine, theirs) => {
      const { server, client } = bench;
      const { overlapped } = bench.posted(theirs);
      const sent = client.say(mine, 'abc', poll());
      await bench.until(() => sent.Internal !== WSS_OPERATION_IN_PROGRESS, 'it is sent');
      assert.deepEqual(client.result(mine, sent), [true, 3, 0]);
      await bench.received(1);
      const flags = { value: 0x77 };
      const bytes = { value: -1 };
      const { table, errno } = server;
      assert.equal(table.WSPGetOverlappedResult(theirs, overlapped, bytes, false, flags, errno), true);
      assert.deepEqual([bytes.value, flags.value], [3, 0]);
      server.close(theirs);
      assert.equal(
        server.failure(table.WSPGetOverlappedResult(theirs, overlapped, bytes, false, flags, errno)),
        WSAENOTSOCK,
      );
    },
  ),

  connectedScenario(
    'WSD-OVL-18 waiting for a pending operation is refused, as by a real provider; for one that is done it is no wait',
    async (bench, mine, theirs) => {
      const { server } = bench;
      const { overlapped } = bench.posted(theirs);
      assert.deepEqual(server.result(theirs, overlapped, true), [false, -1, WSAEINVAL]);
      bench.client.say(mine, 'abc');
      await bench.received(1);
      assert.deepEqual(server.result(theirs, overlapped, true), [true, 3, 0]);
    },
  ),

  scenario(
    'WSD-OVL-5 WSD-OVL-10 a send that is done when it returns has been told; every other is told later, and once',
    async (bench) => {
      const { mine, theirs } = await bench.connected();
      const { client } = bench;
      bench.posted(theirs);
      const overlapped = notify();
      const result = client.send(mine, buffer(client.memory(mine, 10)), overlapped);
      if (result === 0) assert.equal(client.completions.length, 1, 'told before it returned');
      else assert.equal(client.failure(result), WSA_IO_PENDING);
      await bench.until(() => client.completions.length === 1, 'it is told');
      await bench.settle();
      assert.deepEqual(
        client.completions.map(({ overlapped: o, error, bytes }) => [o, error, bytes]),
        [[overlapped, 0, 10]],
      );
    },
  ),

  connectedScenario(
    'WSD-OVL-6 an error other than WSA_IO_PENDING means that nothing was started and nothing will be completed',
    async (bench, mine, theirs) => {
      const { client, server } = bench;
      const { table, errno } = client;
      const writes: string[] = [];
      const overlapped = watched(notify(), writes);
      assert.equal(client.failure(client.send(mine, unregistered(), overlapped)), WSAEFAULT);
      assert.equal(client.failure(client.recv(mine, unregistered(), overlapped)), WSAEFAULT);
      assert.equal(client.failure(table.WSPSend(mine, [], 0, null, 0, overlapped, null, null, errno)), WSAEINVAL);
      assert.equal(
        client.failure(table.WSPRecv(mine, [], 0, null, { value: 0 }, overlapped, null, null, errno)),
        WSAEINVAL,
      );
      bench.posted(theirs);
      client.say(mine, 'x');
      await bench.received(1);
      client.completions.length = 0;
      client.close(mine);
      server.close(theirs);
      await bench.settle();
      assert.deepEqual([client.completions, writes], [[], []]);
    },
  ),

  connectedScenario(
    'WSD-THR-4 WSD-XFR-26 sends return at once though the peer takes nothing, and go out in the background',
    async (bench, mine, theirs) => {
      const { client, server } = bench;
      const size = 100_000;
      const memory = client.memory(mine, size);
      const told: WSAOVERLAPPED[] = [];
      let pending = 0;
      const post = (count: number): void => {
        for (let i = 0; i < count; i++) bench.posted(theirs, size);
      };
      // Without flow control no message may come that has no buffer.
      if (!bench.has('flowControl')) post(sendsMax);
      // No turn of anybody's loop happens in between.
      for (; pending < 3 && told.length < sendsMax; ) {
        const overlapped = notify();
        told.push(overlapped);
        const result = client.send(mine, buffer(memory), overlapped);
        if (result === 0) continue;
        assert.equal(client.failure(result), WSA_IO_PENDING);
        assert.equal(overlapped.Internal, WSS_OPERATION_IN_PROGRESS);
        pending++;
      }
      assert.equal(pending, 3, 'no wire holds all that a peer does not take');
      assert.equal(client.completions.length, told.length - pending);
      if (bench.has('flowControl')) post(told.length);
      await bench.until(() => client.completions.length === told.length, 'all sends complete');
      await bench.received(told.length);
      // Each once, and in order.
      assert.deepEqual(
        client.completions.map(({ overlapped, error, bytes }) => [told.indexOf(overlapped), error, bytes]),
        told.map((_, i) => [i, 0, size]),
      );
      assert.ok(server.completions.every(({ bytes }) => bytes === size));
    },
    { deferredSends: true, flowControl: true },
  ),

  connectedScenario(
    'WSD-OVL-23 every operation completes exactly once, whatever ends it',
    async (bench, mine, theirs) => {
      const { client, server } = bench;
      const sends: WSAOVERLAPPED[] = [];
      const receives: WSAOVERLAPPED[] = [];
      for (let i = 0; i < 8; i++) receives.push(bench.posted(theirs, 64).overlapped);
      for (let i = 0; i < 4; i++) sends.push(client.say(mine, `message ${i}`));
      await bench.received(2);
      for (let i = 0; i < 4; i++) sends.push(client.say(mine, `message ${i}`));
      server.close(theirs);
      await bench.settle();
      client.close(mine);
      await bench.settle();
      for (const [node, all] of [
        [server, receives],
        [client, sends],
      ] as const) {
        assert.deepEqual(
          all.map((one) => node.completions.filter(({ overlapped }) => overlapped === one).length),
          all.map(() => 1),
        );
      }
    },
    { deferredSends: true },
  ),

  scenario('WSD-OVL-26 data calls on a socket that is not connected, or not yet, are WSAENOTCONN', async (bench) => {
    const { client, server } = bench;
    const { listener, connecting } = await bench.requested();
    const check = (socket: ProviderSocket): void => {
      assert.equal(client.failure(client.send(socket, unregistered(), notify())), WSAENOTCONN);
      assert.equal(client.failure(client.recv(socket, unregistered(), notify())), WSAENOTCONN);
    };
    check(client.socket());
    check(client.bound(bench.port()));
    check(connecting.socket);
    server.accept(listener, () => 1);
    await bench.outcome(connecting);
    check(connecting.socket);
    assert.equal(server.failure(server.send(listener.socket, unregistered(), notify())), WSAENOTCONN);
  }),
];
