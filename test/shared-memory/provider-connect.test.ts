/** The provider as the switch sees it, up to the established connection. */

import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import {
  AF_INET,
  AF_INET6,
  CF_ACCEPT,
  CF_DEFER,
  CF_REJECT,
  EventObject,
  FD_ACCEPT,
  FD_ACCEPT_BIT,
  FD_CONNECT,
  FD_READ,
  INVALID_SOCKET,
  IPPROTO_TCP,
  type ProviderDiagnosticsExtension,
  ProviderDiagnosticsGuid,
  SIO_ADDRESS_LIST_QUERY,
  SIO_GET_EXTENSION_FUNCTION_POINTER,
  SOCK_STREAM,
  type SOCKET_ADDRESS_LIST,
  WINSOCK_VERSION,
  WSA_FLAG_OVERLAPPED,
  WSAEADDRNOTAVAIL,
  WSAEAFNOSUPPORT,
  WSAEALREADY,
  WSAECONNREFUSED,
  WSAECONNRESET,
  WSAEFAULT,
  WSAEINVAL,
  WSAEISCONN,
  WSAENOBUFS,
  WSAENOTSOCK,
  WSAEOPNOTSUPP,
  WSAEPROTONOSUPPORT,
  WSAESOCKTNOSUPPORT,
  WSAETIMEDOUT,
  WSAEWOULDBLOCK,
  WSANOTINITIALISED,
  WSATRY_AGAIN,
  WSAVERNOTSUPPORTED,
  WSPMemoryRegistrationCacheCallbackGuid,
  type WSPPROC_TABLE,
  WSPRdmaReadGuid,
} from '../../src/spi/index.js';
import { until } from '../link/support.js';
import { Bench, type Node, name } from './provider-support.js';

let bench: Bench;
let server: Node;
let client: Node;
beforeEach(() => {
  bench = new Bench();
  ({ server, client } = bench);
});
afterEach(() => bench.close());

test('[shared-memory] WSD-INI-8 WSD-INI-7 the start returns its error itself and takes version 2.2 and above only', () => {
  const out: { value: WSPPROC_TABLE | null } = { value: null };
  for (const version of [0x0001, 0x0101, 0x0002, 0x0102, 0xff01]) {
    assert.equal(server.start(out, version), WSAVERNOTSUPPORTED, version.toString(16));
    assert.equal(out.value, null);
  }
  for (const version of [0x0202, 0x0302, 0x0003]) {
    const data = { wVersion: 0, wHighVersion: 0, szDescription: '' };
    assert.equal(server.start(out, version, data), 0);
    assert.deepEqual([data.wVersion, data.wHighVersion], [WINSOCK_VERSION, WINSOCK_VERSION]);
    assert.ok(data.szDescription.length > 0 && data.szDescription.length < 256);
  }
});

test('[shared-memory] WSD-INI-9 WSD-CLS-23 starts are counted, and only the last cleanup ends everything', () => {
  const { table, errno } = server;
  assert.equal(server.start({ value: null }), 0);
  const socket = server.bound(bench.port());
  assert.equal(table.WSPCleanup(errno), 0);
  assert.equal(table.WSPListen(socket, 1, errno), 0, 'still started once');
  assert.equal(table.WSPCleanup(errno), 0);
  assert.deepEqual(server.log, ['create 0', 'close 0']);
  assert.equal(server.failure(table.WSPListen(socket, 1, errno)), WSAENOTSOCK);
  assert.equal(server.failure(table.WSPCleanup(errno)), WSANOTINITIALISED);
  assert.equal(
    server.failure(table.WSPSocket(AF_INET, SOCK_STREAM, IPPROTO_TCP, null, 0, WSA_FLAG_OVERLAPPED, errno)),
    WSANOTINITIALISED,
  );
  assert.equal(server.start({ value: null }), 0, 'it can be started again');
  server.bound(bench.port());
});

test('[shared-memory] WSD-SOC-24 WSD-SOC-8 WSPSocket makes a handle, or fails with the error of its argument', () => {
  const { table, errno } = server;
  const socket = (af: number, type: number, protocol: number, flags: number): unknown =>
    table.WSPSocket(af, type, protocol, null, 0, flags, errno);
  assert.equal(server.failure(socket(17, SOCK_STREAM, IPPROTO_TCP, WSA_FLAG_OVERLAPPED)), WSAEAFNOSUPPORT);
  assert.equal(server.failure(socket(AF_INET, 2, IPPROTO_TCP, WSA_FLAG_OVERLAPPED)), WSAESOCKTNOSUPPORT);
  assert.equal(server.failure(socket(AF_INET, SOCK_STREAM, 17, WSA_FLAG_OVERLAPPED)), WSAEPROTONOSUPPORT);
  assert.equal(server.failure(socket(AF_INET, SOCK_STREAM, IPPROTO_TCP, 0)), WSAEINVAL);
  assert.deepEqual(server.log, []);
  for (const family of [AF_INET, AF_INET6]) server.socket(family);
  assert.deepEqual(server.log, ['create 0', 'create 1']);
  server.handlesLeft = 0;
  assert.equal(server.failure(socket(AF_INET, SOCK_STREAM, IPPROTO_TCP, WSA_FLAG_OVERLAPPED)), WSAENOBUFS);
});

test('[shared-memory] WSD-SOC-22 WSD-SOC-23 WSPBind errors; an address in use is none of them', () => {
  const { table, errno } = server;
  const bind = (socket: unknown, to: ReturnType<typeof name>): number =>
    table.WSPBind(socket as ReturnType<Node['socket']>, to, 16, errno);
  const socket = server.socket();
  assert.equal(server.failure(bind(socket, name(1, '192.0.2.1'))), WSAEADDRNOTAVAIL);
  for (const bad of [
    name(0),
    name(65_536),
    name(-1),
    { ...name(1), sa_family: 1 },
    { ...name(1), sa_family: AF_INET6 },
  ]) {
    assert.equal(server.failure(bind(socket, bad)), WSAEFAULT);
  }
  for (const text of ['', 'localhost', '1.2.3', '::1', '127.0.0.1.1', 'fffff::']) {
    assert.equal(server.failure(bind(socket, name(1, text))), WSAEFAULT, text);
  }
  assert.equal(bind(socket, name(4711)), 0);
  assert.equal(server.failure(bind(socket, name(4712))), WSAEINVAL);
  assert.equal(bind(server.socket(), name(4711)), 0);
  assert.equal(server.failure(bind({ spi: 'ProviderSocket' }, name(1))), WSAENOTSOCK);
  assert.equal(server.failure(bind(INVALID_SOCKET, name(1))), WSAENOTSOCK);
});

test('[shared-memory] WSD-LSN-12 WSPListen errors', async () => {
  const { table, errno } = server;
  assert.equal(server.failure(table.WSPListen(server.socket(), 1, errno)), WSAEINVAL);
  const { mine } = await bench.connected();
  assert.equal(client.failure(client.table.WSPListen(mine, 1, client.errno)), WSAEISCONN);
});

test('[shared-memory] WSD-EVT-11 WSD-EVT-10 WSD-EVT-2 only FD_ACCEPT and FD_CONNECT can be selected', () => {
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
});

test('[shared-memory] WSD-LSN-6 WSD-ACC-4 WSD-EVT-5 a request is queued, signalled, and reported once', async () => {
  const { listener } = await bench.requested();
  const events = server.enumerate(listener);
  assert.deepEqual([events.lNetworkEvents, events.iErrorCode[FD_ACCEPT_BIT]], [FD_ACCEPT, 0]);
  assert.equal(server.enumerate(listener).lNetworkEvents, 0);
});

test('[shared-memory] WSD-EVT-6 WSD-EVT-7 enumerating clears the record and resets the event, so that the next one signals', async () => {
  const { listener, port } = await bench.requested();
  server.log.length = 0;
  server.enumerate(listener);
  assert.deepEqual(server.log, ['reset']);
  assert.equal(listener.event.signalled, false);
  client.connect(port, bench.port());
  await until(() => listener.event.signalled, 'the next request signals');
  const { table, errno } = server;
  assert.equal(table.WSPEventSelect(listener.socket, new EventObject(), 0, errno), 0);
  const later = server.select(listener.socket, FD_ACCEPT);
  assert.ok(later.event.signalled, 'what is recorded signals a new selection at once');
});

test('[shared-memory] WSD-ACC-8 WSD-ACC-31 WSD-ACC-33 the condition is asked once, inside WSPAccept, with both addresses and its data', async () => {
  const { listener, port } = await bench.requested();
  server.enumerate(listener);
  const data = { opaque: true };
  const asked: unknown[][] = [];
  let inside = true;
  const addr = name(1, '0.0.0.0');
  const addrlen = { value: 16 };
  const accepted = server.table.WSPAccept(
    listener.socket,
    addr,
    addrlen,
    (...args) => {
      assert.ok(inside);
      asked.push(args);
      return CF_ACCEPT;
    },
    data,
    server.errno,
  );
  inside = false;
  assert.ok(accepted !== INVALID_SOCKET);
  const caller = name(bench.port() - 1);
  assert.deepEqual(asked, [[caller, null, null, null, name(port), null, { value: 0 }, data]]);
  assert.equal(asked[0]?.[7], data);
  assert.deepEqual([addr, addrlen.value], [caller, 16]);
  assert.equal(server.failure(server.accept(listener, () => assert.fail('nothing is queued'))), WSAEWOULDBLOCK);
});

test('[shared-memory] WSD-ACC-12 WSD-ACC-13 WSD-ACC-14 the handle is made inside WSPAccept, after the verdict, and names the record', async () => {
  const { listener, connecting } = await bench.requested();
  server.enumerate(listener);
  server.log.length = 0;
  const accepted = server.accept(listener, () => {
    assert.deepEqual(server.log, []);
    return CF_ACCEPT;
  });
  assert.ok(accepted !== INVALID_SOCKET);
  assert.deepEqual(
    server.log.filter((what) => what.startsWith('create')),
    ['create 1'],
  );
  assert.equal((server.created[1] as unknown as { context: unknown }).context, accepted);
  assert.equal(await client.connected(connecting), 0);
});

test('[shared-memory] WSD-ACC-21 WSD-ACC-22 the peer is told nothing before the condition, and of the acceptance after it', async () => {
  const { listener, connecting } = await bench.requested();
  const messages = (): number =>
    [...client.provider.links!.all].reduce((sum, { counters }) => sum + counters.messages, 0);
  const [link] = client.provider.links!.all;
  assert.equal(messages(), 0);
  server.accept(listener, () => {
    assert.equal(link?.hasRecords, false);
    return CF_ACCEPT;
  });
  assert.equal(await client.connected(connecting), 0);
  assert.equal(messages(), 1);
});

test('[shared-memory] WSD-ACC-20 WSD-ACC-23 WSD-ACC-24 CF_REJECT: both sides get WSAECONNREFUSED, and no handle is made', async () => {
  const { listener, connecting } = await bench.requested();
  const before = server.created.length;
  let asked = 0;
  const result = server.accept(listener, () => {
    asked++;
    return CF_REJECT;
  });
  assert.equal(server.failure(result), WSAECONNREFUSED);
  assert.deepEqual([asked, server.created.length], [1, before]);
  assert.equal(await client.connected(connecting), WSAECONNREFUSED);
});

test('[shared-memory] WSD-ACC-32 a verdict that is none refuses and is WSAEINVAL; so is a socket that does not listen', async () => {
  const { listener, connecting } = await bench.requested();
  assert.equal(server.failure(server.accept(listener, () => 17)), WSAEINVAL);
  assert.equal(await client.connected(connecting), WSAECONNREFUSED);
  assert.equal(server.failure(server.accept({ ...listener, socket: server.socket() })), WSAEINVAL);
});

test('[shared-memory] WSD-ACC-10 CF_DEFER keeps the request at the head of the queue', async () => {
  const { listener, connecting, port } = await bench.requested();
  const from = bench.port() - 1;
  const second = client.connect(port, bench.port());
  server.enumerate(listener);
  await until(() => listener.event.signalled, 'the second request has arrived');
  for (let i = 0; i < 3; i++) assert.equal(server.failure(server.accept(listener, () => CF_DEFER)), WSATRY_AGAIN);
  server.accept(listener, (caller) => {
    assert.equal(caller.port, from);
    return CF_ACCEPT;
  });
  assert.equal(await client.connected(connecting), 0);
  assert.equal(second.event.signalled, false);
});

test('[shared-memory] WSD-ACC-17 WSD-ACC-18 WSPAccept resets the event, and signals again if more is queued', async () => {
  const { listener, port } = await bench.requested();
  server.enumerate(listener);
  client.connect(port, bench.port());
  await until(() => listener.event.signalled, 'the second request has arrived');
  server.log.length = 0;
  assert.notEqual(server.accept(listener), INVALID_SOCKET);
  assert.deepEqual(server.log.slice(1), ['reset', 'set']);
  assert.ok(listener.event.signalled);
  assert.notEqual(server.accept(listener), INVALID_SOCKET);
  assert.equal(listener.event.signalled, false);
});

test('[shared-memory] WSD-ACC-25 an accept that finds no handle refuses, so that the peer can fall back', async () => {
  const { listener, connecting } = await bench.requested();
  server.handlesLeft = 0;
  assert.equal(server.failure(server.accept(listener)), WSAENOBUFS);
  assert.equal(await client.connected(connecting), WSAENOBUFS);
});

test('[shared-memory] WSD-ACC-30 a buffer too small for the address is WSAEFAULT, and the request stays', async () => {
  const { listener } = await bench.requested();
  const { table, errno } = server;
  const accept = (size: number) =>
    table.WSPAccept(
      listener.socket,
      name(1),
      { value: size },
      size < 16 ? () => assert.fail('not asked') : null,
      null,
      errno,
    );
  assert.equal(server.failure(accept(15)), WSAEFAULT);
  assert.notEqual(accept(16), INVALID_SOCKET);
});

test('[shared-memory] WSD-LSN-8 WSD-LSN-9 WSD-LSN-10 a full queue refuses at once and does not ask the switch', async () => {
  const { listener, connecting, port } = await bench.requested(1);
  server.enumerate(listener);
  server.log.length = 0;
  const second = client.connect(port, bench.port());
  assert.equal(await client.connected(second), WSAECONNREFUSED);
  assert.deepEqual(server.log, []);
  assert.equal(listener.event.signalled, false);
  assert.notEqual(server.accept(listener), INVALID_SOCKET);
  assert.equal(await client.connected(connecting), 0);
});

test('[shared-memory] WSD-LSN-13 a second WSPListen changes the backlog and refuses the newest surplus', async () => {
  const { listener, connecting, port } = await bench.requested(4);
  const others = [client.connect(port, bench.port()), client.connect(port, bench.port())];
  server.enumerate(listener);
  await until(() => listener.event.signalled, 'all requests have arrived');
  assert.equal(server.table.WSPListen(listener.socket, 1, server.errno), 0);
  for (const other of others) assert.equal(await client.connected(other), WSAECONNREFUSED);
  assert.equal(connecting.event.signalled, false);
});

test('[shared-memory] WSD-LSN-15 closing a listener turns away what waits, with an error that leads to TCP/IP', async () => {
  const { listener, connecting, port } = await bench.requested();
  server.close(listener.socket);
  assert.equal(await client.connected(connecting), WSAETIMEDOUT);
  const late = client.select(client.bound(bench.port()), FD_CONNECT);
  assert.equal(client.failure(client.connectCall(late.socket, name(port))), WSAETIMEDOUT, 'nobody listens any more');
});

test('[shared-memory] WSD-CON-9 WSD-CON-10 a connect is pending until the answer, then FD_CONNECT carries its result', async () => {
  const { listener, connecting, port } = await bench.requested();
  assert.equal(client.failure(client.connectCall(connecting.socket, name(port))), WSAEALREADY);
  assert.equal(connecting.event.signalled, false);
  assert.equal(client.enumerate(connecting).lNetworkEvents, 0);
  assert.notEqual(server.accept(listener), INVALID_SOCKET);
  client.log.length = 0;
  assert.equal(await client.connected(connecting), 0);
  assert.deepEqual(client.log, ['set', 'reset']);
  assert.equal(client.failure(client.connectCall(connecting.socket, name(port))), WSAEISCONN);
});

test('[shared-memory] WSD-CON-8 WSD-CON-16 where nobody listens the connect fails at once, with an error that leads to TCP/IP', () => {
  const { socket } = client.select(client.bound(bench.port()), FD_CONNECT);
  assert.equal(client.failure(client.connectCall(socket, name(bench.port()))), WSAETIMEDOUT);
  const { WSPQueryReason } = client.extension<ProviderDiagnosticsExtension>(ProviderDiagnosticsGuid);
  assert.equal(WSPQueryReason(socket), 'no-listener');
});

test('[shared-memory] WSD-CON-28 connect errors that need no peer', () => {
  const { table, errno } = client;
  const to = name(1234);
  assert.equal(client.failure(client.connectCall(client.socket(), to)), WSAEINVAL, 'not bound');
  const socket = client.bound(bench.port());
  assert.equal(client.failure(client.connectCall(socket, name(0))), WSAEADDRNOTAVAIL);
  assert.equal(
    client.failure(client.connectCall(socket, { ...to, sa_family: AF_INET6, address: '::1' })),
    WSAEAFNOSUPPORT,
  );
  assert.equal(client.failure(client.connectCall(socket, name(80, 'nowhere'))), WSAEFAULT);
  assert.equal(
    client.failure(table.WSPConnect(socket, to, 16, new Uint8Array(1), null, null, null, errno)),
    WSAEPROTONOSUPPORT,
  );
  const listener = client.listen(bench.port());
  assert.equal(client.failure(client.connectCall(listener.socket, to)), WSAEINVAL);
});

test('[shared-memory] WSD-CON-29 a connect that gets no answer in its budget is withdrawn, and can no longer be accepted', async (t) => {
  const hasty = new Bench(20);
  t.after(() => hasty.close());
  const { listener, connecting } = await hasty.requested();
  assert.equal(await hasty.client.connected(connecting), WSAETIMEDOUT);
  assert.equal(hasty.server.failure(hasty.server.accept(listener, () => assert.fail('not asked'))), WSAEWOULDBLOCK);
});

test('[shared-memory] WSD-CON-22 WSD-CON-23 closing cancels a pending connect at once', async () => {
  const { listener, connecting } = await bench.requested();
  client.close(connecting.socket);
  assert.equal(connecting.event.signalled, false);
  assert.equal(server.failure(server.accept(listener)), WSAEWOULDBLOCK);
  // A request that is withdrawn while the condition runs is gone as well, and its handle is given back.
  const other = await bench.requested();
  server.log.length = 0;
  const result = server.accept(other.listener, () => {
    client.close(other.connecting.socket);
    return CF_ACCEPT;
  });
  assert.equal(server.failure(result), WSAECONNRESET);
  assert.deepEqual(
    server.log.map((what) => what.split(' ')[0]),
    ['create', 'close'],
  );
});

test('[shared-memory] WSD-TBL-2 WSD-TBL-3 the address list, and its size for a buffer that is too small', () => {
  const { table, errno } = server;
  const out: { value: unknown } = { value: null };
  const returned = { value: 0 };
  const socket = server.socket();
  const query = (size: number): number =>
    table.WSPIoctl(socket, SIO_ADDRESS_LIST_QUERY, null, 0, out, size, returned, null, null, null, errno);
  assert.equal(server.failure(query(0)), WSAEFAULT);
  const needed = returned.value;
  assert.equal(server.failure(query(needed - 1)), WSAEFAULT);
  assert.equal(out.value, null);
  assert.equal(query(needed), 0);
  const { iAddressCount, Address } = out.value as unknown as SOCKET_ADDRESS_LIST;
  assert.equal(iAddressCount, Address.length);
  assert.ok(iAddressCount > 0 && needed >= 4 + iAddressCount * 32);
  assert.equal(
    server.failure(table.WSPIoctl(socket, 0x1234, null, 0, out, 0, returned, null, null, null, errno)),
    WSAEOPNOTSUPP,
  );
});

test('[shared-memory] WSD-INI-15 WSD-INI-16 WSD-INI-17 optional extensions are refused, unknown ones invalid, whatever the socket', () => {
  const { table, errno } = server;
  const fetch = (guid: string): number => {
    const out = { value: null };
    const returned = { value: 0 };
    return server.failure(
      table.WSPIoctl(
        INVALID_SOCKET,
        SIO_GET_EXTENSION_FUNCTION_POINTER,
        guid,
        16,
        out,
        8,
        returned,
        null,
        null,
        null,
        errno,
      ),
    );
  };
  assert.equal(fetch(WSPRdmaReadGuid), WSAEOPNOTSUPP);
  assert.equal(fetch(WSPMemoryRegistrationCacheCallbackGuid), WSAEOPNOTSUPP);
  assert.equal(fetch('00000000-0000-0000-0000-000000000000'), WSAEINVAL);
});
