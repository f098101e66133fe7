/** Making and binding sockets, and their network events. */

import assert from 'node:assert/strict';
import {
  AF_INET,
  AF_INET6,
  EventObject,
  FD_ACCEPT,
  FD_ACCEPT_BIT,
  FD_CONNECT,
  FD_CONNECT_BIT,
  FD_READ,
  INVALID_SOCKET,
  IPPROTO_TCP,
  type ProviderSocket,
  SOCK_STREAM,
  type SOCKADDR,
  WSA_FLAG_OVERLAPPED,
  WSAEADDRNOTAVAIL,
  WSAEAFNOSUPPORT,
  WSAEFAULT,
  WSAEINVAL,
  WSAENOBUFS,
  WSAENOTSOCK,
  WSAEPROTONOSUPPORT,
  WSAESOCKTNOSUPPORT,
  WSAEWOULDBLOCK,
  WSANETWORKEVENTS,
} from '../../spi/index.js';
import { name } from '../memory.js';
import { connectedScenario, type Scenario, scenario } from '../scenario.js';

export const sockets: readonly Scenario[] = [
  scenario('WSD-SOC-24 WSPSocket fails with the error of its argument, and then makes no handle', ({ server }) => {
    const { table, errno } = server;
    const socket = (af: number, type: number, protocol: number, flags: number): unknown =>
      table.WSPSocket(af, type, protocol, null, 0, flags, errno);
    assert.equal(server.failure(socket(17, SOCK_STREAM, IPPROTO_TCP, WSA_FLAG_OVERLAPPED)), WSAEAFNOSUPPORT);
    assert.equal(server.failure(socket(AF_INET, 2, IPPROTO_TCP, WSA_FLAG_OVERLAPPED)), WSAESOCKTNOSUPPORT);
    assert.equal(server.failure(socket(AF_INET, SOCK_STREAM, 17, WSA_FLAG_OVERLAPPED)), WSAEPROTONOSUPPORT);
    assert.equal(server.failure(socket(AF_INET, SOCK_STREAM, IPPROTO_TCP, 0)), WSAEINVAL);
    assert.deepEqual(server.log, []);
    for (const family of [AF_INET, AF_INET6]) server.socket(family);
    server.handlesLeft = 0;
    assert.equal(server.failure(socket(AF_INET, SOCK_STREAM, IPPROTO_TCP, WSA_FLAG_OVERLAPPED)), WSAENOBUFS);
  }),

  scenario(
    'WSD-SOC-7 WSD-SOC-8 WSD-SOC-9 WSPSocket makes its record, gets a switch handle for it, and returns its own descriptor',
    ({ server }) => {
      const made = [server.socket(), server.socket()];
      assert.deepEqual(server.log, ['create 0', 'create 1']);
      assert.notEqual(made[0], made[1]);
      server.created.forEach((handle, i) => {
        // The context leads back from the handle to the record.
        assert.equal(handle.context, made[i]);
        assert.notEqual(handle, made[i]);
        assert.equal(handle.catalogEntryId, server.party.provider.protocolInfo.dwCatalogEntryId);
      });
      server.close(made[0]!);
      assert.deepEqual(server.log.slice(2), ['close 0'], 'the record knows its handle');
    },
  ),

  connectedScenario(
    'WSD-SOC-11 WSD-THR-7 up-calls name the switch handle of their socket: completions, and the last one',
    async (bench, mine, theirs) => {
      const { server } = bench;
      const other = await bench.connected();
      const [first, second] = server.created.filter(({ context }) => context === theirs || context === other.theirs);
      const overlapped = bench.posted(other.theirs).overlapped;
      bench.posted(theirs);
      bench.client.say(other.mine, 'second');
      await bench.received(1);
      bench.client.say(mine, 'first');
      await bench.received(2);
      assert.deepEqual(
        server.completions.map(({ handle }) => handle),
        [second, first],
      );
      assert.equal(server.completions[0]?.overlapped, overlapped);
      server.close(other.theirs);
      assert.ok(server.closed.has(second!) && !server.closed.has(first!));
    },
  ),

  scenario('WSD-SOC-22 WSD-SOC-23 WSPBind errors; an address in use is none of them', ({ server }) => {
    const { table, errno } = server;
    const bind = (socket: unknown, to: SOCKADDR): number => table.WSPBind(socket as ProviderSocket, to, 16, errno);
    const socket = server.socket();
    assert.equal(server.failure(bind(socket, name(1, '192.0.2.1'))), WSAEADDRNOTAVAIL);
    const good = server.name(1);
    for (const bad of [
      server.name(0),
      server.name(65_536),
      server.name(-1),
      { ...good, sa_family: 1 },
      { ...good, sa_family: AF_INET6 },
    ]) {
      assert.equal(server.failure(bind(socket, bad)), WSAEFAULT);
    }
    for (const text of ['', 'localhost', '1.2.3', '::1', '127.0.0.1.1', 'fffff::']) {
      assert.equal(server.failure(bind(socket, name(1, text))), WSAEFAULT, text);
    }
    assert.equal(bind(socket, server.name(4711)), 0);
    assert.equal(server.failure(bind(socket, server.name(4712))), WSAEINVAL);
    assert.equal(bind(server.socket(), server.name(4711)), 0);
    assert.equal(server.failure(bind({ spi: 'ProviderSocket' }, server.name(1))), WSAENOTSOCK);
    assert.equal(server.failure(bind(INVALID_SOCKET, server.name(1))), WSAENOTSOCK);
  }),

  scenario(
    'WSD-SOC-21 family, address and port of WSPBind are read, so each listener gets what was meant for it',
    async (bench) => {
      const { server, client } = bench;
      const [one, other] = [bench.port(), bench.port()];
      const listeners = [server.listen(one), server.listen(other)];
      for (const [i, port] of [one, other].entries()) {
        const from = bench.port();
        const connecting = client.connect(server.name(port), from);
        await bench.until(() => listeners[i]!.event.signalled, 'the request has arrived');
        server.enumerate(listeners[i]!);
        const seen: SOCKADDR[] = [];
        const accepted = server.accept(listeners[i]!, (caller, _data, _sqos, _gqos, callee) => {
          seen.push(caller, callee);
          return 0;
        });
        assert.notEqual(accepted, INVALID_SOCKET);
        assert.deepEqual(seen, [client.name(from), server.name(port)]);
        assert.equal(await bench.outcome(connecting), 0);
        assert.equal(listeners[1 - i]!.event.signalled, false);
      }
    },
  ),

  scenario('WSD-SOC-26 a token of duplication that nobody has given makes no socket', ({ server }) => {
    const info = { ...server.party.provider.protocolInfo, dwProviderReserved: 4711 };
    const { table, errno } = server;
    const made = table.WSPSocket(AF_INET, SOCK_STREAM, IPPROTO_TCP, info, 0, WSA_FLAG_OVERLAPPED, errno);
    assert.equal(server.failure(made), WSAEINVAL);
    assert.deepEqual(server.log, []);
    info.dwProviderReserved = 0;
    const plain = table.WSPSocket(AF_INET, SOCK_STREAM, IPPROTO_TCP, info, 0, WSA_FLAG_OVERLAPPED, errno);
    assert.notEqual(plain, INVALID_SOCKET);
  }),

  scenario(
    'WSD-EVT-2 WSD-EVT-10 WSD-EVT-11 only FD_ACCEPT and FD_CONNECT can be selected, with an event; sockets that are none are refused',
    ({ server }) => {
      const { table, errno } = server;
      const socket = server.socket();
      const event = new EventObject();
      for (const mask of [FD_READ, FD_ACCEPT | FD_READ, 0x3f]) {
        assert.equal(server.failure(table.WSPEventSelect(socket, event, mask, errno)), WSAEINVAL);
      }
      assert.equal(server.failure(table.WSPEventSelect(socket, null, FD_ACCEPT, errno)), WSAEINVAL);
      for (const mask of [FD_ACCEPT, FD_CONNECT, FD_ACCEPT | FD_CONNECT, 0]) {
        assert.equal(table.WSPEventSelect(socket, mask === 0 ? null : event, mask, errno), 0);
      }
      server.close(socket);
      assert.equal(server.failure(table.WSPEventSelect(socket, event, FD_ACCEPT, errno)), WSAENOTSOCK);
      const events = new WSANETWORKEVENTS();
      assert.equal(server.failure(table.WSPEnumNetworkEvents(socket, event, events, errno)), WSAENOTSOCK);
    },
  ),

  scenario('WSD-EVT-3 both events may be selected at once, on a listener as on a connecting socket', async (bench) => {
    const { server, client } = bench;
    const port = bench.port();
    const { socket } = server.listen(port);
    const listener = server.select(socket, FD_ACCEPT | FD_CONNECT);
    const connecting = client.select(client.bound(bench.port()), FD_ACCEPT | FD_CONNECT);
    assert.equal(client.failure(client.connectCall(connecting.socket, server.name(port))), WSAEWOULDBLOCK);
    await bench.until(() => listener.event.signalled, 'the request has arrived');
    assert.equal(server.enumerate(listener).lNetworkEvents, FD_ACCEPT);
    assert.notEqual(server.accept(listener), INVALID_SOCKET);
    assert.equal(await bench.outcome(connecting), 0);
  }),

  scenario('WSD-EVT-4 an event and its error are recorded before the event object is signalled', async (bench) => {
    const { server, client } = bench;
    const { listener, connecting } = await bench.requested(1);
    server.enumerate(listener);
    const seen: [number, number][] = [];
    client.onUpcall = (what) => {
      if (what !== 'set') return;
      const events = client.enumerate(connecting);
      seen.push([events.lNetworkEvents, events.iErrorCode[FD_CONNECT_BIT]!]);
    };
    server.accept(listener, () => 1);
    await bench.until(() => seen.length > 0, 'the connect has ended');
    assert.deepEqual(seen, [[FD_CONNECT, 10061]]);
  }),

  scenario('WSD-EVT-4 what happens before anybody selects is recorded and reported later', async (bench) => {
    const { server, client } = bench;
    const port = bench.port();
    const socket = server.bound(port);
    assert.equal(server.table.WSPListen(socket, 4, server.errno), 0);
    client.connect(server.name(port), bench.port());
    await bench.settle();
    await bench.until(() => {
      const events = new WSANETWORKEVENTS();
      server.table.WSPEnumNetworkEvents(socket, null, events, server.errno);
      return events.lNetworkEvents === FD_ACCEPT;
    }, 'the request is reported');
    assert.ok(!server.log.includes('set'));
  }),

  scenario('WSD-EVT-5 WSD-LSN-6 WSD-ACC-4 a request is queued, signalled, and reported once', async (bench) => {
    const { listener } = await bench.requested();
    const events = bench.server.enumerate(listener);
    assert.deepEqual([events.lNetworkEvents, events.iErrorCode[FD_ACCEPT_BIT]], [FD_ACCEPT, 0]);
    assert.equal(bench.server.enumerate(listener).lNetworkEvents, 0);
  }),

  scenario(
    'WSD-EVT-6 WSD-EVT-7 enumerating clears the record and resets the event, so that the next one signals; failing does neither',
    async (bench) => {
      const { server } = bench;
      const { listener, port } = await bench.requested();
      const { table, errno } = server;
      const wrong = table.WSPEnumNetworkEvents(INVALID_SOCKET as never, listener.event, new WSANETWORKEVENTS(), errno);
      assert.equal(server.failure(wrong), WSAENOTSOCK);
      assert.ok(listener.event.signalled);
      server.log.length = 0;
      assert.equal(server.enumerate(listener).lNetworkEvents, FD_ACCEPT);
      assert.deepEqual(server.log, ['reset']);
      assert.equal(listener.event.signalled, false);
      bench.connecting(port);
      await bench.until(() => listener.event.signalled, 'the next request signals');
      assert.equal(server.enumerate(listener).lNetworkEvents, FD_ACCEPT);
    },
  ),

  scenario(
    'WSD-EVT-8 a new selection replaces the old one, signals what is recorded already, and a zero mask cancels',
    async (bench) => {
      const { server } = bench;
      const { listener, port } = await bench.requested();
      assert.equal(server.table.WSPEventSelect(listener.socket, null, 0, server.errno), 0);
      listener.event.reset();
      bench.connecting(port);
      await bench.settle();
      assert.equal(listener.event.signalled, false, 'cancelled');
      const later = server.select(listener.socket, FD_ACCEPT);
      assert.ok(later.event.signalled, 'at once');
      await bench.another(later, port);
      assert.equal(listener.event.signalled, false, 'replaced');
    },
  ),

  scenario('WSD-EVT-9 WSD-CON-6 after WSPEventSelect neither WSPAccept nor WSPConnect waits', async (bench) => {
    const { server, client } = bench;
    const port = bench.port();
    const listener = server.listen(port);
    assert.equal(server.failure(server.accept(listener, () => assert.fail('nothing is queued'))), WSAEWOULDBLOCK);
    const connecting = client.select(client.bound(bench.port()), FD_CONNECT);
    assert.equal(client.failure(client.connectCall(connecting.socket, server.name(port))), WSAEWOULDBLOCK);
    assert.equal(connecting.event.signalled, false, 'nobody has accepted');
    assert.equal(client.enumerate(connecting).lNetworkEvents, 0);
  }),
];
