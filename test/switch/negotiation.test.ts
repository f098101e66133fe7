/** The negotiation of a session, as its providers see it (section 8 of the digest). */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MEM_READ, MEM_WRITE, type MemoryRegion, WSAENOBUFS } from '../../src/spi/index.js';
import { messagesOf, offerIn } from './messages.js';
import { Bench, type Knobs } from './stage.js';
import { assertSubsequence } from './support.js';
import type { Log } from './tap.js';

/** Receives that are posted on the socket, and not completed, when it sends for the first time. */
function postedBeforeSending(log: Log, socket: object): number {
  let posted = 0;
  const records = new Set<unknown>();
  for (const { fn, socket: named, args } of log.calls) {
    if (fn === 'WSPSend' && named === socket) break;
    if (fn === 'WSPRecv' && named === socket) {
      records.add(args[5]);
      posted++;
    }
    if (fn === 'WPUCompleteOverlappedRequest' && records.has(args[1])) posted--;
  }
  return posted;
}

const memories: readonly Knobs[] = [{ providerMemory: true }, { providerMemory: false }];

test('WSD-NEG-1 WSD-NEG-2 the initiator posts the buffers first that its message tells of [simulated]', () => {
  for (const knobs of memories) {
    const bench = new Bench(knobs);
    const sent = messagesOf(bench.client.tap);
    bench.pair();
    const { postedBuffers } = offerIn(sent[0]!);
    assert.ok(postedBuffers > 0);
    assert.equal(postedBeforeSending(bench.client.log, bench.clientSocket), postedBuffers);
  }
});

test('WSD-NEG-3 WSD-NEG-4 the acceptor posts its buffers before it answers, and tells how many [simulated]', () => {
  for (const knobs of memories) {
    const bench = new Bench(knobs);
    const sent = messagesOf(bench.server.tap);
    bench.pair();
    const { postedBuffers } = offerIn(sent[0]!);
    assert.ok(postedBuffers > 0);
    assert.equal(postedBeforeSending(bench.server.log, bench.serverSocket), postedBuffers);
  }
});

test('WSD-NEG-1 without memory to post nothing is sent, and the connect fails [simulated]', () => {
  const bench = new Bench({ providerMemory: false });
  bench.client.tap.fail('WSPRegisterMemory', WSAENOBUFS);
  bench.server.listen(bench.name);
  const { outcome } = bench.connected();
  assert.equal(outcome.failedWith, WSAENOBUFS);
  assert.equal(bench.client.log.of('WSPSend').length, 0);
});

test('WSD-NEG-14 WSD-XFR-29 a connection has one registered region for sending and one for receiving, and uses nothing else [simulated]', () => {
  const bench = new Bench({ providerMemory: false });
  const { mine, theirs } = bench.pair();
  for (const program of [mine, theirs]) program.connection.write(Buffer.alloc(200_000, 1), () => {});
  bench.stage.until(() => mine.bytes.length === 200_000 && theirs.bytes.length === 200_000, 'all arrives');
  for (const [log, socket] of [
    [bench.client.log, bench.clientSocket],
    [bench.server.log, bench.serverSocket],
  ] as const) {
    const registered = log.of('WSPRegisterMemory');
    assert.ok(registered.every((call) => call.socket === socket));
    assert.deepEqual(registered.map(({ args }) => args[4]).sort(), [MEM_READ, MEM_WRITE], 'two regions');
    for (const [fn, access] of [
      ['WSPSend', MEM_READ],
      ['WSPRecv', MEM_WRITE],
    ] as const) {
      const { args } = registered.find((call) => call.args[4] === access)!;
      const [, region, start, length] = args as [unknown, MemoryRegion, number, number];
      for (const { buf, offset, len } of log.of(fn).flatMap(({ buffers }) => buffers)) {
        assert.equal(buf, region, `${fn} uses the region`);
        assert.ok(offset >= start && offset + len <= start + length, 'and nothing outside of it');
      }
    }
  }
});

test('WSD-CON-18 after the event the receive region is registered, then buffers of it are posted [simulated]', () => {
  const bench = new Bench({ providerMemory: false });
  bench.pair();
  const steps = bench.client.log.names(bench.clientSocket);
  assertSubsequence(steps, [
    ...['WSPSocket', 'WSPBind', 'WSPEventSelect', 'WSPConnect', 'WSPEnumNetworkEvents'],
    ...['WSPRegisterMemory', 'WSPRecv', 'WSPSend'],
  ]);
  assert.ok(steps.indexOf('WSPRegisterMemory') > steps.indexOf('WSPEnumNetworkEvents'));
  assert.ok(steps.indexOf('WSPRecv') > steps.indexOf('WSPRegisterMemory'));
});

test('WSD-NEG-5 one message each way, and data only after both [simulated]', () => {
  const bench = new Bench();
  const [fromClient, fromServer] = [messagesOf(bench.client.tap), messagesOf(bench.server.tap)];
  const { mine, theirs } = bench.pair();
  assert.deepEqual([fromClient.length, fromServer.length], [1, 1], 'nothing else is needed');
  for (const program of [mine, theirs]) program.connection.write(Buffer.from('x'), () => {});
  bench.stage.settle();
  for (const messages of [fromClient, fromServer]) {
    assert.equal(messages.filter(({ type }) => type === messages[0]!.type).length, 1);
  }
});
