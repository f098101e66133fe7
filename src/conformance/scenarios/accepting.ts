/** WSPAccept, its condition function, and what the peer is told. */

import assert from 'node:assert/strict';
import {
  CF_ACCEPT,
  CF_DEFER,
  CF_REJECT,
  type ConditionFunction,
  INVALID_SOCKET,
  SO_DEBUG,
  SO_MAX_MSG_SIZE,
  SO_MAX_RDMA_SIZE,
  SO_RDMA_THRESHOLD_SIZE,
  SOL_SOCKET,
  WSA_IO_PENDING,
  WSAECONNREFUSED,
  WSAEFAULT,
  WSAEINVAL,
  WSAEISCONN,
  WSAENOBUFS,
  WSAENOPROTOOPT,
  WSAENOTSOCK,
  WSAEWOULDBLOCK,
  WSATRY_AGAIN,
} from '../../spi/index.js';
import { buffer, name, notify } from '../memory.js';
import { type Scenario, scenario } from '../scenario.js';

export const accepting: readonly Scenario[] = [
  scenario(
    'WSD-ACC-8 WSD-ACC-31 WSD-ACC-33 the condition is asked once, inside WSPAccept, with both addresses and its data',
    async (bench) => {
      const { server } = bench;
      const { listener, port, from } = await bench.requested();
      server.enumerate(listener);
      const data = { opaque: true };
      const asked: unknown[][] = [];
      let inside = true;
      const condition: ConditionFunction = (...args) => {
        assert.ok(inside);
        asked.push(args);
        return CF_ACCEPT;
      };
      const { WSPAccept } = server.table;
      const accepted = WSPAccept(listener.socket, null, null, condition, data, server.errno);
      inside = false;
      assert.ok(accepted !== INVALID_SOCKET);
      await bench.settle();
      assert.deepEqual(asked, [[from, null, null, null, server.name(port), null, { value: 0 }, data]]);
      assert.equal(asked[0]?.[7], data);
      assert.deepEqual(data, { opaque: true });
      assert.equal(server.failure(server.accept(listener, () => assert.fail('nothing is queued'))), WSAEWOULDBLOCK);
    },
  ),

  scenario(
    'WSD-THR-1 WSD-ACC-8 exactly one question for an acceptance, a refusal or a deferral, none for an empty queue or a bad buffer',
    async (bench) => {
      const { server } = bench;
      let inside = false;
      let asked = 0;
      const accept = (
        listener: Parameters<typeof server.accept>[0],
        verdict: number,
        size: number | null = null,
      ): readonly [number, number] => {
        asked = 0;
        inside = true;
        const condition: ConditionFunction = () => {
          assert.ok(inside, 'never after the return');
          asked++;
          return verdict;
        };
        const addr = size === null ? null : { ...name(0, '0.0.0.0') };
        const addrlen = size === null ? null : { value: size };
        const result = server.table.WSPAccept(listener.socket, addr, addrlen, condition, null, server.errno);
        inside = false;
        return [asked, result === INVALID_SOCKET ? server.failure(result) : 0];
      };
      const { listener, port } = await bench.requested();
      assert.deepEqual(accept(listener, CF_DEFER), [1, WSATRY_AGAIN]);
      assert.deepEqual(accept(listener, CF_ACCEPT, 1), [0, WSAEFAULT]);
      assert.deepEqual(accept(listener, CF_ACCEPT), [1, 0]);
      assert.deepEqual(accept(listener, CF_ACCEPT), [0, WSAEWOULDBLOCK]);
      await bench.another(listener, port);
      assert.deepEqual(accept(listener, CF_REJECT), [1, WSAECONNREFUSED]);
      await bench.another(listener, port);
      assert.deepEqual(accept(listener, 17), [1, WSAEINVAL]);
      await bench.settle();
      assert.deepEqual(accept(listener, CF_ACCEPT), [0, WSAEWOULDBLOCK]);
    },
  ),

  scenario(
    'WSD-ACC-12 WSD-ACC-13 WSD-ACC-14 the handle is made inside WSPAccept, after the verdict, and names the record',
    async (bench) => {
      const { server } = bench;
      const { listener, connecting } = await bench.requested();
      server.enumerate(listener);
      server.log.length = 0;
      const accepted = server.accept(listener, () => {
        assert.deepEqual(server.log, []);
        return CF_ACCEPT;
      });
      assert.ok(accepted !== INVALID_SOCKET);
      const made = server.created.length - 1;
      assert.deepEqual(
        server.log.filter((what) => what.startsWith('create')),
        [`create ${made}`],
      );
      assert.equal(server.created[made]?.context, accepted);
      assert.equal(server.created[made]?.catalogEntryId, server.party.provider.protocolInfo.dwCatalogEntryId);
      assert.equal(await bench.outcome(connecting), 0);
    },
  ),

  scenario(
    'WSD-ACC-15 WSD-ACC-16 the descriptor returned is good for later calls, and up-calls name its handle',
    async (bench) => {
      const { server, client } = bench;
      const { listener, connecting } = await bench.requested();
      const accepted = server.accept(listener);
      assert.ok(accepted !== INVALID_SOCKET);
      const handle = server.created.at(-1);
      const at = buffer(server.memory(accepted, 64));
      assert.equal(server.failure(server.recv(accepted, at, notify())), WSA_IO_PENDING);
      assert.equal(await bench.outcome(connecting), 0);
      client.say(connecting.socket, 'x');
      await bench.received(1);
      assert.equal(server.completions[0]?.handle, handle);
      server.close(accepted);
      assert.ok(server.closed.has(handle!));
    },
  ),

  scenario(
    'WSD-ACC-21 WSD-ACC-22 the peer is told nothing before the condition, and of the acceptance after it',
    async (bench) => {
      const { server, client } = bench;
      const { listener, connecting } = await bench.requested();
      await bench.settle();
      assert.equal(connecting.event.signalled, false);
      // Whatever a provider said before it asked would arrive now.
      assert.equal(server.failure(server.accept(listener, () => CF_DEFER)), WSATRY_AGAIN);
      await bench.settle();
      assert.equal(connecting.event.signalled, false);
      assert.equal(client.enumerate(connecting).lNetworkEvents, 0);
      assert.notEqual(server.accept(listener), INVALID_SOCKET);
      assert.equal(await bench.outcome(connecting), 0);
    },
  ),

  scenario(
    'WSD-ACC-20 WSD-ACC-23 WSD-ACC-24 CF_REJECT: both sides get WSAECONNREFUSED, and no handle is made',
    async (bench) => {
      const { server } = bench;
      const { listener, connecting } = await bench.requested();
      const before = server.created.length;
      assert.equal(server.failure(server.accept(listener, () => CF_REJECT)), WSAECONNREFUSED);
      assert.equal(server.created.length, before);
      assert.equal(await bench.outcome(connecting), WSAECONNREFUSED);
    },
  ),

  scenario(
    'WSD-ACC-32 a verdict that is none, a promise too, refuses and is WSAEINVAL; so is a socket that does not listen',
    async (bench) => {
      const { server } = bench;
      const { listener, connecting, port } = await bench.requested();
      const before = server.created.length;
      const verdicts: unknown[] = [17, Promise.resolve(CF_ACCEPT), undefined, '0', null, Number.NaN];
      let waiting = connecting;
      for (const verdict of verdicts) {
        assert.equal(server.failure(server.accept(listener, () => verdict as number)), WSAEINVAL);
        assert.equal(await bench.outcome(waiting), WSAECONNREFUSED);
        waiting = await bench.another(listener, port);
      }
      assert.equal(server.created.length, before);
      for (const socket of [server.socket(), server.bound(bench.port())]) {
        assert.equal(server.failure(server.accept({ ...listener, socket })), WSAEINVAL);
      }
    },
  ),

  scenario('WSD-ACC-10 CF_DEFER keeps the request at the head of the queue', async (bench) => {
    const { server } = bench;
    const { listener, connecting, port, from } = await bench.requested();
    const second = await bench.another(listener, port);
    for (let i = 0; i < 3; i++) assert.equal(server.failure(server.accept(listener, () => CF_DEFER)), WSATRY_AGAIN);
    const accepted = server.accept(listener, (caller) => {
      assert.deepEqual(caller, from);
      return CF_ACCEPT;
    });
    assert.notEqual(accepted, INVALID_SOCKET);
    assert.equal(await bench.outcome(connecting), 0);
    assert.equal(second.event.signalled, false);
    assert.notEqual(server.accept(listener), INVALID_SOCKET);
    assert.equal(await bench.outcome(second), 0);
  }),

  scenario(
    'WSD-ACC-17 WSD-ACC-18 WSPAccept resets the event, and signals again exactly if more is queued',
    async (bench) => {
      const { server } = bench;
      const { listener, port } = await bench.requested();
      await bench.another(listener, port);
      server.enumerate(listener);
      listener.event.set();
      server.log.length = 0;
      assert.notEqual(server.accept(listener), INVALID_SOCKET);
      assert.deepEqual(
        server.log.filter((what) => what === 'set' || what === 'reset'),
        ['reset', 'set'],
      );
      assert.ok(listener.event.signalled, 'one is still queued');
      server.enumerate(listener);
      listener.event.set();
      assert.notEqual(server.accept(listener), INVALID_SOCKET);
      assert.equal(listener.event.signalled, false, 'none is queued');
    },
  ),

  scenario('WSD-ACC-18 a refusal leaves the others announced too', async (bench) => {
    const { server } = bench;
    const { listener, port } = await bench.requested();
    const second = await bench.another(listener, port);
    server.enumerate(listener);
    assert.equal(server.failure(server.accept(listener, () => CF_REJECT)), WSAECONNREFUSED);
    assert.ok(listener.event.signalled);
    assert.notEqual(server.accept(listener), INVALID_SOCKET);
    assert.equal(await bench.outcome(second), 0);
  }),

  scenario(
    'WSD-ACC-25 an accept that finds no handle refuses, with an error from which the peer can fall back',
    async (bench) => {
      const { server } = bench;
      const { listener, connecting, port } = await bench.requested();
      server.handlesLeft = 0;
      assert.equal(server.failure(server.accept(listener, () => CF_ACCEPT)), WSAENOBUFS);
      const error = await bench.outcome(connecting);
      assert.ok(error !== 0 && ![10054, WSAECONNREFUSED, 10065].includes(error), `${error}`);
      server.handlesLeft = 1;
      const next = await bench.another(listener, port);
      assert.notEqual(server.accept(listener), INVALID_SOCKET);
      assert.equal(await bench.outcome(next), 0);
    },
  ),

  scenario(
    `WSD-ACC-30 the peer's address goes out with its size; a buffer too small is WSAEFAULT, asks nobody, and the request stays`,
    async (bench) => {
      const { server } = bench;
      const { listener, from } = await bench.requested();
      const { WSPAccept } = server.table;
      const addr = name(1, '0.0.0.0');
      const addrlen = { value: 15 };
      const ask = (): number => assert.fail('not asked');
      assert.equal(server.failure(WSPAccept(listener.socket, addr, addrlen, ask, null, server.errno)), WSAEFAULT);
      assert.deepEqual(addr, name(1, '0.0.0.0'));
      addrlen.value = 28;
      assert.notEqual(WSPAccept(listener.socket, addr, addrlen, null, null, server.errno), INVALID_SOCKET);
      assert.deepEqual([addr, addrlen.value], [from, 16]);
    },
  ),

  scenario(
    `WSD-ACC-34 the accepted socket has its listener's options, and can itself neither accept nor listen nor be bound`,
    async (bench) => {
      const { server } = bench;
      const { listener } = await bench.requested();
      const { table, errno } = server;
      // The only option of the documents' list that a switch may set without quality of service (WSD-OPT-6).
      const set = table.WSPSetSockOpt(listener.socket, SOL_SOCKET, SO_DEBUG, 1, 4, errno);
      if (set !== 0) assert.equal(server.failure(set), WSAENOPROTOOPT);
      const accepted = server.accept(listener);
      assert.ok(accepted !== INVALID_SOCKET);
      const option = (socket: typeof accepted, level: number, option: number): readonly unknown[] => {
        const value = { value: 0 };
        return [table.WSPGetSockOpt(socket, level, option, value, { value: 4 }, errno), value.value];
      };
      for (const name of [SO_DEBUG, SO_MAX_MSG_SIZE, SO_MAX_RDMA_SIZE, SO_RDMA_THRESHOLD_SIZE]) {
        assert.deepEqual(option(accepted, SOL_SOCKET, name), option(listener.socket, SOL_SOCKET, name), `${name}`);
      }
      assert.equal(server.failure(server.accept({ ...listener, socket: accepted })), WSAEINVAL);
      assert.equal(server.failure(table.WSPListen(accepted, 1, errno)), WSAEISCONN);
      assert.equal(server.failure(table.WSPBind(accepted, server.name(1), 16, errno)), WSAEINVAL);
    },
  ),

  scenario(
    'WSD-ACC-32 a condition function that closes its listener ends WSPAccept with WSAENOTSOCK, and nothing is accepted',
    async (bench) => {
      const { server } = bench;
      const { listener, connecting } = await bench.requested();
      const before = server.created.length;
      const result = server.accept(listener, () => {
        server.close(listener.socket);
        return CF_ACCEPT;
      });
      assert.equal(server.failure(result), WSAENOTSOCK);
      assert.equal(server.created.length, before);
      assert.notEqual(await bench.outcome(connecting), 0);
    },
  ),

  scenario(
    'WSD-ACC-8 WSD-ACC-32 nothing else is accepted from inside a condition function, and one that throws decides nothing',
    async (bench) => {
      const { server } = bench;
      const { listener, connecting, port } = await bench.requested();
      const second = await bench.another(listener, port);
      const inner: number[] = [];
      const accepted = server.accept(listener, () => {
        inner.push(server.failure(server.accept(listener, () => assert.fail('nobody else is asked'))));
        return CF_ACCEPT;
      });
      assert.notEqual(accepted, INVALID_SOCKET);
      assert.deepEqual(inner, [WSAEINVAL]);
      assert.equal(await bench.outcome(connecting), 0);
      const fault = new Error('of the switch');
      assert.throws(
        () =>
          server.accept(listener, () => {
            throw fault;
          }),
        fault,
      );
      await bench.settle();
      assert.equal(second.event.signalled, false);
      assert.notEqual(server.accept(listener), INVALID_SOCKET);
      assert.equal(await bench.outcome(second), 0);
    },
  ),
];
