/** WSPConnect: pending, its outcomes, and what ends it early. */

import assert from 'node:assert/strict';
import {
  AF_INET6,
  CF_ACCEPT,
  CF_REJECT,
  FD_CONNECT,
  FD_CONNECT_BIT,
  INVALID_SOCKET,
  WSAEACCES,
  WSAEADDRNOTAVAIL,
  WSAEAFNOSUPPORT,
  WSAEALREADY,
  WSAECONNREFUSED,
  WSAECONNRESET,
  WSAEFAULT,
  WSAEHOSTUNREACH,
  WSAEINVAL,
  WSAEISCONN,
  WSAENOTSOCK,
  WSAEOPNOTSUPP,
  WSAEPROTONOSUPPORT,
  WSAETIMEDOUT,
  WSAEWOULDBLOCK,
} from '../../spi/index.js';
import { name, notify } from '../memory.js';
import { type Scenario, scenario } from '../scenario.js';

/** After these TCP/IP is not tried (WSD-CON-13). */
const final = [WSAECONNRESET, WSAECONNREFUSED, WSAEHOSTUNREACH];

export const connecting: readonly Scenario[] = [
  scenario(
    `WSD-COMP-11 WSD-PRX-7 the called address finds its listener and the acceptor learns the caller's, both as IP addresses`,
    async (bench) => {
      const { server } = bench;
      const { listener, connecting, port, from } = await bench.requested();
      const seen: unknown[] = [];
      const accepted = server.accept(listener, (caller, _data, _sqos, _gqos, callee) => {
        seen.push(caller, callee);
        return CF_ACCEPT;
      });
      assert.notEqual(accepted, INVALID_SOCKET);
      assert.deepEqual(seen, [from, server.name(port)]);
      assert.equal(await bench.outcome(connecting), 0);
    },
  ),

  scenario(
    'WSD-CON-9 WSD-THR-3 a connect that has no answer yet returns at once, and goes on without the caller',
    async (bench) => {
      const { server, client } = bench;
      const port = bench.port();
      const listener = server.listen(port);
      const { socket } = client.select(client.bound(bench.port()), FD_CONNECT);
      assert.equal(client.failure(client.connectCall(socket, server.name(port))), WSAEWOULDBLOCK);
      assert.equal(client.failure(client.connectCall(socket, server.name(port))), WSAEALREADY);
      // Nothing more is asked of the client's provider.
      await bench.until(() => listener.event.signalled, 'the request has arrived');
      assert.notEqual(server.accept(listener), INVALID_SOCKET);
      await bench.until(() => client.log.includes('set'), 'the connect has ended');
    },
  ),

  scenario('WSD-CON-10 FD_CONNECT carries the result, once', async (bench) => {
    const { server, client } = bench;
    const { listener, connecting, port } = await bench.requested();
    assert.equal(connecting.event.signalled, false);
    assert.equal(client.enumerate(connecting).lNetworkEvents, 0);
    assert.notEqual(server.accept(listener), INVALID_SOCKET);
    client.log.length = 0;
    await bench.until(() => connecting.event.signalled, 'the connect has ended');
    const events = client.enumerate(connecting);
    assert.deepEqual([events.lNetworkEvents, events.iErrorCode[FD_CONNECT_BIT]], [FD_CONNECT, 0]);
    assert.deepEqual(client.log, ['set', 'reset']);
    await bench.settle();
    assert.equal(client.enumerate(connecting).lNetworkEvents, 0);
    assert.equal(client.failure(client.connectCall(connecting.socket, server.name(port))), WSAEISCONN);
    const refused = await bench.another(listener, port);
    server.accept(listener, () => CF_REJECT);
    await bench.until(() => refused.event.signalled, 'the connect has ended');
    const failure = client.enumerate(refused);
    assert.deepEqual([failure.lNetworkEvents, failure.iErrorCode[FD_CONNECT_BIT]], [FD_CONNECT, WSAECONNREFUSED]);
  }),

  scenario('WSD-CON-28 connect errors that need no peer', (bench) => {
    const { client } = bench;
    const { table, errno } = client;
    const to = bench.server.name(1234);
    const connect = (socket: Parameters<typeof client.connectCall>[0], target: typeof to): number =>
      client.failure(client.connectCall(socket, target));
    assert.equal(connect(client.socket(), to), WSAEINVAL, 'not bound');
    const socket = client.bound(bench.port());
    assert.equal(connect(socket, { ...to, port: 0 }), WSAEADDRNOTAVAIL);
    assert.equal(connect(socket, { ...to, sa_family: AF_INET6, address: '::1' }), WSAEAFNOSUPPORT);
    assert.equal(connect(socket, name(80, 'nowhere')), WSAEFAULT);
    const data = table.WSPConnect(socket, to, 16, new Uint8Array(1), null, null, null, errno);
    assert.equal(client.failure(data), WSAEPROTONOSUPPORT);
    const qos = { SendingFlowspec: {}, ReceivingFlowspec: {}, ProviderSpecific: null };
    assert.equal(client.failure(table.WSPConnect(socket, to, 16, null, null, qos, null, errno)), WSAEOPNOTSUPP);
    assert.equal(connect(client.listen(bench.port()).socket, to), WSAEINVAL);
    client.close(socket);
    assert.equal(connect(socket, to), WSAENOTSOCK);
  }),

  scenario(
    `WSD-CON-14 WSD-CON-15 WSD-CON-16 where nobody, or nobody with Sockets Direct, can be reached, no final error is given; the peer's own refusal is`,
    async (bench) => {
      const { server, client } = bench;
      const outcomes: Record<string, number> = {};
      outcomes['nobody has ever listened'] = await bench.attempt(server.name(bench.port()));
      outcomes['an address that nobody of the SAN has'] = await bench.attempt(name(bench.port(), '10.1.0.77'));
      const closed = bench.port();
      server.close(server.listen(closed).socket);
      outcomes['the listener has been closed'] = await bench.attempt(server.name(closed));
      const closing = await bench.requested();
      server.close(closing.listener.socket);
      outcomes['the listener closes before it accepts'] = await bench.outcome(closing.connecting);
      const silent = await bench.requested();
      outcomes['nobody answers'] = await bench.outcome(silent.connecting);
      const poor = await bench.requested();
      server.handlesLeft = 0;
      server.accept(poor.listener);
      server.handlesLeft = Number.POSITIVE_INFINITY;
      outcomes['the acceptor has no handle left'] = await bench.outcome(poor.connecting);
      for (const [what, error] of Object.entries(outcomes)) {
        assert.ok(error !== 0 && !final.includes(error), `${what}: ${error}`);
      }
      assert.equal(outcomes['nobody has ever listened'], WSAETIMEDOUT);
      assert.equal(outcomes['nobody answers'], WSAETIMEDOUT);
      const refused = await bench.requested();
      server.accept(refused.listener, () => CF_REJECT);
      assert.equal(await bench.outcome(refused.connecting), WSAECONNREFUSED, 'the application refused');
      const dying = await bench.requested();
      server.kill();
      const error = await bench.outcome(dying.connecting);
      assert.ok(error !== 0 && !final.includes(error), `the peer dies: ${error}`);
      assert.equal(client.log.includes('set'), true);
    },
    { connectBudget: 300 },
  ),

  scenario(
    'WSD-CON-8 an outcome that is known at once is returned by WSPConnect itself, and no event follows',
    async (bench) => {
      const { client } = bench;
      const { socket, event } = client.select(client.bound(bench.port()), FD_CONNECT);
      const bad = { ...bench.server.name(1), port: 0 };
      assert.equal(client.failure(client.connectCall(socket, bad)), WSAEADDRNOTAVAIL);
      await bench.settle();
      assert.equal(event.signalled, false);
      assert.equal(client.enumerate({ socket, event }).lNetworkEvents, 0);
      // The socket is as before.
      const port = bench.port();
      const listener = bench.server.listen(port);
      assert.equal(client.failure(client.connectCall(socket, bench.server.name(port))), WSAEWOULDBLOCK);
      await bench.until(() => listener.event.signalled, 'the request has arrived');
      assert.notEqual(bench.server.accept(listener), INVALID_SOCKET);
      assert.equal(await bench.outcome({ socket, event }), 0);
    },
  ),

  scenario(
    'WSD-CON-29 a connect that gets no answer in its budget is withdrawn, and can no longer be accepted',
    async (bench) => {
      const { server } = bench;
      const { listener, connecting } = await bench.requested();
      assert.equal(await bench.outcome(connecting), WSAETIMEDOUT);
      const late = server.accept(listener, () => assert.fail('not asked about one that is gone'));
      assert.equal(server.failure(late), WSAEWOULDBLOCK);
    },
    { connectBudget: 50 },
  ),

  scenario(
    'WSD-CON-22 WSD-CON-23 closing cancels a pending connect at once: no event, no acceptance, nothing left',
    async (bench) => {
      const { server, client } = bench;
      const { listener, connecting } = await bench.requested();
      client.log.length = 0;
      client.close(connecting.socket);
      assert.equal(client.log.length, 1, 'its handle is given back, and nothing else happens');
      assert.equal(client.closed.size, client.created.length);
      const late = server.accept(listener, () => assert.fail('not asked about one that is gone'));
      assert.equal(server.failure(late), WSAEWOULDBLOCK);
      await bench.settle();
      assert.equal(connecting.event.signalled, false);
    },
  ),

  scenario(
    'WSD-ACC-32 WSD-CON-23 a request that is withdrawn while the condition function runs is not accepted, and its handle is given back',
    async (bench) => {
      const { server, client } = bench;
      const { listener, connecting, port } = await bench.requested();
      const second = await bench.another(listener, port);
      server.enumerate(listener);
      server.log.length = 0;
      let asked = 0;
      const result = server.accept(listener, () => {
        asked++;
        client.close(connecting.socket);
        return CF_ACCEPT;
      });
      assert.equal(server.failure(result), WSAEACCES);
      assert.equal(asked, 1);
      assert.equal(
        server.log.filter((what) => what.startsWith('create')).length,
        server.log.filter((what) => what.startsWith('close')).length,
      );
      assert.ok(listener.event.signalled, 'the next one is announced');
      assert.notEqual(server.accept(listener), INVALID_SOCKET);
      assert.equal(await bench.outcome(second), 0);
    },
  ),

  scenario(
    'WSD-CON-29 WSD-CON-10 acceptance and withdrawal exclude each other, whichever comes first, and each side is told once',
    async (bench) => {
      const { server, client } = bench;
      const listener = server.listen(bench.port(), 64);
      const port = 40_000;
      let accepted = 0;
      let connected = 0;
      let withdrawn = 0;
      for (let round = 0; round < 40; round++) {
        const connecting = bench.connecting(port);
        await bench.until(() => listener.event.signalled || connecting.event.signalled, 'something has happened');
        server.enumerate(listener);
        // Sometimes at once, sometimes about when the budget ends, sometimes late.
        const wait = round % 4;
        let turns = 0;
        if (wait > 0) await bench.until(() => connecting.event.signalled || turns++ > wait * 40, 'some turns');
        const socket = server.accept(listener, () => CF_ACCEPT);
        const error = await bench.outcome(connecting);
        if (error === 0) connected++;
        else {
          assert.equal(error, WSAETIMEDOUT);
          withdrawn++;
        }
        if (socket === INVALID_SOCKET) server.failure(socket);
        else {
          accepted++;
          assert.equal(error, 0, 'who was accepted is connected');
          server.close(socket);
        }
        await bench.settle();
        assert.equal(client.enumerate(connecting).lNetworkEvents, 0, 'once');
        client.close(connecting.socket);
      }
      assert.equal(accepted, connected);
      assert.equal(accepted + withdrawn, 40);
      assert.ok(accepted > 0);
    },
    { connectBudget: 8 },
  ),

  scenario(
    'WSD-CON-29 WSD-ACC-22 an acceptance is final: the budget has no say any more, and data flows',
    async (bench) => {
      const { server, client } = bench;
      const { listener, connecting } = await bench.requested();
      const theirs = server.accept(listener);
      assert.ok(theirs !== INVALID_SOCKET);
      assert.equal(await bench.outcome(connecting), 0);
      await bench.settle();
      bench.posted(theirs);
      const overlapped = client.say(connecting.socket, 'hello', notify());
      await bench.received(1);
      assert.equal(overlapped.OffsetHigh, 0);
    },
    { connectBudget: 200 },
  ),
];
