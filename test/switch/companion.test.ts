/** Companion sockets: how the switch makes and binds them (section 4 of the digest). */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  AF_INET,
  AF_INET6,
  IPPROTO_TCP,
  SOCK_STREAM,
  type SOCKADDR,
  SOL_SOCKET,
  WSA_FLAG_OVERLAPPED,
  WSAEADDRNOTAVAIL,
  WSAEMFILE,
  WSAENOBUFS,
  WSAENOPROTOOPT,
} from '../../src/spi/index.js';
import type { SwitchSocket } from '../../src/switch/index.js';
import { Bench, clientAddress, Stage, serverAddress } from './stage.js';
import { assertSubsequence, at, type Host } from './support.js';

/** Calls of the provider about sockets, without up-calls, since `from`. */
function downCalls(host: Host, from = 0): readonly string[] {
  return host.log.calls
    .slice(from)
    .filter(({ on, fn }) => (on === host.tap.name || fn === 'WSPConnect') && fn.startsWith('WSP'))
    .map(({ fn }) => fn);
}

/** A host that has started its provider, with an empty log. */
function started(host: Host): Host {
  host.connect(at('192.168.7.7', 80));
  host.log.clear();
  return host;
}

test('WSD-SOC-4 nothing is asked of a SAN before the program listens or connects', () => {
  const { client, server, name } = new Bench();
  const opened = client.switch.openSocket(client.tcpip.socket(at(clientAddress, 50_001)));
  assert.deepEqual(client.log.names(), [], 'an open and bound socket needs none');
  assert.equal(opened.reason, null, 'undecided');
  client.start(opened, name);
  assert.ok(client.log.of('WSPSocket').length > 0);
  server.switch.openSocket(server.tcpip.socket(name));
  assert.deepEqual(server.log.names(), []);
  server.listen(name);
  assert.ok(server.log.of('WSPSocket').length > 0);
});

test('WSD-SOC-6 a companion is an overlapped stream socket of TCP in an IP family', () => {
  const host = started(new Stage().host([['10.1.0.2/24', 'fd00::2/64']]));
  host.listen(at('10.1.0.2', 7000));
  host.connect(at('10.1.0.9', 80), at('10.1.0.2', 50_001));
  host.listen(at('fd00::2', 7000));
  host.connect(at('fd00::9', 80), at('fd00::2', 50_001));
  const given = host.log.of('WSPSocket').map(({ args }) => args.slice(0, 6));
  const companion = (family: number) => [family, SOCK_STREAM, IPPROTO_TCP, null, 0, WSA_FLAG_OVERLAPPED];
  assert.deepEqual(given, [AF_INET, AF_INET, AF_INET6, AF_INET6].map(companion));
});

test('WSD-SOC-10 WSD-ACC-15 a provider is only ever given its own descriptors, those of WSPAccept too [simulated]', () => {
  const bench = new Bench();
  const { mine } = bench.pair();
  mine.connection.write(Buffer.from('x'), () => {});
  mine.connection.close();
  bench.stage.settle();
  for (const { log, tap } of [bench.server, bench.client]) {
    const descriptors = new Set<unknown>();
    const kinds = new Set<string>();
    for (const { on, fn, result, socket } of log.calls) {
      if (on !== tap.name || !fn.startsWith('WSP') || fn === 'WSPStartupEx') continue;
      if (fn === 'WSPSocket' || fn === 'WSPAccept') descriptors.add(result);
      if (socket === null || fn === 'WSPSocket') continue;
      kinds.add(fn);
      assert.ok(descriptors.has(socket), `${fn} names a descriptor of the provider`);
    }
    for (const fn of ['WSPBind', 'WSPEventSelect', 'WSPSend', 'WSPRecv', 'WSPCloseSocket'])
      assert.ok(kinds.has(fn), fn);
  }
  assert.ok(bench.server.log.of('WSPSend').every(({ socket }) => socket === bench.serverSocket));
});

test('WSD-SOC-11 a provider names the handle that the switch made for the socket [simulated]', () => {
  const bench = new Bench();
  const { mine, theirs } = bench.pair();
  mine.connection.write(Buffer.from('x'), () => {});
  bench.stage.until(() => theirs.received.length > 0, 'it arrives');
  mine.connection.reset();
  theirs.connection.reset();
  bench.stage.settle();
  for (const { log } of [bench.server, bench.client]) {
    const handles = new Set(log.of('WPUCreateSocketHandle').map(({ result }) => result));
    for (const fn of ['WPUCompleteOverlappedRequest', 'WPUCloseSocketHandle', 'WPUQuerySocketHandleContext']) {
      for (const { socket } of log.of(fn)) assert.ok(handles.has(socket), fn);
    }
    assert.ok(log.of('WPUCompleteOverlappedRequest').length > 0);
    const closed = log.of('WPUCloseSocketHandle').map(({ socket }) => socket);
    assert.equal(new Set(closed).size, closed.length, 'each at most once');
  }
});

test('WSD-SOC-13 WSPBind follows WSPSocket directly', () => {
  const host = started(new Stage().host([['10.1.0.2/24']]));
  for (const use of [
    () => host.listen(at('10.1.0.2', 7000)),
    () => host.connect(at('10.1.0.9', 80), at('10.1.0.2', 51_001)),
  ]) {
    const from = host.log.calls.length;
    use();
    assert.deepEqual(downCalls(host, from).slice(0, 2), ['WSPSocket', 'WSPBind']);
    const [socket, bind] = [host.log.of('WSPSocket').at(-1)!, host.log.of('WSPBind', host.tap.name).at(-1)!];
    assert.equal(bind.socket, socket.result);
  }
});

test('WSD-SOC-14 the companion has the address and port of the socket of the program', () => {
  const host = started(new Stage().host([['10.1.0.2/24']]));
  const bound = () => host.log.of('WSPBind', host.tap.name).at(-1)!.args[1] as SOCKADDR;
  host.listen(at('10.1.0.2', 7001));
  assert.deepEqual(bound(), at('10.1.0.2', 7001));
  host.connect(at('10.1.0.9', 80), at('10.1.0.2', 51_234));
  assert.deepEqual(bound(), at('10.1.0.2', 51_234));
});

test('WSD-SOC-15 address and port of a companion are complete; only who listens everywhere binds the wildcard', () => {
  const host = started(new Stage().host([['10.1.0.2/24']]));
  const bound = () => host.log.of('WSPBind', host.tap.name).at(-1)!.args[1] as SOCKADDR;
  host.listen(at('0.0.0.0', 7001));
  assert.deepEqual(bound(), at('0.0.0.0', 7001));
  // Nothing bound, the wildcard bound, an address without a port: all have to be completed.
  for (const local of [null, at('0.0.0.0', 0), at('0.0.0.0', 51_300), at('10.1.0.2', 0)]) {
    host.connect(at('10.1.0.9', 80), local);
    const { address, port } = bound();
    assert.equal(address, '10.1.0.2');
    assert.ok(port > 0 && port < 65_536);
    if (local !== null && local.port !== 0) assert.equal(port, local.port);
  }
});

test('WSD-SOC-18 a companion that cannot be made or bound is closed, and TCP/IP goes on', () => {
  for (const [fn, error] of [
    ['WSPSocket', WSAEMFILE],
    ['WSPBind', WSAEADDRNOTAVAIL],
    ['WSPBind', WSAENOBUFS],
  ] as const) {
    const host = started(new Stage().host([['10.1.0.2/24']]));
    host.tap.fail(fn, error);
    const { outcome } = host.connect(at('10.1.0.9', 80), at('10.1.0.2', 51_001));
    assert.ok(outcome.fellBack, 'the connect goes on');
    const listening = host.listen(at('10.1.0.2', 7000));
    assert.equal(listening.status, 0, 'the listen goes on');
    const made = host.log.of('WSPSocket').filter(({ error }) => error === 0).length;
    assert.equal(host.log.of('WSPCloseSocket', host.tap.name).length, fn === 'WSPSocket' ? 0 : made);
    assert.equal(host.log.of('WSPListen', host.tap.name).length, 0);
  }
});

test('WSD-SOC-20 after the setup comes what it was for: WSPListen or WSPConnect', () => {
  const host = started(new Stage().host([['10.1.0.2/24']]));
  host.listen(at('10.1.0.2', 7000));
  assertSubsequence(downCalls(host), ['WSPSocket', 'WSPBind', 'WSPListen']);
  assert.ok(!downCalls(host).includes('WSPConnect'));
  const from = host.log.calls.length;
  host.connect(at('10.1.0.9', 80), at('10.1.0.2', 51_001));
  assertSubsequence(downCalls(host, from), ['WSPSocket', 'WSPBind', 'WSPConnect']);
  assert.ok(!downCalls(host, from).includes('WSPListen'));
});

test('WSD-SOC-25 both names of a connection are known to the switch and stay, even after its end', () => {
  const bench = new Bench();
  const { mine, theirs, connecting } = bench.pair();
  const local = connecting.outcome.connection!.localAddress;
  assert.deepEqual(local, bench.client.log.of('WSPBind', bench.client.tap.name).at(-1)!.args[1]);
  assert.deepEqual(mine.connection.peerAddress, at(serverAddress, 7000));
  assert.deepEqual(theirs.connection.peerAddress, local);
  assert.deepEqual(theirs.connection.localAddress, at(serverAddress, 7000));
  mine.connection.reset();
  bench.stage.settle();
  assert.deepEqual(theirs.connection.peerAddress, local);
  assert.deepEqual(mine.connection.peerAddress, at(serverAddress, 7000));
});

/** Options that may be a provider's (section 16 of the digest). */
const debug = 0x0001;
const groupPriority = 0x2002;

test('WSD-SOC-17 what the program has set is set on the companion after WSPBind, by one WSPSetSockOpt for each option', () => {
  const host = started(new Stage().host([['10.1.0.2/24']]));
  host.tap.override('WSPSetSockOpt', () => 0);
  const set = (socket: SwitchSocket): void => {
    socket.setOption(SOL_SOCKET, debug, 1);
    socket.setOption(SOL_SOCKET, groupPriority, 1);
    socket.setOption(SOL_SOCKET, groupPriority, 7);
    assert.equal(host.log.of('WSPSetSockOpt').length, 0, 'remembered only');
  };
  const expected = ['WSPSocket', 'WSPBind', 'WSPSetSockOpt', 'WSPSetSockOpt'];
  const connecting = host.switch.openSocket(host.tcpip.socket(at('10.1.0.2', 51_001)));
  set(connecting);
  host.start(connecting, at('10.1.0.9', 80));
  assert.deepEqual(downCalls(host).slice(0, 4), expected);
  const given = host.log.of('WSPSetSockOpt').map(({ args }) => args.slice(1, 4));
  assert.deepEqual(given, [
    [SOL_SOCKET, debug, 1],
    [SOL_SOCKET, groupPriority, 7],
  ]);
  host.log.clear();
  const listening = host.switch.openSocket(host.tcpip.socket(at('10.1.0.2', 7000)));
  set(listening);
  listening.listen(5, { condition: () => 0, accepted() {} });
  assert.deepEqual(downCalls(host).slice(0, 5), [...expected, 'WSPListen']);
});

test('WSD-SOC-17 an option that the provider does not support does not keep the connection from it', () => {
  const host = started(new Stage().host([['10.1.0.2/24']]));
  host.tap.fail('WSPSetSockOpt', WSAENOPROTOOPT);
  const socket = host.switch.openSocket(host.tcpip.socket(at('10.1.0.2', 51_001)));
  socket.setOption(SOL_SOCKET, debug, 1);
  host.start(socket, at('10.1.0.9', 80));
  assert.deepEqual(
    host.log.of('WSPConnect').map(({ on }) => on),
    [host.tap.name],
  );
});

test('WSD-SOC-18 WSD-CON-4 an option that fails otherwise ends the companion, and TCP/IP goes on', () => {
  const host = started(new Stage().host([['10.1.0.2/24']]));
  host.tap.fail('WSPSetSockOpt', WSAENOBUFS);
  const socket = host.switch.openSocket(host.tcpip.socket(at('10.1.0.2', 51_001)));
  socket.setOption(SOL_SOCKET, debug, 1);
  assert.ok(host.start(socket, at('10.1.0.9', 80)).fellBack);
  assert.deepEqual(downCalls(host), ['WSPSocket', 'WSPBind', 'WSPSetSockOpt', 'WSPCloseSocket', 'WSPConnect']);
  assert.deepEqual(
    host.log.of('WSPConnect').map(({ on }) => on),
    ['tcpip'],
  );
});

test('WSD-COMP-8 no socket but a stream is ever made at a SAN provider, for whatever it is needed [simulated]', () => {
  const bench = new Bench();
  const { mine } = bench.pair();
  mine.connection.close();
  bench.client.tcpip.version++;
  bench.connect();
  bench.stage.settle();
  for (const { log } of [bench.client, bench.server]) {
    const sockets = log.of('WSPSocket');
    assert.ok(sockets.length >= 2, 'the one that asks for addresses, and companions');
    for (const { args } of sockets) assert.deepEqual(args.slice(1, 3), [SOCK_STREAM, IPPROTO_TCP]);
  }
});
