/** WSPListen and its queue. */

import assert from 'node:assert/strict';
import {
  CF_ACCEPT,
  FD_ACCEPT,
  INVALID_SOCKET,
  SOMAXCONN,
  WSAECONNREFUSED,
  WSAECONNRESET,
  WSAEHOSTUNREACH,
  WSAEINVAL,
  WSAEISCONN,
  WSAENOTSOCK,
  WSAEWOULDBLOCK,
} from '../../spi/index.js';
import { name } from '../memory.js';
import type { Selected } from '../node.js';
import { type Scenario, scenario } from '../scenario.js';

/** What SOMAXCONN holds at least, unless the author declares another number. */
const somaxconn = 128;

export const listening: readonly Scenario[] = [
  scenario('WSD-LSN-12 WSPListen errors', async (bench) => {
    const { server, client } = bench;
    assert.equal(server.failure(server.table.WSPListen(server.socket(), 1, server.errno)), WSAEINVAL);
    const { mine } = await bench.connected();
    assert.equal(client.failure(client.table.WSPListen(mine, 1, client.errno)), WSAEISCONN);
    client.close(mine);
    assert.equal(client.failure(client.table.WSPListen(mine, 1, client.errno)), WSAENOTSOCK);
  }),

  scenario(
    'WSD-LSN-8 WSD-LSN-9 WSD-LSN-10 a full queue refuses at once, signals nothing and does not ask the switch',
    async (bench) => {
      const { server } = bench;
      for (const backlog of [1, 3]) {
        const { listener, connecting, port } = await bench.requested(backlog);
        const queued = [connecting];
        while (queued.length < backlog) queued.push(await bench.another(listener, port));
        server.enumerate(listener);
        server.log.length = 0;
        for (let i = 0; i < 3; i++) assert.equal(await bench.outcome(bench.connecting(port)), WSAECONNREFUSED);
        assert.deepEqual(server.log, []);
        assert.equal(listener.event.signalled, false);
        assert.equal(server.enumerate(listener).lNetworkEvents, 0);
        const asked: number[] = [];
        for (const _ of queued) {
          const accepted = server.accept(listener, (caller) => {
            asked.push(caller.port);
            return CF_ACCEPT;
          });
          assert.notEqual(accepted, INVALID_SOCKET);
        }
        assert.equal(server.failure(server.accept(listener, () => assert.fail('a refused one'))), WSAEWOULDBLOCK);
        assert.equal(new Set(asked).size, backlog);
        for (const one of queued) assert.equal(await bench.outcome(one), 0);
      }
    },
  ),

  scenario('WSD-LSN-8 a request that was taken or withdrawn makes room in the queue', async (bench) => {
    const { server, client } = bench;
    const { listener, connecting, port } = await bench.requested(1);
    client.close(connecting.socket);
    await bench.settle();
    const next = await bench.another(listener, port);
    assert.notEqual(server.accept(listener), INVALID_SOCKET);
    assert.equal(await bench.outcome(next), 0);
    const last = await bench.another(listener, port);
    assert.equal(await bench.outcome(bench.connecting(port)), WSAECONNREFUSED);
    assert.equal(last.event.signalled, false);
  }),

  scenario(
    'WSD-LSN-11 SOMAXCONN is room for as large a burst as the provider declares',
    async (bench) => {
      const { server, subject } = bench;
      const size = subject.somaxconn ?? somaxconn;
      const { listener, connecting, port } = await bench.requested(SOMAXCONN);
      const burst: Selected[] = [connecting];
      while (burst.length < size) burst.push(bench.connecting(port));
      // An event loop may take one of them in each of its turns.
      for (let i = 0; i < size; i += 16) await bench.settle();
      assert.ok(
        burst.every(({ event }) => !event.signalled),
        'none is refused',
      );
      server.enumerate(listener);
      let accepted = 0;
      while (server.accept(listener) !== INVALID_SOCKET) accepted++;
      assert.equal(accepted, size);
      await bench.until(() => burst.every(({ event }) => event.signalled), 'all are connected');
      for (const one of burst) assert.equal(await bench.outcome(one), 0);
    },
    { connectBudget: 60_000 },
  ),

  scenario('WSD-LSN-13 a second WSPListen changes the backlog and refuses the newest surplus', async (bench) => {
    const { server } = bench;
    const { listener, connecting, port } = await bench.requested(4);
    const others = [await bench.another(listener, port), await bench.another(listener, port)];
    assert.equal(server.table.WSPListen(listener.socket, 2, server.errno), 0);
    assert.equal(await bench.outcome(others[1]!), WSAECONNREFUSED);
    assert.equal(connecting.event.signalled || others[0]!.event.signalled, false, 'the oldest stay');
    assert.equal(await bench.outcome(bench.connecting(port)), WSAECONNREFUSED, 'the new backlog holds');
    assert.equal(server.table.WSPListen(listener.socket, 3, server.errno), 0);
    const more = await bench.another(listener, port);
    for (const one of [connecting, others[0]!, more]) {
      assert.notEqual(server.accept(listener), INVALID_SOCKET);
      assert.equal(await bench.outcome(one), 0);
    }
  }),

  scenario(
    'WSD-LSN-15 closing a listener turns away what waits, with an error that leads to TCP/IP, where somebody may still listen',
    async (bench) => {
      const { server } = bench;
      const { listener, connecting, port } = await bench.requested();
      const second = await bench.another(listener, port);
      server.close(listener.socket);
      for (const one of [connecting, second]) {
        const error = await bench.outcome(one);
        assert.ok(![0, WSAECONNREFUSED, WSAECONNRESET, WSAEHOSTUNREACH].includes(error), `${error}`);
      }
    },
  ),

  scenario(
    'WSD-REG-13 a listener that is bound to the wildcard takes requests for every address of the provider',
    async (bench) => {
      const { server, client } = bench;
      const port = bench.port();
      const socket = server.bound(port, '0.0.0.0');
      assert.equal(server.table.WSPListen(socket, 8, server.errno), 0);
      const listener = server.select(socket, FD_ACCEPT);
      const { address, others } = server.party;
      assert.ok(others.length > 0);
      for (const called of [address, ...others]) {
        const connecting = client.connect(name(port, called), bench.port());
        await bench.until(() => listener.event.signalled, called);
        server.enumerate(listener);
        const accepted = server.accept(listener, (_caller, _data, _sqos, _gqos, callee) => {
          assert.deepEqual(callee, name(port, called));
          return CF_ACCEPT;
        });
        assert.notEqual(accepted, INVALID_SOCKET);
        assert.equal(await bench.outcome(connecting), 0);
      }
    },
  ),
];
