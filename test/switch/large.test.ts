/** Large transfers and the memory for them (sections 9.2 and 11 of the digest): what is asked of providers, and when. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TYPE_GRANT, TYPE_LARGE, TYPE_READ, TYPE_WRITTEN } from '../../src/session/header.js';
import {
  MEM_READ,
  MEM_WRITE,
  type MemoryRegion,
  type Out,
  SO_MAX_MSG_SIZE,
  SO_MAX_RDMA_SIZE,
  SO_RDMA_THRESHOLD_SIZE,
  SOCKET_ERROR,
  WSA_IO_PENDING,
  WSA_OPERATION_ABORTED,
  WSAECONNRESET,
  WSAEFAULT,
  WSAENOBUFS,
} from '../../src/spi/index.js';
import { largeIn, type Message, messagesOf } from './messages.js';
import { Bench, clientAddress, type Knobs, Stage, serverAddress } from './stage.js';
import { at, Program } from './support.js';
import type { Call, Log } from './tap.js';

const threshold = 50_000;
const memories: readonly Knobs[] = [{ providerMemory: true }, { providerMemory: false }];

/** A transfer of one block, with all that was said and asked for it. */
interface Transfer {
  readonly bench: Bench;
  readonly mine: Program;
  readonly theirs: Program;
  readonly block: Buffer;
  /** Messages that each side sent for it. */
  readonly sent: readonly Message[];
  readonly answers: readonly Message[];
  /** Calls of the sender and of the receiver, since the block was written. */
  readonly sender: Log;
  readonly receiver: Log;
  /** Number of calls of the sender when the write was called done. */
  readonly doneAt: number;
}

function pattern(size: number): Buffer {
  return Buffer.from(Uint8Array.from({ length: size }, (_, i) => i * 7 + (i >> 8) + (i >> 15)));
}

function transfer(size: number, knobs: Knobs): Transfer {
  const bench = new Bench({ rdmaThreshold: threshold, ...knobs });
  const { mine, theirs } = bench.pair();
  const [sent, answers] = [messagesOf(bench.client.tap), messagesOf(bench.server.tap)];
  const [sender, receiver] = [bench.client.log, bench.server.log];
  for (const log of [sender, receiver]) log.clear();
  const block = pattern(size);
  const results: number[] = [];
  let doneAt = 0;
  const taken = mine.connection.write(block, (wsaError) => {
    results.push(wsaError);
    doneAt = sender.calls.length;
  });
  assert.equal(taken, false);
  bench.stage.settle();
  assert.deepEqual(results, [0]);
  assert.ok(theirs.bytes.equals(block), 'every byte in its place');
  return { bench, mine, theirs, block, sent, answers, sender, receiver, doneAt };
}

/** The bytes that a registration covers. */
function registered({ args }: Call): Uint8Array {
  const [, region, offset, length] = args as [object, MemoryRegion, number, number];
  return region.bytes.subarray(offset, offset + length);
}

function moved(call: Call): number {
  return call.buffers.reduce((sum, { len }) => sum + len, 0);
}

for (const knobs of memories) {
  const kind = knobs.providerMemory ? "the provider's" : "the switch's";

  test(`WSD-XFR-3 WSD-XFR-4 WSD-XFR-5 the message of a block has its amount and first portion, and comes before any RDMA [simulated], messages in ${kind} memory`, () => {
    for (const rdmaRead of [true, false]) {
      const { block, sent, sender, receiver } = transfer(300_000, { ...knobs, rdmaRead });
      const [large] = sent;
      assert.equal(large!.type, TYPE_LARGE);
      assert.equal(large!.word3, block.length, 'the amount of application data');
      const { first } = largeIn(large!);
      assert.ok(first.length > 0 && block.subarray(0, first.length).equals(first));
      const rdma = rdmaRead ? receiver.of('WSPRdmaRead') : sender.of('WSPRdmaWrite');
      assert.equal(
        rdma.reduce((sum, call) => sum + moved(call), 0),
        block.length - first.length,
        'the rest, and nothing else, moves by RDMA',
      );
      assert.ok(!rdmaRead || receiver.indexOf('WPUCompleteOverlappedRequest') < receiver.indexOf('WSPRdmaRead'));
      assert.ok(rdmaRead || sender.indexOf('WSPSend') < sender.indexOf('WSPRdmaWrite'));
    }
  });

  test(`WSD-XFR-12 WSD-XFR-13 the rest of a block is registered for reading, and its descriptor is in the message [simulated], messages in ${kind} memory`, () => {
    const { block, sent, sender } = transfer(300_000, knobs);
    const { descriptor, first } = largeIn(sent[0]!);
    const [registration] = sender.of('WSPRegisterRdmaMemory').filter(({ result }) => result === 0);
    assert.ok(block.subarray(first.length).equals(registered(registration!)));
    assert.equal(registered(registration!).buffer, block.buffer, "the program's own memory");
    assert.equal(registration!.args[4], MEM_READ);
    assert.deepEqual([...descriptor], [...(registration!.args[5] as Uint8Array)]);
    assert.ok(sender.calls.indexOf(registration!) < sender.indexOf('WSPSend'));
  });

  test(`WSD-XFR-14 the receiver pulls the block into buffers that it has registered before [simulated], messages in ${kind} memory`, () => {
    const { sent, receiver } = transfer(1_000_000, knobs);
    const { descriptor, first } = largeIn(sent[0]!);
    const reads = receiver.of('WSPRdmaRead');
    assert.ok(reads.length > 1);
    let offset = 0;
    for (const read of reads) {
      assert.deepEqual([...(read.args[3] as Uint8Array)], [...descriptor]);
      assert.deepEqual([read.args[4], read.args[5]], [descriptor.length, offset]);
      offset += moved(read);
      const { handle, buf, len } = (read.args[1] as readonly { handle: unknown; buf: unknown; len: number }[])[0]!;
      const registration = receiver.of('WSPRegisterMemory').find(({ result }) => result === handle)!;
      assert.ok(receiver.calls.indexOf(registration) < receiver.calls.indexOf(read));
      assert.deepEqual([registration.args[1], registration.args[3], registration.args[4]], [buf, len, MEM_WRITE]);
    }
    assert.equal(offset, 1_000_000 - first.length);
  });

  test(`WSD-XFR-15 WSD-XFR-16 WSD-XFR-17 transfer complete is told, then the memory is deregistered and the send completes [simulated], messages in ${kind} memory`, () => {
    const { sender, receiver, answers, doneAt } = transfer(1_000_000, knobs);
    const complete = answers.filter(({ type }) => type === TYPE_READ);
    assert.equal(complete.length, 1);
    const lastRead = receiver.calls.lastIndexOf(receiver.of('WSPRdmaRead').at(-1)!);
    const ended = receiver.calls.findIndex(({ fn }, i) => i > lastRead && fn === 'WSPGetOverlappedResult');
    const told = receiver.calls.findLastIndex(({ fn }) => fn === 'WSPSend');
    assert.ok(ended > lastRead && told > ended, 'after the last read has ended');
    const deregistered = sender.indexOf('WSPDeregisterRdmaMemory');
    assert.equal(sender.of('WSPDeregisterRdmaMemory').length, 1);
    assert.equal(sender.calls[deregistered]!.result, 0);
    assert.ok(deregistered > sender.indexOf('WPUCompleteOverlappedRequest'), 'once the message is here');
    assert.ok(doneAt > deregistered);
  });

  test(`WSD-XFR-18 WSD-XFR-19 without WSPRdmaRead the receiver registers memory for writing and tells where it is [simulated], messages in ${kind} memory`, () => {
    const { sent, answers, receiver } = transfer(300_000, { ...knobs, rdmaRead: false });
    assert.equal(largeIn(sent[0]!).descriptor.length, 0);
    const grants = answers.filter(({ type }) => type === TYPE_GRANT);
    const registrations = receiver.of('WSPRegisterRdmaMemory').filter(({ result }) => result === 0);
    assert.equal(grants.length, registrations.length);
    for (const [i, { args }] of registrations.entries()) {
      assert.equal(args[4], MEM_WRITE);
      assert.equal(args[3], grants[i]!.word3);
      assert.deepEqual([...grants[i]!.payload], [...(args[5] as Uint8Array)]);
    }
    const told = receiver.of('WSPSend')[answers.indexOf(grants[0]!)]!;
    assert.ok(receiver.indexOf('WSPRegisterRdmaMemory') < receiver.calls.indexOf(told));
  });

  test(`WSD-XFR-20 WSD-XFR-21 WSD-XFR-22 the sender registers its source, writes, learns the outcome and only then says so [simulated], messages in ${kind} memory`, () => {
    const { answers, sender, sent } = transfer(2_500_000, { ...knobs, rdmaRead: false });
    const writes = sender.of('WSPRdmaWrite');
    const grants = answers.filter(({ type }) => type === TYPE_GRANT);
    assert.ok(writes.length >= 3);
    for (const write of writes) {
      const { handle } = (write.args[1] as readonly { handle: unknown }[])[0]!;
      const registration = sender.of('WSPRegisterMemory').find(({ result }) => result === handle)!;
      assert.equal(registration.args[4], MEM_READ);
      assert.ok(sender.calls.indexOf(registration) < sender.calls.indexOf(write));
      assert.ok(grants.some(({ payload }) => Buffer.from(write.args[3] as Uint8Array).equals(payload)));
      const record = write.args[8];
      const outcome = sender.of('WSPGetOverlappedResult').find(({ args }) => args[1] === record)!;
      assert.equal(outcome.result, true);
      const told = sender.calls.findIndex(({ fn }, i) => fn === 'WSPSend' && i > sender.calls.indexOf(write));
      assert.ok(told > sender.calls.indexOf(outcome));
    }
    assert.equal(sent.filter(({ type }) => type === TYPE_WRITTEN).length, grants.length);
  });

  test(`WSD-XFR-23 WSD-XFR-24 after a write both sides deregister, and the send completes [simulated], messages in ${kind} memory`, () => {
    const { sender, receiver, doneAt } = transfer(2_500_000, { ...knobs, rdmaRead: false });
    const exposed = receiver.of('WSPRegisterRdmaMemory').filter(({ result }) => result === 0);
    const concealed = receiver.of('WSPDeregisterRdmaMemory');
    assert.equal(concealed.length, exposed.length);
    assert.ok(concealed.every(({ result }) => result === 0));
    const sources = new Set(sender.of('WSPRdmaWrite').map(({ args }) => (args[1] as { handle: unknown }[])[0]!.handle));
    const freed = new Set(sender.of('WSPDeregisterMemory').map(({ args }) => args[1]));
    assert.ok([...sources].every((handle) => freed.has(handle)));
    assert.ok(doneAt > sender.calls.findLastIndex(({ fn }) => fn === 'WSPRdmaWrite'));
  });
}

test('WSD-XFR-9 no RDMA request is larger than the provider allows, in reads and in writes [simulated]', () => {
  for (const rdmaSizeMax of [3000, 65_536, 250_001]) {
    for (const rdmaRead of [true, false]) {
      const { sender, receiver } = transfer(600_000, { rdmaSizeMax, rdmaRead });
      const calls = rdmaRead ? receiver.of('WSPRdmaRead') : sender.of('WSPRdmaWrite');
      const sizes = calls.map(moved);
      assert.ok(sizes.length > 1 && Math.max(...sizes) <= rdmaSizeMax, `${sizes}`);
    }
  }
});

test("WSD-XFR-10 the receiver's provider decides on the method, whatever the sender's can [simulated]", () => {
  for (const [mine, peers] of [
    [true, false],
    [false, true],
  ] as const) {
    const stage = new Stage();
    const server = stage.host([[`${serverAddress}/24`]], { rdmaThreshold: threshold, rdmaRead: peers });
    const client = stage.host([[`${clientAddress}/24`]], { rdmaThreshold: threshold, rdmaRead: mine });
    const name = at(serverAddress, 7000);
    const listening = server.listen(name);
    const { outcome } = client.connect(name, at(clientAddress, client.port()));
    stage.until(() => outcome.settled && listening.accepted.length > 0, 'connected');
    const [here, there] = [new Program(outcome.connection!), new Program(listening.accepted[0]!)];
    here.connection.write(pattern(200_000), () => {});
    there.connection.write(pattern(200_000), () => {});
    stage.until(() => here.bytes.length + there.bytes.length === 400_000, 'both have arrived');
    // To a receiver that can read nothing is written, and the other way round.
    assert.deepEqual([server.log.of('WSPRdmaRead').length > 0, client.log.of('WSPRdmaRead').length > 0], [peers, mine]);
    assert.deepEqual(
      [client.log.of('WSPRdmaWrite').length > 0, server.log.of('WSPRdmaWrite').length > 0],
      [!peers, !mine],
    );
  }
});

test('WSD-OPT-2 the switch asks a provider for its three limits, and obeys them [simulated]', () => {
  const bench = new Bench({ rdmaThreshold: threshold, rdmaSizeMax: 40_000, messageSizeMax: 9000 });
  const { mine, theirs } = bench.pair();
  const { log } = bench.client;
  const asked = log.of('WSPGetSockOpt').map(({ args }) => args[2]);
  for (const name of [SO_MAX_MSG_SIZE, SO_MAX_RDMA_SIZE, SO_RDMA_THRESHOLD_SIZE]) assert.ok(asked.includes(name));
  const sent = messagesOf(bench.client.tap);
  mine.connection.write(pattern(threshold), () => {});
  mine.connection.write(pattern(threshold + 1), () => {});
  bench.stage.until(() => theirs.bytes.length === 2 * threshold + 1, 'all arrives');
  assert.ok(sent.every(({ size }) => size <= 9000));
  assert.equal(sent.filter(({ type }) => type === TYPE_LARGE).length, 1);
  assert.ok(bench.server.log.of('WSPRdmaRead').every((call) => moved(call) <= 40_000));
});

test('WSD-LIM-3 WSD-XFR-6 what is larger than the threshold goes by RDMA, what is as large or smaller in messages [simulated]', () => {
  for (const size of [20_000, 65_536, 400_000]) {
    const bench = new Bench({ rdmaThreshold: size });
    const { mine, theirs } = bench.pair();
    const calls = (): number => bench.server.log.of('WSPRdmaRead').length;
    let total = 0;
    for (const [length, byRdma] of [
      [1, false],
      [size - 1, false],
      [size, false],
      [size + 1, true],
      [2 * size, true],
    ] as const) {
      const before = calls();
      mine.connection.write(pattern(length), () => {});
      total += length;
      bench.stage.until(() => theirs.received.reduce((sum, chunk) => sum + chunk.length, 0) === total, 'it arrives');
      assert.equal(calls() > before, byRdma, `${length} bytes`);
    }
  }
});

test('a user lowers the threshold, or turns large transfers off, for all connections and for one [simulated]', () => {
  const blocks = (largeThreshold: number | undefined, ofConnection: number | null): number => {
    const bench = new Bench({ rdmaThreshold: 65_536 }, largeThreshold === undefined ? {} : { largeThreshold });
    const { mine, theirs } = bench.pair();
    if (ofConnection !== null) mine.connection.largeThreshold = ofConnection;
    mine.connection.write(pattern(50_000), () => {});
    bench.stage.until(() => theirs.bytes.length === 50_000, 'it arrives');
    return bench.client.log.of('WSPRegisterRdmaMemory').length;
  };
  assert.equal(blocks(undefined, null), 0);
  assert.ok(blocks(20_000, null) > 0);
  assert.ok(blocks(undefined, 20_000) > 0);
  assert.ok(blocks(Number.POSITIVE_INFINITY, 20_000) > 0);
  assert.equal(blocks(20_000, 60_000), 0);
  assert.equal(blocks(Number.POSITIVE_INFINITY, null), 0);
});

test('WSD-LIM-5 how long a descriptor is, a provider is asked before the first, once [simulated]', () => {
  const { mine, bench, sender } = transfer(300_000, {});
  const calls = sender.of('WSPRegisterRdmaMemory');
  assert.deepEqual(
    calls.map(({ args, error }) => [args[5] === null, error]),
    [
      [true, WSAEFAULT],
      [false, 0],
    ],
  );
  mine.connection.write(pattern(300_000), () => {});
  bench.stage.settle();
  assert.equal(sender.of('WSPRegisterRdmaMemory').filter(({ args }) => args[5] === null).length, 1);
});

/** Ranges that are registered at the time of each call, by a replay of the log. */
function covered(log: Log, call: Call, region: unknown, offset: number, len: number, access: number): boolean {
  let found = false;
  for (const { fn, args, result, socket } of log.calls.slice(0, log.calls.indexOf(call))) {
    if (fn !== 'WSPRegisterMemory' || result === null || socket !== call.socket) continue;
    const [, at, from, length, flags] = args as [unknown, unknown, number, number, number];
    if (at === region && (flags & access) !== 0 && from <= offset && offset + len <= from + length) found = true;
  }
  return found;
}

test('WSD-MEM-1 WSD-MEM-2 WSD-MEM-14 all memory of messages and of RDMA is registered for its socket, with the right kind and access [simulated]', () => {
  for (const rdmaRead of [true, false]) {
    const bench = new Bench({ rdmaThreshold: threshold, providerMemory: false, rdmaRead });
    const { mine, theirs } = bench.pair();
    mine.connection.write(pattern(10_000), () => {});
    mine.connection.write(pattern(300_000), () => {});
    theirs.connection.write(pattern(300_000), () => {});
    bench.stage.settle();
    let checked = 0;
    for (const { log } of [bench.client, bench.server]) {
      for (const [fn, access] of [
        ['WSPSend', MEM_READ],
        ['WSPRecv', MEM_WRITE],
        ['WSPRdmaWrite', MEM_READ],
        ['WSPRdmaRead', MEM_WRITE],
      ] as const) {
        for (const call of log.of(fn)) {
          for (const { buf, offset, len } of call.buffers) {
            checked++;
            assert.ok(covered(log, call, buf, offset, len, access), `${fn} of what is not registered`);
          }
        }
      }
      for (const { args } of log.of('WSPRegisterMemory')) assert.ok([MEM_READ, MEM_WRITE].includes(args[4] as number));
      const rdma = log.of('WSPRegisterRdmaMemory').filter(({ result }) => result === 0);
      assert.ok(rdma.length > 0);
      assert.ok(rdma.every(({ args }) => args[4] === (rdmaRead ? MEM_READ : MEM_WRITE)));
    }
    assert.ok(checked > 40);
  }
});

test('WSD-MEM-5 what the peer reads or writes is registered as RDMA memory and named by its descriptor [simulated]', () => {
  for (const rdmaRead of [true, false]) {
    const { sender, receiver } = transfer(2_500_000, { rdmaRead });
    const [owner, user] = rdmaRead ? [sender, receiver] : [receiver, sender];
    const descriptors = owner
      .of('WSPRegisterRdmaMemory')
      .filter(({ result }) => result === 0)
      .map(({ args }) => Buffer.from(args[5] as Uint8Array).toString('hex'));
    const calls = user.of(rdmaRead ? 'WSPRdmaRead' : 'WSPRdmaWrite');
    assert.ok(calls.length > 2);
    for (const { args } of calls) assert.ok(descriptors.includes(Buffer.from(args[3] as Uint8Array).toString('hex')));
  }
});

test('WSD-MEM-27 RDMA memory is registered only when data really goes by RDMA [simulated]', () => {
  for (const rdmaRead of [true, false]) {
    const bench = new Bench({ rdmaThreshold: threshold, rdmaRead });
    const { mine, theirs } = bench.pair();
    const count = (): number =>
      bench.client.log.of('WSPRegisterRdmaMemory').length + bench.server.log.of('WSPRegisterRdmaMemory').length;
    for (let i = 0; i < 20; i++) mine.connection.write(pattern(threshold), () => {});
    bench.stage.settle();
    assert.equal(theirs.bytes.length, 20 * threshold);
    assert.equal(count(), 0);
    mine.connection.write(pattern(threshold + 1), () => {});
    bench.stage.settle();
    assert.ok(count() > 0);
  }
});

test('WSD-MEM-28 local memory is released when this side is done with it, RDMA memory when both are [simulated]', () => {
  for (const rdmaRead of [true, false]) {
    const { sender, receiver, bench } = transfer(2_500_000, { rdmaRead });
    for (const log of [sender, receiver]) {
      const handles = new Set(log.of('WSPRegisterMemory').map(({ result }) => result));
      for (const { args } of log.of('WSPDeregisterMemory')) handles.delete(args[1]);
      assert.equal(handles.size, 0, 'nothing of the transfer is registered any more');
      const good = log.of('WSPRegisterRdmaMemory').filter(({ result }) => result === 0).length;
      assert.equal(log.of('WSPDeregisterRdmaMemory').filter(({ result }) => result === 0).length, good);
    }
    // Not before: the last read or write of the one side has ended when the other deregisters.
    const user = rdmaRead ? receiver : sender;
    assert.ok(user.of('WSPGetOverlappedResult').length >= user.of('WSPRdmaRead').length);
    assert.equal(bench.client.switch.usage.connections, 1);
  }
});

test('WSD-BLK-6 a cancelled send whose memory is being used closes the connection, and completes when that has ended the use [simulated]', () => {
  for (const rdmaRead of [true, false]) {
    const bench = new Bench({ rdmaThreshold: threshold, rdmaRead, latency: 500 });
    const { mine, theirs } = bench.pair();
    const user = rdmaRead ? bench.server : bench.client;
    let doneAt = -1;
    const results: number[] = [];
    const block = Buffer.alloc(900_000, 1);
    mine.connection.write(block, (wsaError) => {
      results.push(wsaError);
      doneAt = bench.client.log.calls.length;
      block.fill(2);
    });
    bench.stage.until(() => user.log.of(rdmaRead ? 'WSPRdmaRead' : 'WSPRdmaWrite').length > 0, 'it is under way');
    mine.connection.reset();
    assert.deepEqual(results, [WSA_OPERATION_ABORTED]);
    const freed = bench.client.log.calls.findIndex(({ fn, result }) =>
      rdmaRead ? fn === 'WSPDeregisterRdmaMemory' && result === 0 : fn === 'WSPCloseSocket',
    );
    assert.ok(freed >= 0 && freed < doneAt, 'nobody can reach the memory when its owner is told');
    bench.stage.settle();
    assert.ok(theirs.bytes.every((byte) => byte === 1));
    assert.deepEqual(theirs.told, [`error ${WSAECONNRESET}`]);
  }
});

test('a block whose memory cannot be registered goes in messages [simulated]', () => {
  const bench = new Bench({ rdmaThreshold: threshold });
  const { mine, theirs } = bench.pair();
  bench.client.tap.fail('WSPRegisterRdmaMemory', WSAENOBUFS);
  const results: number[] = [];
  mine.connection.write(pattern(400_000), (wsaError) => results.push(wsaError));
  bench.stage.settle();
  assert.deepEqual(results, [0]);
  assert.ok(theirs.bytes.equals(pattern(400_000)));
  assert.equal(bench.server.log.of('WSPRdmaRead').length, 0);
});

test('an operation that fails loses the connection, on both sides [simulated]', () => {
  for (const rdmaRead of [true, false]) {
    const bench = new Bench({ rdmaThreshold: threshold, rdmaRead });
    const { mine, theirs } = bench.pair();
    const user = rdmaRead ? bench.server : bench.client;
    let operations = 0;
    user.tap.overrideUpcall('WPUCompleteOverlappedRequest', (inner, s, overlapped, error, bytes, lpErrno) => {
      const rdma = user.log.calls.some(
        ({ fn, args }) => (fn === 'WSPRdmaRead' || fn === 'WSPRdmaWrite') && args[8] === overlapped,
      );
      if (!rdma || ++operations > 1) return inner(s, overlapped, error, bytes, lpErrno);
      overlapped.OffsetHigh = WSAENOBUFS;
      return inner(s, overlapped, WSAENOBUFS, 0, lpErrno);
    });
    const results: number[] = [];
    mine.connection.write(pattern(400_000), (wsaError) => results.push(wsaError));
    bench.stage.settle();
    assert.equal(results.length, 1);
    assert.notEqual(results[0], 0);
    assert.equal(theirs.told.length, 1);
    assert.match(theirs.told[0]!, /^error/);
    assert.equal(bench.client.switch.usage.connections + bench.server.switch.usage.connections, 0);
  }
});

test('operations that are done, and told, inside the call that starts them are taken as such [simulated]', () => {
  for (const rdmaRead of [true, false]) {
    const bench = new Bench({ rdmaThreshold: threshold, rdmaRead, latency: 0, spread: 0 });
    const { mine, theirs } = bench.pair();
    const user = rdmaRead ? bench.server : bench.client;
    const fn = rdmaRead ? 'WSPRdmaRead' : 'WSPRdmaWrite';
    let calls = 0;
    user.tap.overrideData(fn, (inner, ...args) => {
      calls++;
      const result = inner(...args);
      assert.deepEqual([result, (args.at(-1) as Out<number>).value], [SOCKET_ERROR, WSA_IO_PENDING]);
      const record = args[8] as { Internal: number };
      // Time goes on until the NIC is done.
      bench.stage.until(() => record.Internal !== 0x103, 'the operation ends');
      return 0;
    });
    mine.connection.write(pattern(900_000), () => {});
    bench.stage.until(() => theirs.bytes.length === 900_000, 'all arrives');
    assert.ok(theirs.bytes.equals(pattern(900_000)));
    assert.ok(calls > (rdmaRead ? 2 : 0));
  }
});
