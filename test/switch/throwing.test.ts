/** Providers of others whose functions throw after they have started: that ends what they were asked for, and nothing else. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SwitchOptions } from '../../src/switch/index.js';
import { Bench, type Knobs } from './stage.js';
import { at, type Program } from './support.js';

/** Bytes that go by RDMA here. */
const large = 300_000;

function makeBench(knobs: Knobs): { bench: Bench; told: Set<string> } {
  const told = new Set<string>();
  const options: Partial<SwitchOptions> = {
    isOwn: () => false,
    threw: (_provider, call) => told.add(call),
  };
  return { bench: new Bench({ rdmaThreshold: 100_000, ...knobs }, options), told };
}

/** Everything that a program may do with a connection, in both directions; ends with both ends closed. */
function exercise(bench: Bench, mine: Program, theirs: Program): void {
  let due = 0;
  let done = 0;
  for (const { connection } of [mine, theirs, mine]) {
    for (const size of [10, large, 20_000]) {
      due++;
      if (connection.write(Buffer.alloc(size), () => done++)) done++;
    }
    bench.stage.settle();
  }
  for (const { connection } of [mine, theirs]) {
    due++;
    connection.shutdown(() => done++);
  }
  bench.stage.settle();
  for (const { connection } of [mine, theirs]) connection.close();
  bench.stage.settle();
  assert.equal(done, due, 'everything that was asked for has an end');
}

const ownMemory: Knobs = { providerMemory: false, immediateSends: false };
const dataCalls: readonly (readonly [fn: string, knobs: Knobs])[] = [
  ['WSPSend', {}],
  ['WSPRecv', {}],
  ['WSPGetSendBuffer', {}],
  ['WSPSend', ownMemory],
  ['WSPGetOverlappedResult', ownMemory],
  ['WSPDeregisterMemory', ownMemory],
  ['WSPRdmaRead', {}],
  ['WSPRdmaWrite', { rdmaRead: false }],
  ['WSPGetOverlappedResult', {}],
  ['WSPRegisterMemory', {}],
  ['WSPRegisterRdmaMemory', {}],
  ['WSPDeregisterRdmaMemory', {}],
  ['WSPCloseSocket', {}],
];

for (const [fn, knobs] of dataCalls) {
  const memory = knobs.providerMemory === false ? ", with the switch's memory" : '';
  test(`a provider that throws in ${fn}${memory} loses its connection at most, and the process goes on [simulated]`, () => {
    const { bench, told } = makeBench(knobs);
    const { mine, theirs, listening } = bench.pair();
    for (const tap of [bench.clientTap, bench.serverTap]) tap.throwIn(fn, new TypeError('not a function'));
    exercise(bench, mine, theirs);
    assert.deepEqual([...told], [fn]);
    for (const tap of [bench.clientTap, bench.serverTap]) tap.restore(fn);
    const { outcome } = bench.connected();
    assert.ok(outcome.connection !== null, 'and can still be used');
    bench.stage.settle();
    for (const connection of [outcome.connection, listening.accepted.at(-1)!]) connection.close();
    bench.stage.settle();
    assert.equal(bench.client.switch.usage.connections, 0);
  });
}

for (const fn of ['WSPSocket', 'WSPBind', 'WSPEventSelect', 'WSPConnect', 'WSPEnumNetworkEvents', 'WSPQueryReason']) {
  test(`a connect of a provider that throws in ${fn} goes on with TCP/IP [simulated]`, () => {
    const { bench, told } = makeBench({});
    bench.server.listen(bench.name);
    bench.client.connect(at('192.168.7.7', 80));
    bench.clientTap.throwIn(fn, 'no error at all');
    if (fn === 'WSPQueryReason') bench.clientTap.fail('WSPConnect', 10_050);
    const { outcome } = bench.connected();
    assert.ok(outcome.fellBack, `${outcome.reason}`);
    assert.ok(fn === 'WSPQueryReason' || told.has(fn));
    assert.equal(bench.client.switch.usage.companions, 0);
  });
}

for (const fn of ['WSPSocket', 'WSPBind', 'WSPListen', 'WSPEventSelect', 'WSPAccept']) {
  test(`a listener of a provider that throws in ${fn} listens by TCP/IP, and its callers are told no lie [simulated]`, () => {
    const { bench, told } = makeBench({});
    bench.server.connect(at('192.168.7.7', 80));
    bench.serverTap.throwIn(fn, new Error('whatever'));
    const { socket } = bench.server.listen(bench.name);
    if (fn !== 'WSPAccept') assert.equal(socket.reason, 'provider-error');
    assert.ok(bench.connected().outcome.fellBack);
    assert.deepEqual([...told], [fn]);
    socket.close();
  });
}

test('a provider that throws when it is cleaned up keeps nobody from the end', () => {
  const { bench, told } = makeBench({});
  bench.client.connect(at('192.168.7.7', 80));
  bench.clientTap.throwIn('WSPCleanup', new Error('never'));
  assert.ok(bench.client.switch.cleanup());
  assert.deepEqual([...told], ['WSPCleanup']);
});

test('what a program throws in its condition function is not the fault of the provider, and it is asked again [simulated]', () => {
  const { bench, told } = makeBench({});
  let asked = 0;
  const { accepted } = bench.server.listen(bench.name, () => {
    asked++;
    if (asked === 1) throw new Error('of the program');
    return 0;
  });
  bench.connect();
  assert.throws(() => bench.stage.settle(), /of the program/);
  assert.equal(told.size, 0);
  bench.connect();
  bench.stage.until(() => accepted.length > 0, 'the listener goes on');
});
