/** Messages on an established connection: framing, order, early ones, and the memory they come from. */

import assert from 'node:assert/strict';
import {
  type ProviderMemoryExtension,
  ProviderMemoryGuid,
  type ProviderSocket,
  SO_MAX_MSG_SIZE,
  SOL_SOCKET,
  WSA_IO_PENDING,
  type WSABUF,
  WSAEFAULT,
  WSAEMSGSIZE,
  WSAENOTCONN,
  WSAENOTSOCK,
  type WSAOVERLAPPED,
} from '../../spi/index.js';
import { buffer, notify, numbers, poll, region, text } from '../memory.js';
import type { Node } from '../node.js';
import { connectedScenario, type Scenario } from '../scenario.js';

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

export const messages: readonly Scenario[] = [
  connectedScenario('WSD-XFR-33 WSD-OVL-22 each message fills one buffer, in order', async (bench, mine, theirs) => {
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

  connectedScenario(
    'WSD-COMP-12 a thousand messages of all sizes arrive whole and in sending order, in both directions at once',
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
    { jitter: true },
  ),

  connectedScenario(
    'WSD-NEG-8 WSD-NEG-9 WSD-NEG-13 a message of 256 bytes that comes before any buffer is kept, not dropped',
    async (bench, mine, theirs) => {
      const { server, client } = bench;
      const early = Buffer.alloc(256, 'negotiate');
      client.say(mine, early);
      await bench.settle();
      const first = bench.posted(theirs);
      assert.equal(server.completions.length, 0, 'not before WSPRecv has returned');
      await bench.received(1);
      assert.deepEqual([server.completions[0]?.overlapped, server.completions[0]?.bytes], [first.overlapped, 256]);
      assert.equal(text(first.at, 256), early.toString());
    },
  ),

  connectedScenario(
    'WSD-NEG-10 WSD-NEG-11 what was kept fills the first buffer that is posted, and everything after it goes the usual way',
    async (bench, mine, theirs) => {
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
    },
  ),

  connectedScenario(
    'WSD-NEG-8 WSD-NEG-10 the connection lives on if the buffer comes much later, and if one side closes meanwhile nothing is left',
    async (bench, mine, theirs) => {
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
    },
    { part: 'faults' },
  ),

  connectedScenario(
    'WSD-XFR-29 WSD-OVL-26 WSD-OVL-27 buffers must lie in registered memory, all of them, all of it',
    (bench, mine) => {
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
    },
  ),

  connectedScenario(
    'WSD-XFR-8 several buffers are one message; one larger than SO_MAX_MSG_SIZE is refused',
    async (bench, mine, theirs) => {
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
      client.started(table.WSPSend(mine, parts, 2, null, 0, poll(), null, null, errno));
      await bench.received(1);
      assert.equal(text(at, server.completions[0]!.bytes), 'abcdefgh');
      client.send(mine, buffer(memory, 0, size.value), poll());
      await bench.received(2);
      assert.deepEqual([server.completions[1]?.overlapped, server.completions[1]?.bytes], [overlapped, size.value]);
    },
  ),

  connectedScenario(
    'our extension: memory of the provider needs no registration, and a buffer of the wire neither',
    async (bench, mine, theirs) => {
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
      client.started(client.send(mine, out, poll()));
      await bench.received(1);
      assert.equal(server.completions[0]?.bytes, 8);
      assert.equal(text({ len: 8, buf, offset: 64 }, 8), 'straight');
      assert.equal(sending.WSPGetSendBuffer(mine, 100, out, client.errno), 0);
      out.len = 5000;
      assert.equal(client.failure(client.send(mine, out, poll())), WSAEFAULT, 'longer than what was given');
      const { table, errno } = client;
      const size = { value: 0 };
      assert.equal(table.WSPGetSockOpt(mine, SOL_SOCKET, SO_MAX_MSG_SIZE, size, { value: 4 }, errno), 0);
      assert.equal(client.failure(sending.WSPGetSendBuffer(mine, size.value + 1, out, client.errno)), WSAEMSGSIZE);
      assert.equal(client.failure(sending.WSPGetSendBuffer(client.socket(), 8, out, client.errno)), WSAENOTCONN);
      client.close(mine);
      assert.equal(client.failure(sending.WSPGetSendBuffer(mine, 8, out, client.errno)), WSAENOTSOCK);
    },
    { needs: ['providerMemory'] },
  ),
];
