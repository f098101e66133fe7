/** Who carries, and the reason that is told for it (section 7.2 of the digest). */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Reason } from '../../src/diagnostics/reasons.js';
import { type SOCKADDR, SOL_SOCKET, WSAENETUNREACH, WSAETIMEDOUT } from '../../src/spi/index.js';
import type { SwitchOptions } from '../../src/switch/index.js';
import { Bench, clientAddress, Stage } from './stage.js';
import { at } from './support.js';

const destination = at('10.1.0.9', 80);

function host(options: Partial<SwitchOptions> = {}) {
  return new Stage().host([['10.1.0.2/24', 'fd00::2/64']], {}, options);
}

/** A reservation that has one block of ports. */
function oneBlock(): { blocks: number; portReservation: SwitchOptions['portReservation'] } {
  const held = { blocks: 0 };
  const portReservation: SwitchOptions['portReservation'] = () => ({
    reserve: () => {
      if (held.blocks === 1) return null;
      held.blocks++;
      return { release: () => held.blocks-- };
    },
    random: () => 0,
  });
  return Object.assign(held, { portReservation });
}

test('WSD-SOC-5 where no SAN is possible nothing is started, and TCP/IP carries the data', () => {
  const local = host({ isForeign: ({ address }) => address.startsWith('10.') });
  const { outcome } = local.connect(destination);
  assert.deepEqual([outcome.fellBack, outcome.reason], [true, 'not-routed']);
  const { socket, status } = local.listen(at('10.1.0.2', 7000));
  assert.deepEqual([status, socket.reason], [0, 'not-routed']);
  assert.deepEqual(
    local.log.calls.map(({ on, fn }) => [on, fn]),
    [
      ['tcpip', 'WSPConnect'],
      ['tcpip', 'WSPListen'],
    ],
  );
});

test('a connect to port 0 is for TCP/IP to refuse, and no SAN is asked', () => {
  const local = host();
  const { outcome } = local.connect(at('10.1.0.1', 0), at('10.1.0.2', 50_001));
  assert.deepEqual([outcome.fellBack, outcome.reason], [true, 'not-routed']);
  assert.deepEqual(
    local.log.calls.map(({ on, fn }) => [on, fn]),
    [['tcpip', 'WSPConnect']],
  );
});

test('WSD-SOC-5 without any provider the reason for that is told', () => {
  const reasons: [Partial<SwitchOptions>, Reason][] = [
    [{ providers: () => 'ffi-unavailable' }, 'ffi-unavailable'],
    [{ providers: () => [] }, 'no-provider'],
  ];
  for (const [options, reason] of reasons) {
    const none = host(options);
    const { outcome, socket } = none.connect(destination);
    assert.deepEqual([outcome.fellBack, outcome.reason, socket.reason], [true, reason, reason]);
    const listening = none.listen(at('10.1.0.2', 7000));
    assert.deepEqual([listening.status, listening.socket.reason], [0, reason]);
    assert.deepEqual(none.decisions, [reason, reason]);
  }
});

test('a socket that TCP/IP cannot name listens with TCP/IP alone', () => {
  const local = host();
  const tcpip = local.tcpip.socket(null);
  const socket = local.switch.openSocket(tcpip);
  assert.equal(socket.listen(5, { condition: () => 0, accepted() {} }), 0);
  assert.equal(socket.reason, 'bound-elsewhere');
});

test('WSD-SOC-14 a listener for IPv6 alone is one on the SAN as well', () => {
  const local = host();
  for (const ipv6Only of [true, false]) {
    const tcpip = local.tcpip.socket(at('::', 7000));
    tcpip.ipv6Only = ipv6Only;
    local.switch.openSocket(tcpip).listen(5, { condition: () => 0, accepted() {} });
    const bound = local.log.of('WSPBind', local.tap.name).at(-1)!.args[1] as SOCKADDR;
    assert.equal(bound.ipv6Only ?? false, ipv6Only);
  }
});

test('WSD-SOC-17 options that cannot be a provider’s stay with TCP/IP', () => {
  const local = host();
  const socket = local.switch.openSocket(local.tcpip.socket(at('10.1.0.2', 50_001)));
  for (const [level, name] of [
    [SOL_SOCKET, 0x0008],
    [6, 0x0001],
  ] as const) {
    socket.setOption(level, name, 1);
  }
  local.start(socket, destination);
  assert.equal(local.log.of('WSPConnect', local.tap.name).length, 1);
  assert.equal(local.log.of('WSPSetSockOpt').length, 0);
});

test('a decision is told once for each listen and connect [simulated]', () => {
  const bench = new Bench();
  const { connecting, listening } = bench.pair();
  assert.deepEqual([bench.client.decisions, bench.server.decisions], [['accelerated'], ['accelerated']]);
  assert.deepEqual([connecting.socket.reason, listening.socket.reason], ['accelerated', 'accelerated']);
});

test('where a fallback is forbidden TCP/IP is not asked for a connect, and a listen fails', () => {
  const local = host({ required: true });
  const { outcome } = local.connect(at('192.168.7.7', 80));
  assert.deepEqual([outcome.failedWith, outcome.reason, outcome.told], [WSAENETUNREACH, 'not-routed', 1]);
  assert.equal(local.log.of('WSPConnect').length, 0);
  assert.ok(local.listen(at('192.168.7.7', 7000)).status < 0);
  assert.equal(local.listen(at('10.1.0.2', 7000)).status, 0);
});

test('WSD-SOC-16 a port is free again when its connect has failed, was cancelled, or its connection has ended [simulated]', () => {
  const { portReservation } = oneBlock();
  const bench = new Bench({}, { portReservation });
  const { client, server, stage, name } = bench;
  const listening = server.listen(name);
  const used = new Set<number>();
  // A block has 128 ports: each way of ending gives them back, else they run out.
  for (let i = 0; i < 150; i++) {
    const { outcome } = client.connect(name);
    stage.until(() => outcome.settled && listening.accepted.length > 0, 'connected');
    assert.ok(outcome.connection !== null, `connect ${i}: ${outcome.reason}`);
    used.add(outcome.connection.localAddress.port);
    outcome.connection.reset();
    listening.accepted.pop()!.reset();
    stage.settle();
  }
  for (let i = 0; i < 150; i++) {
    client.connect(name).socket.close();
    stage.settle();
  }
  for (const error of [WSAETIMEDOUT, 10061]) {
    client.tap.fail('WSPConnect', error);
    for (let i = 0; i < 150; i++) assert.notEqual(client.connect(name).outcome.reason, 'resources-exhausted');
  }
  client.tap.restore('WSPConnect');
  assert.ok(used.size > 1 && used.size <= 128);
  listening.socket.close();
});

test('WSD-SOC-16 no two connections have one port, and without a free one TCP/IP connects [simulated]', () => {
  const { portReservation } = oneBlock();
  const bench = new Bench({}, { portReservation });
  bench.server.listen(bench.name);
  const outcomes = Array.from({ length: 130 }, () => bench.client.connect(bench.name).outcome);
  bench.stage.until(() => outcomes.every(({ settled }) => settled), 'all have ended');
  const ports = outcomes.flatMap(({ connection }) => (connection === null ? [] : [connection.localAddress.port]));
  assert.equal(ports.length, 128);
  assert.equal(new Set(ports).size, 128);
  assert.deepEqual(
    outcomes.filter(({ fellBack }) => fellBack).map(({ reason }) => reason),
    ['resources-exhausted', 'resources-exhausted'],
  );
  const bound = bench.client.log.of('WSPBind', bench.client.tap.name).map(({ args }) => (args[1] as SOCKADDR).address);
  assert.ok(bound.every((address) => address === clientAddress));
});

test('the end of a process that never used a SAN does nothing', () => {
  const local = host();
  local.switch.endWithProcess(
    () => assert.fail('nothing is to be done'),
    () => true,
  );
  assert.deepEqual(local.log.names(), []);
});
