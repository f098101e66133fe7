/** Connecting on a SAN, and falling back to TCP/IP (section 7 of the digest). */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  EventObject,
  FD_CONNECT,
  type SOCKADDR,
  WSAECONNABORTED,
  WSAECONNRESET,
  WSAEMFILE,
  WSAENOBUFS,
  WSAETIMEDOUT,
  WSAEWOULDBLOCK,
} from '../../src/spi/index.js';
import { Bench, clientAddress, Stage } from './stage.js';
import { assertSubsequence, at, finalErrors, type Host, otherErrors } from './support.js';

/** Order of the calls on the SAN and on TCP/IP that decide who carries the connection. */
function path(host: Host): readonly string[] {
  return host.log.calls
    .filter(({ fn }) => ['WSPSocket', 'WSPBind', 'WSPConnect', 'WSPCloseSocket'].includes(fn))
    .map(({ on, fn }) => (on === 'tcpip' ? `tcpip ${fn}` : fn));
}

/** A host that has started its provider, with an empty log. */
function started(): { host: ReturnType<Stage['host']>; stage: Stage } {
  const stage = new Stage();
  const host = stage.host([['10.1.0.2/24']]);
  host.connect(at('192.168.7.7', 80));
  host.log.clear();
  host.decisions.length = 0;
  return { host, stage };
}

const destination = at('10.1.0.9', 80);
const local = at('10.1.0.2', 50_001);

test('WSD-CON-1 the destination is looked up in the table of subnets', () => {
  const { host } = started();
  for (const [address, carrier] of [
    ['10.1.0.1', host.tap.name],
    ['10.1.0.254', host.tap.name],
    ['10.1.1.1', 'tcpip'],
    ['10.0.255.255', 'tcpip'],
  ] as const) {
    host.log.clear();
    host.connect(at(address, 80), local);
    assert.equal(host.log.of('WSPConnect')[0]!.on, carrier, address);
  }
});

test('WSD-CON-2 WSD-CON-7 a listed destination is connected with a companion, by its IP address', () => {
  const { host } = started();
  host.connect(destination, local);
  const [connect] = host.log.of('WSPConnect');
  assert.equal(connect!.on, host.tap.name);
  assertSubsequence(host.log.names(connect!.socket!), ['WSPSocket', 'WSPBind', 'WSPConnect']);
  assert.deepEqual(connect!.args.slice(1, 7), [destination, 16, null, null, null, null]);
});

test('WSD-CON-3 WSD-SOC-5 a destination on no subnet is connected with TCP/IP, and no SAN is asked', () => {
  const { host } = started();
  const { outcome, tcpip } = host.connect(at('192.168.7.8', 80));
  assert.deepEqual(path(host), ['tcpip WSPConnect']);
  const [connect] = host.log.of('WSPConnect');
  assert.deepEqual([connect!.socket, connect!.args[1]], [tcpip, at('192.168.7.8', 80)]);
  assert.deepEqual([outcome.fellBack, outcome.reason], [true, 'not-routed']);
});

test('WSD-CON-4 a provider that cannot make or bind a companion leaves the connect to TCP/IP', () => {
  for (const [fn, error, expected] of [
    ['WSPSocket', WSAEMFILE, ['WSPSocket', 'tcpip WSPConnect']],
    ['WSPBind', WSAENOBUFS, ['WSPSocket', 'WSPBind', 'WSPCloseSocket', 'tcpip WSPConnect']],
    // Final for a connect, and for nothing else.
    ['WSPSocket', WSAECONNRESET, ['WSPSocket', 'tcpip WSPConnect']],
    ['WSPEventSelect', WSAECONNRESET, ['WSPSocket', 'WSPBind', 'WSPCloseSocket', 'tcpip WSPConnect']],
  ] as const) {
    const { host } = started();
    host.tap.fail(fn, error);
    const { outcome } = host.connect(destination, local);
    assert.deepEqual(path(host), expected);
    assert.deepEqual([outcome.fellBack, outcome.told], [true, 1]);
  }
});

test('WSD-CON-5 WSD-CON-11 FD_CONNECT is selected before WSPConnect, and its result is fetched after the signal', () => {
  const { host, stage } = started();
  const settle = host.tap.holdConnects();
  const { outcome } = host.connect(destination, local);
  const socket = host.log.of('WSPConnect')[0]!.socket!;
  stage.pass(10);
  assert.deepEqual(host.log.names(socket), ['WSPSocket', 'WSPBind', 'WSPEventSelect', 'WSPConnect']);
  assert.equal(host.log.of('WSPEventSelect')[0]!.args[2], FD_CONNECT);
  assert.equal(outcome.told, 0);
  settle(WSAETIMEDOUT);
  stage.until(() => outcome.settled, 'the outcome is told');
  const after = host.log.names(socket).slice(4);
  assert.deepEqual([after[0], after.at(-1)], ['WSPEnumNetworkEvents', 'WSPCloseSocket']);
});

test('WSD-CON-12 WSD-CON-13 after a failure the companion is closed first; three errors are final, all others fall back', () => {
  for (const error of [...finalErrors, ...otherErrors]) {
    const isFinal = finalErrors.includes(error);
    const expected = [
      ...['WSPSocket', 'WSPBind', 'WSPConnect', 'WSPCloseSocket'],
      ...(isFinal ? [] : ['tcpip WSPConnect']),
    ];
    for (const how of ['at once', 'by the event'] as const) {
      // At once, WSAEWOULDBLOCK is no failure.
      if (how === 'at once' && error === WSAEWOULDBLOCK) continue;
      const { host, stage } = started();
      let settle = (_: number): void => {};
      if (how === 'at once') host.tap.fail('WSPConnect', error);
      else settle = host.tap.holdConnects();
      const { outcome } = host.connect(destination, local);
      settle(error);
      stage.settle();
      assert.deepEqual(path(host), expected, `${error} ${how}`);
      assert.deepEqual([outcome.told, outcome.fellBack], [1, !isFinal], `${error} ${how}`);
      assert.equal(outcome.failedWith, isFinal ? error : null);
      assert.equal(host.decisions.length, 1, 'one decision');
    }
  }
});

test('WSD-CON-17 WSD-SOC-19 once the SAN has connected, no failure leads to TCP/IP', () => {
  // Lost in the negotiation.
  const bench = new Bench();
  bench.server.listen(bench.name);
  bench.client.tap.fail('WSPGetSendBuffer', WSAENOBUFS);
  const connecting = bench.connect();
  bench.stage.settle();
  assert.deepEqual([connecting.outcome.fellBack, connecting.outcome.connection], [false, null]);
  assert.equal(connecting.outcome.told, 1);
  assert.equal(bench.client.log.of('WSPConnect', 'tcpip').length, 0);
  // Lost afterwards.
  for (const error of [WSAECONNRESET, WSAECONNABORTED]) {
    const other = new Bench();
    const { mine } = other.pair();
    abortReceive(other, error);
    other.stage.settle();
    assert.ok(mine.told.length === 1);
    assert.equal(other.client.log.of('WSPConnect', 'tcpip').length, 0);
  }
});

/** The provider says that the connection is lost. */
function abortReceive({ client }: Bench, error: number): void {
  const posted = client.log.of('WSPRecv').at(-1)!;
  const handle = client.log.of('WPUCreateSocketHandle').at(-1)!.result;
  client.tap.upcalls!.WPUCompleteOverlappedRequest(handle as never, posted.args[5] as never, error, 0, { value: 0 });
}

test('WSD-CON-18 WSD-CON-19 after the connect buffers are posted, then it is negotiated, then the program is told [simulated]', () => {
  const bench = new Bench();
  bench.server.listen(bench.name);
  const { outcome } = bench.connect();
  const { log } = bench.client;
  bench.stage.until(() => log.of('WSPSend').length > 0, 'the negotiation message is sent');
  assert.ok(log.of('WSPRecv').length > 0);
  assert.ok(log.indexOf('WSPRecv') < log.indexOf('WSPSend'));
  assert.equal(outcome.told, 0);
  const answers = (): number => log.of('WPUCompleteOverlappedRequest').filter(({ args }) => args[2] === 0).length;
  assert.equal(answers(), 0);
  bench.stage.until(() => outcome.settled, 'connected');
  assert.equal(answers(), 1, 'with the reply and not before');
});

test('WSD-CON-20 WSPConnect is never called again on a socket that is connected', () => {
  const bench = new Bench();
  const { mine, theirs } = bench.pair();
  mine.connection.write(Buffer.from('x'), () => {});
  bench.stage.settle();
  mine.connection.close();
  theirs.connection.close();
  bench.stage.settle();
  const connects = bench.client.log.of('WSPConnect', bench.client.tap.name);
  assert.equal(connects.length, 1);
});

test('WSD-CON-22 who cancels a connect closes the companion, and is told nothing', () => {
  const { host, stage } = started();
  const settle = host.tap.holdConnects();
  const { outcome, socket } = host.connect(destination, local);
  socket.close();
  const companion = host.log.of('WSPConnect')[0]!.socket!;
  assert.equal(host.log.names(companion).at(-1), 'WSPCloseSocket');
  settle(0);
  stage.settle();
  assert.equal(outcome.told, 0);
  assert.equal(host.log.of('WSPConnect', 'tcpip').length, 0);
});

test('WSD-CON-26 a negotiation that fails fails the connect, and the companion is closed', () => {
  const bench = new Bench();
  bench.server.listen(bench.name);
  bench.client.tap.fail('WSPAllocateReceiveMemory', WSAENOBUFS);
  const { outcome } = bench.connect();
  bench.stage.settle();
  assert.deepEqual([outcome.failedWith, outcome.reason, outcome.told], [WSAENOBUFS, 'negotiation-failed', 1]);
  assert.equal(bench.client.log.names(bench.clientSocket).filter((fn) => fn === 'WSPCloseSocket').length, 1);
});

test('WSD-CON-8 a connect that succeeds at once is one like any other [simulated]', () => {
  const bench = new Bench();
  bench.server.listen(bench.name);
  const known = new EventObject();
  const { tap } = bench.client;
  tap.override('WSPEventSelect', (inner, s, _event, mask, errno) => inner(s, known, mask, errno));
  tap.override('WSPConnect', (inner, ...args) => {
    inner(...args);
    bench.stage.until(() => known.signalled, 'the provider knows the outcome within the call');
    return 0;
  });
  const { outcome } = bench.connect();
  bench.stage.until(() => outcome.settled, 'connected');
  assert.ok(outcome.connection !== null);
  assert.equal(outcome.connection.localAddress.address, clientAddress);
});

test('WSD-SOC-16 a connect on an unbound socket gets an address and a port of its own', () => {
  const { host } = started();
  const ports = Array.from({ length: 3 }, () => {
    host.connect(destination);
    return (host.log.of('WSPBind', host.tap.name).at(-1)!.args[1] as SOCKADDR).port;
  });
  assert.equal(new Set(ports).size, 3);
});

test('WSD-CON-11 a signal without a result is no result', () => {
  const { host, stage } = started();
  const settle = host.tap.holdConnects();
  const { outcome } = host.connect(destination, local);
  (host.log.of('WSPEventSelect')[0]!.args[1] as EventObject).set();
  stage.settle();
  assert.equal(host.log.of('WSPEnumNetworkEvents').length, 1);
  assert.equal(outcome.told, 0);
  settle(WSAETIMEDOUT);
  stage.settle();
  assert.ok(outcome.fellBack);
});

test('WSD-CON-22 a connect that is cancelled after the signal asks nothing more about its companion', () => {
  const { host, stage } = started();
  const settle = host.tap.holdConnects();
  const { outcome, socket } = host.connect(destination, local);
  settle(0);
  socket.close();
  stage.settle();
  const companion = host.log.of('WSPConnect')[0]!.socket!;
  assert.equal(host.log.names(companion).at(-1), 'WSPCloseSocket');
  assert.equal(outcome.told, 0);
});

test('WSD-CON-22 a connect that is cancelled while it negotiates closes its companion, once [simulated]', () => {
  const bench = new Bench();
  const listening = bench.server.listen(bench.name);
  const { outcome, socket } = bench.connect();
  bench.stage.until(() => bench.client.log.of('WSPSend').length > 0, 'it negotiates');
  const companion = bench.clientSocket;
  socket.close();
  assert.equal(bench.client.log.names(companion).filter((fn) => fn === 'WSPCloseSocket').length, 1);
  bench.stage.settle();
  assert.equal(bench.client.log.names(companion).filter((fn) => fn === 'WSPCloseSocket').length, 1);
  assert.equal(outcome.told, 0);
  for (const connection of listening.accepted) connection.close();
});
