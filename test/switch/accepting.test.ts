/** Accepting on a SAN (section 6 of the digest): what the switch does from the event to the negotiated session. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  CF_ACCEPT,
  CF_DEFER,
  CF_REJECT,
  type ConditionFunction,
  type EventObject,
  INVALID_SOCKET,
  type InvalidSocket,
  type ProviderSocket,
  WSAECONNREFUSED,
  WSAECONNRESET,
  WSAEMFILE,
  WSATRY_AGAIN,
} from '../../src/spi/index.js';
import { Bench, clientAddress, serverAddress } from './stage.js';
import { at, type Listening } from './support.js';

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
    assert.ok(!bench.server.decisions.includes('provider-error'), 'the provider has asked as it must');
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

// ---- deferring

test('WSD-ACC-10 a request that the program defers is decided when it says so, within the same connect [simulated]', () => {
  for (const [verdict, failedWith] of [
    [CF_ACCEPT, null],
    [CF_REJECT, WSAECONNREFUSED],
  ] as const) {
    const bench = new Bench();
    let decided: number = CF_DEFER;
    let asked = 0;
    const listening = bench.server.listen(bench.name, () => {
      asked++;
      return decided;
    });
    const { outcome } = bench.connect();
    bench.stage.until(() => asked === 1, 'the program is asked');
    bench.stage.pass(5);
    assert.deepEqual([asked, outcome.told], [1, 0], 'nobody is told anything');
    assert.equal(bench.server.log.of('WSPAccept').at(-1)!.error, WSATRY_AGAIN);
    decided = verdict;
    listening.socket.acceptDeferred();
    assert.equal(asked, 2);
    bench.stage.until(() => outcome.settled, 'the connect ends');
    bench.stage.settle();
    assert.deepEqual([outcome.failedWith, listening.accepted.length], [failedWith, failedWith === null ? 1 : 0]);
  }
});

test('WSD-ACC-10 the deferred request stays first: another arrival asks about it again [simulated]', () => {
  const bench = new Bench();
  const asked: number[] = [];
  let decided: number = CF_DEFER;
  const listening = bench.server.listen(bench.name, ({ port }) => {
    asked.push(port);
    return decided;
  });
  const ports = [50_001, 50_002];
  const connects = ports.map((port) => {
    const connecting = bench.client.connect(bench.name, at(clientAddress, port));
    bench.stage.pass(5);
    return connecting;
  });
  assert.ok(asked.length >= 1 && asked.every((port) => port === ports[0]), 'only about the first');
  decided = CF_ACCEPT;
  asked.length = 0;
  listening.socket.acceptDeferred();
  bench.stage.until(() => connects.every(({ outcome }) => outcome.settled), 'both end');
  bench.stage.settle();
  assert.deepEqual(asked, ports, 'then about the next');
  assert.deepEqual(
    listening.accepted.map(({ peerAddress }) => peerAddress.port),
    ports,
  );
});

test('WSD-ACC-10 a request that was deferred and withdrawn is not accepted any more [simulated]', () => {
  const bench = new Bench();
  let decided: number = CF_DEFER;
  const listening = bench.server.listen(bench.name, () => decided);
  const { outcome } = bench.connected();
  assert.ok(outcome.fellBack, 'the budget of the connect has ended');
  decided = CF_ACCEPT;
  listening.socket.acceptDeferred();
  bench.stage.settle();
  assert.equal(listening.accepted.length, 0);
  const { outcome: next } = bench.connected();
  assert.ok(next.connection !== null, 'and the listener goes on');
});

test('WSD-ACC-10 only what was deferred is asked about again, once, and not from inside the question [simulated]', () => {
  const bench = new Bench();
  const { log } = bench.server;
  const listening: Listening = bench.server.listen(bench.name, () => {
    listening.socket.acceptDeferred();
    return CF_DEFER;
  });
  listening.socket.acceptDeferred();
  assert.equal(log.of('WSPAccept').length, 0, 'there was nothing');
  bench.connect();
  bench.stage.pass(5);
  assert.equal(log.of('WSPAccept').length, 1);
  listening.socket.acceptDeferred();
  assert.equal(log.of('WSPAccept').length, 2);
  listening.socket.close();
  listening.socket.acceptDeferred();
  bench.stage.settle();
  assert.equal(log.of('WSPAccept').length, 2, 'nor after the listener is closed');
});

// ---- providers that do not ask as they must

/** What becomes of a connect if WSPAccept of the server's provider asks like this. */
function asking(accept: (call: () => ProviderSocket | InvalidSocket, condition: ConditionFunction) => unknown) {
  const bench = new Bench();
  let asked = 0;
  const listening = bench.server.listen(bench.name, () => {
    asked++;
    return CF_ACCEPT;
  });
  bench.server.tap.override('WSPAccept', (inner, s, addr, addrlen, condition, data, errno) => {
    const always: ConditionFunction = () => CF_ACCEPT;
    const call = () => inner(s, addr, addrlen, always, data, errno);
    const result = accept(call, condition!) as ProviderSocket | InvalidSocket | number;
    if (typeof result !== 'number' || result === INVALID_SOCKET) return result as ProviderSocket | InvalidSocket;
    errno.value = result;
    return INVALID_SOCKET;
  });
  bench.connect();
  bench.stage.settle();
  return { bench, listening, asked: () => asked };
}

const ask = (condition: ConditionFunction): number =>
  condition(at(clientAddress, 50_001), null, null, null, at(serverAddress, 7000), null, { value: 0 }, null);

test('WSD-ACC-8 a provider that does not ask is not believed: what it has accepted is closed [simulated]', () => {
  const { bench, listening, asked } = asking((call) => call());
  assert.deepEqual([asked(), listening.accepted.length], [0, 0]);
  assert.ok(bench.server.decisions.includes('provider-error'));
  assert.equal(bench.server.log.names(bench.serverSocket).at(-1), 'WSPCloseSocket');
  assert.equal(bench.server.log.of('WSPRecv').length, 0);
});

test('WSD-ACC-8 a provider that asks twice asks the program once, and is not believed [simulated]', () => {
  const verdicts: number[] = [];
  const { bench, listening, asked } = asking((call, condition) => {
    verdicts.push(ask(condition), ask(condition));
    return call();
  });
  assert.deepEqual(verdicts, [CF_ACCEPT, CF_REJECT]);
  assert.deepEqual([asked(), listening.accepted.length], [1, 0]);
  assert.ok(bench.server.decisions.includes('provider-error'));
});

test('WSD-ACC-8 a provider that asks after WSPAccept has returned gets CF_REJECT, and the program is not asked [simulated]', () => {
  let late: ConditionFunction | null = null;
  const { bench, listening, asked } = asking((call, condition) => {
    late ??= condition;
    ask(condition);
    return call();
  });
  assert.deepEqual([asked(), listening.accepted.length], [1, 1], 'it was asked as it must');
  assert.equal(ask(late!), CF_REJECT);
  assert.equal(asked(), 1);
  assert.ok(bench.server.decisions.includes('provider-error'));
});

test('WSD-ACC-9 a provider that accepts what was rejected, or refuses what was accepted, is not believed [simulated]', () => {
  const bench = new Bench();
  const listening = bench.server.listen(bench.name, () => CF_REJECT);
  bench.server.tap.override('WSPAccept', (inner, s, addr, addrlen, condition, data, errno) => {
    ask(condition!);
    return inner(s, addr, addrlen, () => CF_ACCEPT, data, errno);
  });
  bench.connect();
  bench.stage.settle();
  assert.equal(listening.accepted.length, 0);
  assert.ok(bench.server.decisions.includes('provider-error'));
  for (const error of [WSAECONNREFUSED, WSATRY_AGAIN]) {
    const refusing = asking((_call, condition) => {
      ask(condition);
      return error;
    });
    assert.ok(refusing.bench.server.decisions.includes('provider-error'), `${error}`);
  }
});

test('WSD-ACC-8 a provider that refuses or defers without asking, or asks twice before it fails, is not believed [simulated]', () => {
  for (const error of [WSAECONNREFUSED, WSATRY_AGAIN]) {
    assert.ok(asking(() => error).bench.server.decisions.includes('provider-error'), `${error}`);
  }
  const twice = asking((_call, condition) => {
    ask(condition);
    ask(condition);
    return WSAECONNRESET;
  });
  assert.ok(twice.bench.server.decisions.includes('provider-error'));
  const { bench } = asking(() => WSAECONNRESET);
  assert.ok(!bench.server.decisions.includes('provider-error'), 'a request that is gone needs no question');
});

// ---- closing a listener

test('WSD-ACC-28 connections that negotiate are closed with their listener; those the program has stay [simulated]', () => {
  const bench = new Bench();
  const { listening, theirs } = bench.pair();
  const first = bench.serverSocket;
  const late = bench.connect();
  bench.stage.until(() => bench.server.log.of('WSPAccept').length > 1, 'accepted by the provider');
  const second = bench.serverSocket;
  assert.ok(second !== first);
  listening.socket.close();
  listening.socket.close();
  bench.stage.settle();
  assert.equal(listening.accepted.length, 1);
  assert.deepEqual([late.outcome.connection, late.outcome.fellBack, late.outcome.told], [null, false, 1]);
  assert.equal(bench.server.log.names(second).filter((fn) => fn === 'WSPCloseSocket').length, 1);
  assert.deepEqual(theirs.told, []);
  assert.ok(!bench.server.log.names(first).includes('WSPCloseSocket'));
  const listener = bench.server.log.of('WSPListen', bench.server.tap.name)[0]!.socket!;
  assert.equal(bench.server.log.names(listener).filter((fn) => fn === 'WSPCloseSocket').length, 1);
});

test('WSD-CLS-16 nothing is asked about a listener that was closed between the signal and the turn for it', () => {
  const bench = new Bench();
  const { socket } = bench.server.listen(bench.name);
  (bench.server.log.of('WSPEventSelect')[0]!.args[1] as EventObject).set();
  socket.close();
  bench.stage.settle();
  const listener = bench.server.log.of('WSPListen', bench.server.tap.name)[0]!.socket!;
  assert.equal(bench.server.log.names(listener).at(-1), 'WSPCloseSocket');
});
