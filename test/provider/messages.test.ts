/** Messages and overlapped operations on an established connection. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type ProviderMemoryExtension,
  ProviderMemoryGuid,
  type ProviderSocket,
  SO_MAX_MSG_SIZE,
  SOL_SOCKET,
  WSA_IO_INCOMPLETE,
  WSA_IO_PENDING,
  type WSABUF,
  WSAECONNRESET,
  WSAEFAULT,
  WSAEINVAL,
  WSAEMSGSIZE,
  WSAENOTCONN,
  WSAENOTSOCK,
  type WSAOVERLAPPED,
  WSS_OPERATION_IN_PROGRESS,
} from '../../src/spi/index.js';
import { providers } from './adapters.js';
import { buffer, notify, poll, region, text, unregistered } from './memory.js';
import { connectedOn, type Node, on } from './support.js';

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

/** A small generator of its own, so that a failure comes again. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    return (state >>> 8) % below;
  };
}

/** Receives of a socket, a dozen posted at any time; what came, in order. */
function collect(node: Node, socket: ProviderSocket, size: number): Buffer[] {
  const came: Buffer[] = [];
  const pending = new Map<WSAOVERLAPPED, WSABUF>();
  const post = (): void => {
    const { overlapped, at } = node.post(socket, size);
    pending.set(overlapped, at);
  };
  for (let i = 0; i < 12; i++) post();
  node.onUpcall = (what) => {
    const last = node.completions.at(-1);
    const at = last === undefined ? undefined : pending.get(last.overlapped);
    if (!what.startsWith('complete') || last === undefined || at === undefined) return;
    pending.delete(last.overlapped);
    if (last.error !== 0) return;
    came.push(Buffer.from(at.buf.bytes.slice(at.offset, at.offset + last.bytes)));
    post();
  };
  return came;
}

for (const provider of providers) {
  test(
    `[${provider}] WSD-OVL-4 WSD-OVL-10 WSD-OVL-14 a receive is pending, and completes by up-call when its message has come`,
    connectedOn(provider, async (bench, mine, theirs) => {
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
    }),
  );

  test(
    `[${provider}] WSD-OVL-12 WSD-OVL-13 WSD-OVL-16 the provider writes its own fields; in poll mode the byte count and last of all Internal`,
    connectedOn(provider, async (bench, mine, theirs) => {
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
    }),
  );

  test(
    `[${provider}] WSD-OVL-8 WSD-OVL-17 WSD-OVL-19 in poll mode nothing is told; WSPGetOverlappedResult knows`,
    connectedOn(provider, async (bench, mine, theirs) => {
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
    }),
  );

  test(
    `[${provider}] WSD-OVL-20 WSD-OVL-21 results of sends and receives, with the flags of the receive; a closed socket has none`,
    connectedOn(provider, async (bench, mine, theirs) => {
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
    }),
  );

  test(
    `[${provider}] WSD-OVL-18 waiting for a pending operation is refused, as by a real provider; for one that is done it is no wait`,
    connectedOn(provider, async (bench, mine, theirs) => {
      const { server } = bench;
      const { overlapped } = bench.posted(theirs);
      assert.deepEqual(server.result(theirs, overlapped, true), [false, -1, WSAEINVAL]);
      bench.client.say(mine, 'abc');
      await bench.received(1);
      assert.deepEqual(server.result(theirs, overlapped, true), [true, 3, 0]);
    }),
  );

  test(
    `[${provider}] WSD-OVL-5 WSD-OVL-10 a send that is done when it returns has been told; every other is told later, and once`,
    on(provider, async (bench) => {
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
    }),
  );

  test(
    `[${provider}] WSD-OVL-6 an error other than WSA_IO_PENDING means that nothing was started and nothing will be completed`,
    connectedOn(provider, async (bench, mine, theirs) => {
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
    }),
  );

  test(
    `[${provider}] WSD-THR-4 WSD-XFR-26 sends return at once though the peer takes nothing, and go out in the background`,
    connectedOn(
      provider,
      async (bench, mine, theirs) => {
        const { client, server } = bench;
        const size = 100_000;
        const memory = client.memory(mine, size);
        const told: WSAOVERLAPPED[] = [];
        let pending = 0;
        // No turn of anybody's loop happens in between.
        for (; pending < 3 && told.length < 200; ) {
          const overlapped = notify();
          told.push(overlapped);
          const result = client.send(mine, buffer(memory), overlapped);
          if (result === 0) continue;
          assert.equal(client.failure(result), WSA_IO_PENDING);
          assert.equal(overlapped.Internal, WSS_OPERATION_IN_PROGRESS);
          pending++;
        }
        assert.equal(pending, 3);
        assert.equal(client.completions.length, told.length - pending);
        for (const _ of told) bench.posted(theirs, size);
        await bench.until(() => client.completions.length === told.length, 'all sends complete');
        await bench.received(told.length);
        // Each once, and in order.
        assert.deepEqual(
          client.completions.map(({ overlapped, error, bytes }) => [told.indexOf(overlapped), error, bytes]),
          told.map((_, i) => [i, 0, size]),
        );
        assert.ok(server.completions.every(({ bytes }) => bytes === size));
      },
      { simulated: { immediateSends: false, spread: 0, flowControl: true } },
    ),
  );

  test(
    `[${provider}] WSD-OVL-23 every operation completes exactly once, whatever ends it`,
    connectedOn(
      provider,
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
      { simulated: { immediateSends: false } },
    ),
  );

  test(
    `[${provider}] WSD-XFR-33 WSD-OVL-22 each message fills one buffer, in order`,
    connectedOn(provider, async (bench, mine, theirs) => {
      const { server, client } = bench;
      const all = [bench.posted(theirs), bench.posted(theirs), bench.posted(theirs)];
      for (const one of ['a', '', 'ccc']) client.say(mine, one);
      await bench.received(3);
      assert.deepEqual(
        server.completions.map(({ overlapped }) => overlapped),
        all.map(({ overlapped }) => overlapped),
      );
      assert.deepEqual(
        server.completions.map(({ bytes }, i) => text(all[i]!.at, bytes)),
        ['a', '', 'ccc'],
      );
      assert.ok(
        all[1]!.at.buf.bytes.every((byte) => byte === 0),
        'nothing is written beside a message',
      );
      assert.equal(all[0]!.at.buf.bytes[1], 0);
    }),
  );

  test(
    `[${provider}] WSD-COMP-12 a thousand messages of all sizes arrive whole and in sending order, in both directions at once`,
    connectedOn(
      provider,
      async (bench, mine, theirs) => {
        const { client, server } = bench;
        const random = numbers(7);
        const came = collect(server, theirs, 5000);
        const answered = collect(client, mine, 5000);
        const sent: Buffer[] = [];
        const answers: Buffer[] = [];
        for (let i = 0; i < 1000; i++) {
          const message = Buffer.alloc(1 + random(i % 10 === 0 ? 4900 : 90), i & 0xff);
          message[0] = random(256);
          sent.push(message);
          client.say(mine, message, poll());
          if (i % 3 === 0) {
            const answer = Buffer.alloc(1 + random(300), ~i & 0xff);
            answers.push(answer);
            server.say(theirs, answer, poll());
          }
          // Never more under way than there are buffers (WSD-FLW-3).
          await bench.until(() => sent.length - came.length < 12, 'there is a buffer');
          await bench.until(() => answers.length - answered.length < 12, 'there is a buffer');
        }
        await bench.until(() => answered.length === answers.length, 'all answers have come');
        await bench.until(() => came.length === sent.length, 'everything has come');
        assert.ok(sent.every((message, i) => message.equals(came[i]!)));
        assert.ok(answers.every((message, i) => message.equals(answered[i]!)));
      },
      { simulated: { latency: 5, spread: 400 } },
    ),
  );

  test(
    `[${provider}] WSD-NEG-8 WSD-NEG-9 WSD-NEG-13 a message of 256 bytes that comes before any buffer is kept, not dropped`,
    connectedOn(provider, async (bench, mine, theirs) => {
      const { server, client } = bench;
      const early = Buffer.alloc(256, 'negotiate');
      client.say(mine, early);
      await bench.settle();
      const first = bench.posted(theirs);
      assert.equal(server.completions.length, 0, 'not before WSPRecv has returned');
      await bench.received(1);
      assert.deepEqual([server.completions[0]?.overlapped, server.completions[0]?.bytes], [first.overlapped, 256]);
      assert.equal(text(first.at, 256), early.toString());
    }),
  );

  test(
    `[${provider}] WSD-NEG-10 WSD-NEG-11 what was kept fills the first buffer that is posted, and everything after it goes the usual way`,
    connectedOn(provider, async (bench, mine, theirs) => {
      const { server, client } = bench;
      client.say(mine, 'early');
      await bench.settle();
      const first = bench.posted(theirs);
      const second = bench.posted(theirs);
      const third = bench.posted(theirs);
      client.say(mine, 'late');
      await bench.received(2);
      assert.deepEqual([text(first.at, 5), text(second.at, 4)], ['early', 'late']);
      client.say(mine, 'last');
      await bench.received(3);
      assert.deepEqual(
        server.completions.map(({ overlapped }) => overlapped),
        [first.overlapped, second.overlapped, third.overlapped],
      );
      assert.equal(text(third.at, 4), 'last');
    }),
  );

  test(
    `[${provider}] WSD-NEG-8 WSD-NEG-10 the connection lives on if the buffer comes much later, and if one side closes meanwhile nothing is left`,
    connectedOn(provider, async (bench, mine, theirs) => {
      const { server, client } = bench;
      client.say(mine, 'early');
      for (let i = 0; i < 3; i++) await bench.settle();
      assert.ok(!client.log.some((what) => what.startsWith('complete') && what.includes('10054')));
      bench.posted(theirs, 64, poll());
      const other = await bench.connected();
      client.say(other.mine, 'early too');
      await bench.settle();
      server.close(other.theirs);
      assert.ok(server.closed.has(server.created.at(-1)!));
    }),
  );

  test(
    `[${provider}] WSD-XFR-29 WSD-OVL-26 buffers must lie in registered memory, all of them, all of it`,
    connectedOn(provider, (bench, mine) => {
      const { client } = bench;
      const memory = region(64);
      assert.notEqual(client.registerMemory(mine, memory, 8, 16, 3, client.errno), null);
      const overlapped = notify();
      for (const [offset, len] of [
        [0, 8],
        [8, 17],
        [24, 1],
        [0, 64],
      ] as const) {
        assert.equal(client.failure(client.send(mine, { len, buf: memory, offset }, overlapped)), WSAEFAULT);
        assert.equal(client.failure(client.recv(mine, { len, buf: memory, offset }, overlapped)), WSAEFAULT);
      }
      const good: WSABUF = { len: 16, buf: memory, offset: 8 };
      const both = client.table.WSPSend(
        mine,
        [good, { ...good, len: 17 }],
        2,
        null,
        0,
        overlapped,
        null,
        null,
        client.errno,
      );
      assert.equal(client.failure(both), WSAEFAULT);
      assert.deepEqual([client.completions, overlapped.Internal], [[], 0]);
      client.send(mine, good, poll());
    }),
  );

  test(
    `[${provider}] WSD-OVL-26 data calls on a socket that is not connected, or not yet, are WSAENOTCONN`,
    on(provider, async (bench) => {
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
  );

  test(
    `[${provider}] WSD-XFR-8 several buffers are one message; one larger than SO_MAX_MSG_SIZE is refused`,
    connectedOn(provider, async (bench, mine, theirs) => {
      const { server, client } = bench;
      const { table, errno } = client;
      const size = { value: 0 };
      assert.equal(table.WSPGetSockOpt(mine, SOL_SOCKET, SO_MAX_MSG_SIZE, size, { value: 4 }, errno), 0);
      const memory = client.memory(mine, size.value + 8);
      assert.equal(client.failure(client.send(mine, buffer(memory), notify())), WSAEMSGSIZE);
      memory.memory.bytes.set(Buffer.from('ab------cdefgh'));
      const { at } = bench.posted(theirs, size.value);
      const { overlapped } = bench.posted(theirs, size.value);
      const parts = [buffer(memory, 0, 2), buffer(memory, 8, 6)];
      assert.equal(table.WSPSend(mine, parts, 2, null, 0, poll(), null, null, errno), 0);
      await bench.received(1);
      assert.equal(text(at, server.completions[0]!.bytes), 'abcdefgh');
      client.send(mine, buffer(memory, 0, size.value), poll());
      await bench.received(2);
      assert.deepEqual([server.completions[1]?.overlapped, server.completions[1]?.bytes], [overlapped, size.value]);
    }),
  );

  test(
    `[${provider}] memory of the provider needs no registration, and a buffer of the wire neither`,
    connectedOn(provider, async (bench, mine, theirs) => {
      const { server, client } = bench;
      const sending = client.extension<ProviderMemoryExtension>(ProviderMemoryGuid);
      const receiving = server.extension<ProviderMemoryExtension>(ProviderMemoryGuid);
      const buf = receiving.WSPAllocateReceiveMemory(4096, server.errno)!;
      assert.equal(server.failure(server.recv(theirs, { len: 1000, buf, offset: 64 }, notify())), WSA_IO_PENDING);
      const out: WSABUF = { len: 0, buf: region(0), offset: 0 };
      assert.equal(sending.WSPGetSendBuffer(mine, 100, out, client.errno), 0);
      assert.ok(out.len >= 100);
      out.buf.bytes.set(Buffer.from('straight'), out.offset);
      out.len = 8;
      assert.equal(client.send(mine, out, poll()), 0);
      await bench.received(1);
      assert.equal(server.completions[0]?.bytes, 8);
      assert.equal(text({ len: 8, buf, offset: 64 }, 8), 'straight');
      assert.equal(client.failure(sending.WSPGetSendBuffer(mine, 131_073, out, client.errno)), WSAEMSGSIZE);
      assert.equal(client.failure(sending.WSPGetSendBuffer(client.socket(), 8, out, client.errno)), WSAENOTCONN);
      client.close(mine);
      assert.equal(client.failure(sending.WSPGetSendBuffer(mine, 8, out, client.errno)), WSAENOTSOCK);
    }),
  );
}
