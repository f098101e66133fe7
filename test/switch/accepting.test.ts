/** Accepting on a SAN (section 6 of the digest): what the switch does from the event to the negotiated session. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  CF_ACCEPT,
  CF_REJECT,
  type ConditionFunction,
  type EventObject,
  INVALID_SOCKET,
  WSAECONNREFUSED,
  WSAEMFILE,
} from '../../src/spi/index.js';
import { Bench, clientAddress, serverAddress } from './stage.js';
import { at } from './support.js';

/** Lets the verdicts of the switch be seen. */
function verdicts(bench: Bench): number[] {
  const given: number[] = [];
  bench.server.tap.override('WSPAccept', (inner, s, addr, addrlen, condition, data, errno) => {
    const seen: ConditionFunction = (...args) => {
      const verdict = condition!(...args);
      given.push(verdict);
      return verdict;
    };
    return inner(s, addr, addrlen, condition && seen, data, errno);
  });
  return given;
}

test('WSD-ACC-5 WSD-ACC-6 WSD-ACC-7 after the event come WSPEnumNetworkEvents and WSPAccept, with a condition function [simulated]', () => {
  const bench = new Bench();
  const { server, stage } = bench;
  bench.server.listen(bench.name);
  const listener = server.log.of('WSPListen', server.tap.name)[0]!.socket!;
  const event = server.log.of('WSPEventSelect')[0]!.args[1] as EventObject;
  for (let i = 0; i < 3; i++) bench.connect();
  stage.settle();
  const steps = server.log.names(listener).slice(4);
  assert.deepEqual(steps.slice(0, 2), ['WSPEnumNetworkEvents', 'WSPAccept']);
  const enumerations = server.log.of('WSPEnumNetworkEvents');
  assert.ok(
    enumerations.every(({ args }) => args[1] === event),
    'which resets the event object',
  );
  const accepts = server.log.of('WSPAccept');
  assert.equal(accepts.filter(({ result }) => result !== INVALID_SOCKET).length, 3);
  for (const { args } of accepts) assert.equal(typeof args[3], 'function');
});

test('WSD-ACC-9 the condition function answers CF_ACCEPT or CF_REJECT as the program decides [simulated]', () => {
  for (const [verdict, failedWith] of [
    [CF_ACCEPT, null],
    [CF_REJECT, WSAECONNREFUSED],
  ] as const) {
    const bench = new Bench();
    const given = verdicts(bench);
    const asked: unknown[] = [];
    const listening = bench.server.listen(bench.name, (caller, callee) => {
      asked.push([caller, callee]);
      return verdict;
    });
    const { outcome } = bench.connected();
    bench.stage.settle();
    assert.deepEqual(given, [verdict]);
    const local = bench.client.log.of('WSPBind', bench.client.tap.name)[0]!.args[1];
    assert.deepEqual(asked, [[local, at(serverAddress, 7000)]]);
    assert.equal(outcome.failedWith, failedWith);
    assert.equal(listening.accepted.length, verdict === CF_ACCEPT ? 1 : 0);
  }
});

test('WSD-ACC-26 the session is negotiated before the program is given the connection [simulated]', () => {
  const bench = new Bench();
  const { server } = bench;
  const listening = server.listen(bench.name);
  bench.connect();
  bench.stage.until(() => server.log.of('WSPAccept').length > 0, 'accepted by the provider');
  assert.equal(listening.accepted.length, 0, 'not by the program yet');
  bench.stage.until(() => server.log.of('WSPSend').length > 0, 'the reply is sent');
  const received = server.log.of('WPUCompleteOverlappedRequest');
  assert.ok(received.length >= 1, 'after the message of the initiator');
  assert.equal(listening.accepted.length, 1);
  assert.equal(listening.accepted[0]!.peerAddress.address, clientAddress);
});

test('WSD-ACC-26 an acceptance that the provider cannot complete reaches no program, and the next one does [simulated]', () => {
  const bench = new Bench();
  const { server, stage } = bench;
  const listening = server.listen(bench.name);
  server.tap.fail('WSPAccept', WSAEMFILE, 1);
  const first = bench.connect();
  stage.until(() => server.log.of('WSPAccept').length > 0, 'tried');
  assert.equal(listening.accepted.length, 0);
  const second = bench.connect();
  stage.until(() => listening.accepted.length > 0, 'the next event takes a request');
  stage.until(() => first.outcome.settled || second.outcome.settled, 'a connect ends');
});

test('WSD-NEG-16 an accepted connection whose peer says nothing is closed after a while [simulated]', () => {
  const bench = new Bench();
  const { server, client, stage } = bench;
  const listening = server.listen(bench.name);
  bench.connect();
  stage.until(() => server.log.of('WSPAccept').length > 0, 'accepted by the provider');
  client.process.stop();
  const socket = bench.serverSocket;
  stage.until(() => server.log.names(socket).includes('WSPCloseSocket'), 'closed');
  assert.equal(listening.accepted.length, 0);
  assert.ok(server.decisions.includes('negotiation-failed'));
});
