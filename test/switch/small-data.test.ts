/** Small data: control messages with application data (section 9.2 of the digest). */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HEADER_SIZE, TYPE_DATA } from '../../src/session/header.js';
import {
  MEM_READ,
  WSA_IO_INCOMPLETE,
  type WSABUF,
  WSAENOBUFS,
  type WSAOVERLAPPED,
  WSS_OPERATION_IN_PROGRESS,
} from '../../src/spi/index.js';
import { knownTypes, messagesOf } from './messages.js';
import { Bench, type Knobs } from './stage.js';

const memories: readonly Knobs[] = [{ providerMemory: true }, { providerMemory: false }];

test('WSD-XFR-1 every message is a header with what follows it, and as long as the header says [simulated]', () => {
  for (const knobs of memories) {
    const bench = new Bench(knobs);
    const messages = [messagesOf(bench.client.tap), messagesOf(bench.server.tap)];
    const { mine, theirs } = bench.pair();
    for (const { connection } of [mine, theirs]) {
      for (const size of [1, 100, 5000, 60_000]) connection.write(Buffer.alloc(size, 3), () => {});
      connection.shutdown(() => {});
    }
    bench.stage.until(() => mine.told.length + theirs.told.length === 2, 'both have ended');
    const types = new Set<number>();
    for (const { type, length, size } of messages.flat()) {
      assert.equal(size, HEADER_SIZE + length);
      assert.ok(knownTypes.includes(type));
      types.add(type);
      if (type === TYPE_DATA) assert.ok(length > 0);
    }
    assert.ok(types.size >= 3, 'negotiation, data, end');
  }
});

test('WSD-XFR-2 small data is the payload of a control message: copied, sent, received in a posted buffer, stored, delivered [simulated]', () => {
  for (const knobs of memories) {
    const bench = new Bench(knobs);
    const { mine, theirs } = bench.pair(false);
    const sent = messagesOf(bench.client.tap);
    const chunk = Buffer.from('a few bytes');
    mine.connection.write(chunk, () => {});
    chunk.fill(0);
    assert.deepEqual(
      sent.map(({ type, payload }) => [type, payload.toString()]),
      [[TYPE_DATA, 'a few bytes']],
    );
    const { log } = bench.server;
    const received = log.of('WPUCompleteOverlappedRequest').length;
    bench.stage.settle();
    assert.equal(log.of('WPUCompleteOverlappedRequest').length, received + 1);
    assert.equal(log.calls.at(-1)!.fn, 'WSPRecv', 'the buffer is posted again before the program reads');
    assert.equal(theirs.bytes.length, 0);
    theirs.connection.readStart();
    bench.stage.settle();
    assert.equal(theirs.bytes.toString(), 'a few bytes');
  }
});

test('WSD-XFR-6 blocks up to the threshold, which is off, go by WSPSend and WSPRecv and never by RDMA [simulated]', () => {
  const bench = new Bench();
  const { mine, theirs } = bench.pair();
  let total = 0;
  for (const size of [1, 16_384, 16_385, 200_000, 1_000_000]) {
    mine.connection.write(Buffer.alloc(size), () => {});
    total += size;
  }
  bench.stage.until(() => theirs.bytes.length === total, 'all arrives');
  for (const { log } of [bench.client, bench.server]) {
    for (const fn of ['WSPRdmaRead', 'WSPRdmaWrite', 'WSPRegisterRdmaMemory']) assert.equal(log.of(fn).length, 0);
  }
});

test('WSD-XFR-25 a send for which no memory can be had fails with WSAENOBUFS', () => {
  for (const size of [10, 100_000]) {
    const bench = new Bench();
    const { mine } = bench.pair();
    bench.client.tap.fail('WSPGetSendBuffer', WSAENOBUFS);
    const results: number[] = [];
    assert.equal(
      mine.connection.write(Buffer.alloc(size), (wsaError) => results.push(wsaError)),
      false,
    );
    assert.deepEqual(results, [], 'in a later turn');
    bench.stage.settle();
    assert.deepEqual(results, [WSAENOBUFS]);
  }
});

test('WSD-XFR-27 the flags of WSPSend are always 0 [simulated]', () => {
  const bench = new Bench();
  const messages = [messagesOf(bench.client.tap), messagesOf(bench.server.tap)];
  const { mine, theirs } = bench.pair();
  mine.connection.write(Buffer.alloc(100_000), () => {});
  mine.connection.shutdown(() => {});
  bench.stage.until(() => theirs.told.length > 0, 'it ends');
  assert.ok(messages.flat().length > 8);
  assert.ok(messages.flat().every(({ flags }) => flags === 0));
});

test('WSD-XFR-28 buffers of a send, and their list, stay as they are until it is done [simulated]', () => {
  for (const knobs of memories) {
    const bench = new Bench({ ...knobs, immediateSends: false });
    const { mine, theirs } = bench.pair();
    interface Running {
      readonly overlapped: WSAOVERLAPPED;
      readonly list: readonly WSABUF[];
      readonly was: readonly WSABUF[];
      readonly bytes: Buffer;
    }
    const running = new Set<Running>();
    let compared = 0;
    const inUse = ({ buf, offset, len }: WSABUF): Buffer => Buffer.from(buf.bytes.subarray(offset, offset + len));
    const compare = (): void => {
      for (const send of running) {
        if (send.overlapped.Internal !== WSS_OPERATION_IN_PROGRESS) {
          running.delete(send);
          continue;
        }
        compared++;
        assert.deepEqual([...send.list], [...send.was]);
        assert.ok(inUse(send.was[0]!).equals(send.bytes));
      }
    };
    bench.client.tap.override('WSPSend', (inner, ...args) => {
      const [, list, , , , overlapped] = args;
      compare();
      const result = inner(...args);
      running.add({ overlapped, list, was: list.map((one) => ({ ...one })), bytes: inUse(list[0]!) });
      return result;
    });
    bench.stage.world.onStep = compare;
    for (let i = 0; i < 8; i++) mine.connection.write(Buffer.alloc(3000 + i, i + 1), () => {});
    bench.stage.until(() => theirs.bytes.length === 8 * 3000 + 28, 'all arrives');
    assert.ok(compared > 8, 'some were seen while they ran');
  }
});

test('WSD-XFR-30 WSPSend and WSPRecv are given buffers of a length and a place, without a handle [simulated]', () => {
  for (const knobs of memories) {
    const bench = new Bench(knobs);
    bench.pair();
    for (const { log } of [bench.client, bench.server]) {
      for (const { args } of [...log.of('WSPSend'), ...log.of('WSPRecv')]) {
        const list = args[1] as readonly WSABUF[];
        assert.equal(args[2], list.length);
        for (const one of list) {
          assert.ok('len' in one && 'buf' in one && !('handle' in one));
          assert.equal(one.offset % 8, 0);
        }
      }
    }
  }
});

test('WSD-XFR-25 memory for sends that the provider never completes is bounded; then a send fails with WSAENOBUFS [simulated]', () => {
  const bench = new Bench({ providerMemory: false, immediateSends: false });
  const { mine, theirs } = bench.pair();
  bench.client.tap.fail('WSPGetOverlappedResult', WSA_IO_INCOMPLETE);
  const results: number[] = [];
  let written = 0;
  while (results.length === 0 && written < 2000) {
    mine.connection.write(Buffer.from('x'), (wsaError) => results.push(wsaError));
    written++;
    bench.stage.pass(1);
  }
  assert.deepEqual(results, [WSAENOBUFS]);
  const regions = bench.client.log.of('WSPRegisterMemory').filter(({ args }) => args[4] === MEM_READ);
  assert.equal(regions.length, 8);
  assert.equal(theirs.bytes.length, written - 1, 'what was sent arrives');
});

test('WSD-XFR-25 without memory for the first message the connect fails with WSAENOBUFS [simulated]', () => {
  const bench = new Bench({ providerMemory: false });
  bench.server.listen(bench.name);
  bench.client.tap.failWhere('WSPRegisterMemory', WSAENOBUFS, (args) => args[4] === MEM_READ);
  const { outcome } = bench.connected();
  assert.deepEqual([outcome.failedWith, outcome.reason], [WSAENOBUFS, 'negotiation-failed']);
});
