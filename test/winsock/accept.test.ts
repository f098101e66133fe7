/** accept and WSAAccept, with the program's condition function. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CF_ACCEPT, CF_DEFER, CF_REJECT, type ConditionFunction, SOL_SOCKET } from '../../src/spi/index.js';
import {
  accept,
  closesocket,
  connect,
  getpeername,
  getsockname,
  recv,
  send,
  WSAAccept,
} from '../../src/winsock/calls.js';
import { SO_CONDITIONAL_ACCEPT } from '../../src/winsock/constants.js';
import type { SOCKET } from '../../src/winsock/socket.js';
import {
  type CarrierName,
  carriers,
  connected,
  fails,
  receiveText,
  type Side,
  turn,
  twoSides,
  until,
} from './support.js';

const limit = { timeout: 20_000 };
const conditional = [[SOL_SOCKET, SO_CONDITIONAL_ACCEPT, 1]] as const;

function verdicts(side: Side): unknown[] {
  return side.san.filter(({ fn }) => fn === 'WSPAccept').map(({ result, error }) => error || typeof result);
}

/** A SAN's peer is told at once; that of TCP/IP has been connected by the kernel, and is reset. */
async function refused(provider: CarrierName, near: SOCKET, connecting: Promise<void>): Promise<void> {
  if (provider === 'shared-memory') {
    await fails(connecting, 'WSAECONNREFUSED');
    return;
  }
  await fails(
    connecting.then(() => recv(near, Buffer.alloc(1))),
    'WSAECONNRESET',
  );
}

for (const provider of carriers) {
  test(`WSD-ACC-1: every accept of the program is a WSPAccept of TCP/IP [${provider}]`, limit, async (t) => {
    const { server, client } = twoSides(t, provider);
    const { s, name } = server.listening();
    for (const begin of [() => accept(s), () => WSAAccept(s), () => WSAAccept(s, () => CF_ACCEPT)]) {
      const before = server.count('tcpip', 'WSPAccept');
      const near = client.socket();
      const [far] = await Promise.all([begin(), connect(near, name)]);
      const accepts = server.tcpip.filter(({ fn }) => fn === 'WSPAccept').slice(before);
      assert.equal(accepts.length, 1);
      const arrival = accepts[0]?.result as { peer: unknown };
      assert.deepEqual(arrival.peer, getpeername(far));
      assert.deepEqual(getpeername(far), getsockname(near));
    }
  });

  test(
    `the condition function gets caller, callee and the callback data, and null for the rest [${provider}]`,
    limit,
    async (t) => {
      const { server, client } = twoSides(t, provider);
      const { s, name } = server.listening();
      const data = { any: 'thing' };
      const seen: unknown[][] = [];
      const condition: ConditionFunction = (...args) => {
        seen.push(args);
        return CF_ACCEPT;
      };
      const near = client.socket();
      const [far] = await Promise.all([WSAAccept(s, condition, data), connect(near, name)]);
      assert.equal(seen.length, 1);
      const [caller, callerData, sqos, gqos, callee, calleeData, group, callbackData] = seen[0] as unknown[];
      assert.deepEqual([caller, callee], [getsockname(near), name]);
      assert.deepEqual([callerData, sqos, gqos, calleeData], [null, null, null, null]);
      assert.deepEqual(group, { value: 0 });
      assert.equal(callbackData, data);
      await send(near, Buffer.from('x'));
      assert.equal(await receiveText(far, 1), 'x');
    },
  );

  test(`a condition that throws refuses, and its error is that of WSAAccept [${provider}]`, limit, async (t) => {
    const { server, client } = twoSides(t, provider);
    const { s, name } = server.listening();
    const problem = new Error('condition');
    const accepting = WSAAccept(s, () => {
      throw problem;
    });
    const near = client.socket();
    await Promise.all([assert.rejects(accepting, problem), refused(provider, near, connect(near, name))]);
  });

  test(`no verdict but the three counts, a promise least of all [${provider}]`, limit, async (t) => {
    const { server, client } = twoSides(t, provider);
    const { s, name } = server.listening();
    for (const verdict of [7, -1, undefined, Promise.resolve(CF_ACCEPT), true, '0']) {
      const accepting = WSAAccept(s, (() => verdict) as unknown as ConditionFunction);
      const near = client.socket();
      await Promise.all([fails(accepting, 'WSAEINVAL'), refused(provider, near, connect(near, name))]);
      await closesocket(near);
    }
  });

  test(`connections are accepted in the order in which they came [${provider}]`, limit, async (t) => {
    const { server, client } = twoSides(t, provider);
    const { s, name } = server.listening();
    const sockets = [client.socket(), client.socket(), client.socket()];
    for (const near of sockets) await connect(near, name);
    for (const near of sockets) assert.deepEqual(getpeername(await accept(s)), getsockname(near));
  });

  test(`closing a listening socket ends its accepts and resets what waits [${provider}]`, limit, async (t) => {
    const { server, client } = twoSides(t, provider);
    const { s, name } = server.listening();
    const near = client.socket();
    await connect(near, name);
    const far = await accept(s);
    const [other, accepting] = [client.socket(), accept(s, {})];
    void accepting.catch(() => {});
    await connect(other, name);
    await accepting;
    const waiting = accept(s);
    const third = client.socket();
    await closesocket(s);
    await fails(waiting, 'WSA_OPERATION_ABORTED');
    await fails(accept(s), 'WSAENOTSOCK');
    await fails(connect(third, name), provider === 'tcpip' ? 'WSAECONNREFUSED' : 'WSAENETUNREACH');
    // What has been accepted stays.
    await send(far, Buffer.from('x'));
    assert.equal(await receiveText(near, 1), 'x');
  });

  test(`the program cannot accept or close from inside its condition function [${provider}]`, limit, async (t) => {
    const { server, client } = twoSides(t, provider);
    const { s, name } = server.listening();
    const inside: Promise<unknown>[] = [];
    const near = client.socket();
    const accepting = WSAAccept(s, () => {
      inside.push(fails(closesocket(s), 'WSAEINPROGRESS'), fails(accept(s), 'WSAEINPROGRESS'));
      return CF_ACCEPT;
    });
    await Promise.all([accepting, connect(near, name)]);
    assert.equal(inside.length, 2);
    await Promise.all(inside);
  });

  test(`a deferred connection is the first of the next accept [${provider}]`, limit, async (t) => {
    const { server, client } = twoSides(t, provider);
    const { s, name } = server.listening();
    const near = client.socket();
    const connecting = connect(near, name);
    await fails(
      WSAAccept(s, () => CF_DEFER),
      'WSATRY_AGAIN',
    );
    const second = client.socket();
    const connectingToo = connect(second, name);
    for (let i = 0; i < 20; i++) await turn();
    const callers: number[] = [];
    const far = await WSAAccept(s, ({ port }) => {
      callers.push(port);
      return CF_ACCEPT;
    });
    await connecting;
    assert.deepEqual(getpeername(far), getsockname(near));
    assert.deepEqual(callers, [getsockname(near).port]);
    const next = await accept(s);
    await connectingToo;
    assert.deepEqual(getpeername(next), getsockname(second));
  });
}

test('WSD-ACC-11: the verdict on a request that the program accepts is CF_ACCEPT [shared-memory]', limit, async (t) => {
  const { server, client } = twoSides(t, 'shared-memory');
  const { s, name } = server.listening(16, conditional);
  const near = client.socket();
  let asked = 0;
  let inside: unknown;
  const condition: ConditionFunction = () => {
    asked++;
    // The program is asked in the call stack of the provider's WSPAccept.
    inside = server.san.at(-1)?.fn === 'WSPAccept' && !server.san.at(-1)!.over;
    return CF_ACCEPT;
  };
  const [far] = await Promise.all([WSAAccept(s, condition), connect(near, name)]);
  assert.deepEqual([asked, inside], [1, true]);
  assert.deepEqual(verdicts(server), ['object']);
  assert.equal(client.count('tcpip', 'WSPConnect'), 0);
  await send(far, Buffer.from('x'));
  assert.equal(await receiveText(near, 1), 'x');
});

test('WSD-ACC-19: the verdict on a request that the program rejects is CF_REJECT [shared-memory]', limit, async (t) => {
  const { server, client } = twoSides(t, 'shared-memory', { client: { required: false } });
  const { s, name } = server.listening(16, conditional);
  const near = client.socket();
  const accepting = WSAAccept(s, () => CF_REJECT);
  await Promise.all([fails(connect(near, name), 'WSAECONNREFUSED'), fails(accepting, 'WSAECONNREFUSED')]);
  assert.deepEqual(verdicts(server), ['WSAECONNREFUSED']);
  // The refusal is final: TCP/IP was not tried.
  assert.equal(client.count('tcpip', 'WSPConnect'), 0);
});

test('a request that nobody waits for is deferred where SO_CONDITIONAL_ACCEPT is set', limit, async (t) => {
  const { server, client } = twoSides(t, 'shared-memory');
  const { s, name } = server.listening(16, conditional);
  const near = client.socket();
  const connecting = connect(near, name);
  await until(() => verdicts(server).length > 0, 'the request has come');
  assert.deepEqual([...new Set(verdicts(server))], ['WSATRY_AGAIN']);
  const accepting = WSAAccept(s, () => CF_REJECT);
  await Promise.all([fails(accepting, 'WSAECONNREFUSED'), fails(connecting, 'WSAECONNREFUSED')]);
});

test('beyond the backlog a SAN request waits at its provider, and comes when there is room', limit, async (t) => {
  const { server, client } = twoSides(t, 'shared-memory');
  const { s, name } = server.listening(2);
  const sockets = Array.from({ length: 4 }, () => client.socket());
  let settled = 0;
  const begin = (near: SOCKET): Promise<void> =>
    connect(near, name).then(() => {
      settled++;
    });
  // The provider's own queue is as long as the program's, and a burst beyond it is refused.
  const connecting = sockets.slice(0, 2).map(begin);
  await Promise.all(connecting);
  connecting.push(...sockets.slice(2).map(begin));
  await until(() => settled === 2 && verdicts(server).includes('WSATRY_AGAIN'), 'two wait here, two at the provider');
  for (let i = 0; i < 20; i++) await turn();
  assert.equal(settled, 2);
  const accepted: SOCKET[] = [];
  for (const _ of sockets) accepted.push(await accept(s));
  await Promise.all(connecting);
  assert.deepEqual(accepted.map(getpeername), sockets.map(getsockname));
});

test('beyond the backlog TCP/IP refuses', limit, async (t) => {
  const { server, client } = twoSides(t, 'tcpip');
  const { s, name } = server.listening(1);
  const [first, second] = [client.socket(), client.socket()];
  await connect(first, name);
  await turn();
  await refused('tcpip', second, connect(second, name));
  assert.deepEqual(getpeername(await accept(s)), getsockname(first));
});

test('with several accepts waiting, each condition is asked about the request that is its turn', limit, async (t) => {
  const { server, client } = twoSides(t, 'shared-memory');
  const { s, name } = server.listening(16, conditional);
  const order: string[] = [];
  const by =
    (name: string, verdict: number): ConditionFunction =>
    () => {
      order.push(name);
      return verdict;
    };
  const accepts = [
    WSAAccept(s, by('first', CF_DEFER)),
    WSAAccept(s, by('second', CF_REJECT)),
    accept(s),
    WSAAccept(s, by('last', CF_ACCEPT)),
  ];
  const outcomes = Promise.allSettled(accepts);
  const refused = client.socket();
  await fails(connect(refused, name), 'WSAECONNREFUSED');
  const [near, other] = [client.socket(), client.socket()];
  await Promise.all([connect(near, name), connect(other, name)]);
  assert.deepEqual(
    (await outcomes).map((outcome) => (outcome.status === 'rejected' ? outcome.reason.code : outcome.status)),
    ['WSATRY_AGAIN', 'WSAECONNREFUSED', 'fulfilled', 'fulfilled'],
  );
  assert.deepEqual(order, ['first', 'second', 'last']);
});

test('the condition asks about a connection of TCP/IP when it is there already', limit, async (t) => {
  const { server, client } = twoSides(t, 'tcpip');
  const { s, name } = server.listening();
  const near = client.socket();
  await connect(near, name);
  await fails(
    WSAAccept(s, () => CF_REJECT),
    'WSAECONNREFUSED',
  );
  await fails(recv(near, Buffer.alloc(1)), 'WSAECONNRESET');
});

test('WSD-ACC-2: TCP/IP alone handles a request that comes by TCP/IP [tcpip]', limit, async (t) => {
  const { server, client } = twoSides(t, 'shared-memory', { clientCarrier: 'tcpip', client: { required: false } });
  const { s, name } = server.listening();
  const before = server.san.length;
  const near = client.socket();
  const [far] = await Promise.all([WSAAccept(s, () => CF_ACCEPT), connect(near, name)]);
  await send(near, Buffer.from('x'));
  assert.equal(await receiveText(far, 1), 'x');
  await closesocket(far);
  assert.equal(await recv(near, Buffer.alloc(1)), 0);
  // The SAN provider, which listens too, is asked nothing.
  assert.ok(before > 0);
  assert.deepEqual(server.sanNames(before), []);
});

test(
  'WSD-ACC-3: of a SAN request the verdict goes to the SAN provider, the connection to the accept of TCP/IP [shared-memory]',
  limit,
  async (t) => {
    const { server, client, listening, near, far } = await connected(t, 'shared-memory');
    const asked = server.san.findIndex(({ fn }) => fn === 'WSPAccept');
    assert.equal(typeof server.san[asked]?.result, 'object');
    // Completed by TCP/IP's accept, with a descriptor of TCP/IP that was made for it.
    const [taken] = server.tcpip.filter(({ fn }) => fn === 'WSPAccept');
    const made = server.tcpip.filter(({ fn }) => fn === 'WSPSocket').map(({ result }) => result);
    const arrival = taken?.result as { socket: unknown };
    assert.ok(made.includes(arrival.socket));
    assert.notEqual(arrival.socket, server.san[asked]?.result);
    // A refusal goes both ways as well: to the SAN provider, and to the program's accept.
    const refusing = WSAAccept(listening.s, () => CF_REJECT);
    const other = client.socket();
    await Promise.all([fails(refusing, 'WSAECONNREFUSED'), fails(connect(other, listening.name), 'WSAECONNREFUSED')]);
    assert.deepEqual(verdicts(server), ['object', 'WSAECONNREFUSED']);
    await send(near, Buffer.from('x'));
    assert.equal(await receiveText(far, 1), 'x');
  },
);

test('an accept whose caller withdraws while its condition is asked gets the next caller', limit, async (t) => {
  const { server, client } = twoSides(t, 'shared-memory');
  const { s, name } = server.listening(1, conditional);
  const controller = new AbortController();
  const callers: number[] = [];
  const accepting = WSAAccept(s, ({ port }) => {
    callers.push(port);
    controller.abort();
    return CF_ACCEPT;
  });
  await fails(connect(client.socket(), name, { signal: controller.signal }), 'WSA_OPERATION_ABORTED');
  await until(() => verdicts(server).length > 0, 'the provider knows');
  assert.deepEqual(verdicts(server), ['WSAEACCES']);
  const near = client.socket();
  const [far] = await Promise.all([accepting, connect(near, name)]);
  assert.deepEqual(getpeername(far), getsockname(near));
  assert.equal(callers.length, 2);
});
