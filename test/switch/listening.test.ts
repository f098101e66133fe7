/** Listening: TCP/IP and the SAN providers together (section 5 of the digest). */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  CF_ACCEPT,
  type EventObject,
  FD_ACCEPT,
  type SOCKADDR,
  WSAEMFILE,
  type WSANETWORKEVENTS,
} from '../../src/spi/index.js';
import { Bench, Stage, serverAddress } from './stage.js';
import { at } from './support.js';

/** libuv's EADDRINUSE. */
const addressInUse = -98;

test('WSD-LSN-1 TCP/IP listens first, and if it cannot, nobody does', () => {
  const { server, name } = new Bench();
  server.tcpip.listenStatus = addressInUse;
  assert.equal(server.listen(name).status, addressInUse);
  assert.deepEqual(
    server.log.of('WSPListen').map(({ on }) => on),
    ['tcpip'],
  );
  assert.equal(server.log.of('WSPEventSelect').length, 0);
  server.tcpip.listenStatus = 0;
  server.log.clear();
  assert.equal(server.listen(name).status, 0);
  const { calls } = server.log;
  const first = calls.findIndex(({ on, fn }) => on === 'tcpip' && fn === 'WSPListen');
  const companion = calls.findIndex(({ fn, on }) => on === server.tap.name && fn === 'WSPBind');
  assert.ok(first >= 0 && first < companion);
});

test('WSD-LSN-2 the provider of the bound address joins, or with the wildcard every one', () => {
  const host = new Stage().host([['10.1.0.1/24'], ['10.2.0.1/24']]);
  const joined = (address: string): unknown[] => {
    host.log.clear();
    host.listen(at(address, 7000));
    return host.log.of('WSPBind').map(({ on, args }) => [on, (args[1] as SOCKADDR).address]);
  };
  const [first, second] = host.taps.map(({ name }) => name);
  assert.deepEqual(joined('10.2.0.1'), [[second, '10.2.0.1']]);
  assert.deepEqual(joined('0.0.0.0'), [
    [first, '0.0.0.0'],
    [second, '0.0.0.0'],
  ]);
});

test('WSD-LSN-3 WSD-LSN-4 WSPListen with a backlog, then WSPEventSelect for FD_ACCEPT with an event object', () => {
  const { server, name } = new Bench();
  server.listen(name);
  const socket = server.log.of('WSPListen', server.tap.name)[0]!.socket!;
  assert.deepEqual(server.log.names(socket), ['WSPSocket', 'WSPBind', 'WSPListen', 'WSPEventSelect']);
  const [listen] = server.log.of('WSPListen', server.tap.name);
  assert.ok((listen!.args[1] as number) > 0);
  const [select] = server.log.of('WSPEventSelect');
  assert.equal(select!.args[2], FD_ACCEPT);
  assert.equal((select!.args[1] as EventObject).signalled, false);
});

test('WSD-LSN-5 a request is accepted after FD_ACCEPT was reported, never by waiting for one [simulated]', () => {
  const { server, stage, client, name } = new Bench();
  let reported = 0;
  server.tap.override('WSPEnumNetworkEvents', (inner, s, event, record: WSANETWORKEVENTS, errno) => {
    const result = inner(s, event, record, errno);
    if (result === 0 && (record.lNetworkEvents & FD_ACCEPT) !== 0) reported++;
    return result;
  });
  server.tap.override('WSPAccept', (inner, ...args) => {
    assert.ok(reported > 0, 'somebody waits');
    reported--;
    return inner(...args);
  });
  const listening = server.listen(name);
  stage.pass(10);
  assert.equal(server.log.of('WSPAccept').length, 0);
  for (let i = 0; i < 3; i++) client.connect(name, at('10.1.0.2', 50_001 + i));
  stage.until(() => listening.accepted.length === 3, 'all are accepted');
  assert.ok(
    server.log.of('WSPEventSelect').every(({ args }) => args[1] !== null),
    'which makes it nonblocking',
  );
});

test('WSD-LSN-7 WSD-THR-2 requests are awaited by the event loop that listens: while that is busy none is accepted [simulated]', () => {
  const { server, client, stage, name } = new Bench();
  const answers: number[] = [];
  server.listen(name, () => {
    answers.push(stage.world.now());
    return CF_ACCEPT;
  });
  const { outcome } = client.connect(name, at('10.1.0.2', 50_001));
  const busy = 5000;
  server.process.block(busy);
  stage.until(() => outcome.settled, 'the connect ends');
  assert.equal(answers.length, 1, 'then it is, once');
  assert.ok(answers[0]! >= busy);
  // The provider signals in a call stack of its own, in which nothing is accepted either.
  const event = server.log.of('WSPEventSelect')[0]!.args[1] as EventObject;
  server.log.clear();
  event.set();
  assert.deepEqual(server.log.names(), []);
  stage.settle();
  assert.equal(server.log.names()[0], 'WSPEnumNetworkEvents');
});

test('WSD-LSN-14 where the SAN cannot listen, the companion is closed and TCP/IP listens alone', () => {
  for (const fn of ['WSPListen', 'WSPEventSelect'] as const) {
    const { server, name } = new Bench();
    server.tap.fail(fn, WSAEMFILE);
    const listening = server.listen(name);
    assert.equal(listening.status, 0);
    assert.equal(listening.socket.reason, 'provider-error');
    const socket = server.log.of('WSPListen', server.tap.name)[0]!.socket!;
    assert.equal(server.log.names(socket).at(-1), 'WSPCloseSocket');
    assert.equal(server.log.of('WSPCloseSocket', 'tcpip').length, 0);
  }
});

test('WSD-LSN-15 a listener that is closed is closed on every SAN [simulated]', () => {
  const { server, client, stage, name } = new Bench();
  const { socket } = server.listen(name);
  const companion = server.log.of('WSPListen', server.tap.name)[0]!.socket!;
  socket.close();
  assert.equal(server.log.names(companion).at(-1), 'WSPCloseSocket');
  const { outcome } = client.connect(at(serverAddress, 7000), at('10.1.0.2', 50_001));
  stage.until(() => outcome.settled, 'the connect ends');
  assert.ok(outcome.fellBack, 'and there is nobody any more');
});
