/** Start and clean-up, sockets, binding, names: one face, whichever provider carries what. */

import assert from 'node:assert/strict';
import net from 'node:net';
import { networkInterfaces } from 'node:os';
import { test } from 'node:test';
import {
  AF_INET,
  AF_INET6,
  IPPROTO_TCP,
  SIO_ADDRESS_LIST_QUERY,
  SO_ERROR,
  SO_KEEPALIVE,
  SO_LINGER,
  SO_MAX_MSG_SIZE,
  SO_TYPE,
  SOCK_STREAM,
  type SOCKADDR,
  SOL_SOCKET,
  TCP_NODELAY,
  type WSAPROTOCOL_INFO,
} from '../../src/spi/index.js';
import {
  accept,
  bind,
  closesocket,
  connect,
  connectionInfo,
  getpeername,
  getsockname,
  getsockopt,
  listen,
  recv,
  send,
  setsockopt,
  WSAIoctl,
} from '../../src/winsock/calls.js';
import {
  IPPROTO_UDP,
  NOT_CONNECTED,
  SO_ACCEPTCONN,
  SO_CONDITIONAL_ACCEPT,
  SO_CONNECT_TIME,
  SO_PROTOCOL_INFO,
  SOCK_DGRAM,
  SOCK_RAW,
} from '../../src/winsock/constants.js';
import { carriers, connected, fails, loopback, receiveText, throws, turn, twoSides, until } from './support.js';

const limit = { timeout: 20_000 };

for (const provider of carriers) {
  test(`WSAStartup and WSACleanup are counted, and nothing works before [${provider}]`, limit, async (t) => {
    const { server } = twoSides(t, provider);
    const { face } = server;
    assert.throws(() => face.WSAStartup(0x0001), { code: 'WSAVERNOTSUPPORTED' });
    assert.deepEqual([face.WSAStartup(0x0002).wVersion, face.WSAStartup(0x0909).wVersion], [0x0002, 0x0202]);
    const s = server.socket();
    face.WSACleanup();
    face.WSACleanup();
    bind(s, loopback(0));
    face.WSACleanup();
    throws(() => face.WSACleanup(), 'WSANOTINITIALISED');
    throws(() => server.socket(), 'WSANOTINITIALISED');
    throws(() => getsockname(s), 'WSANOTINITIALISED');
    face.WSAStartup(0x0202);
    throws(() => getsockname(s), 'WSAENOTSOCK');
    bind(server.socket(), loopback(0));
  });

  test(`WSD-SOC-1: a new socket is one of TCP/IP, and no SAN is asked [${provider}]`, limit, (t) => {
    const { server } = twoSides(t, provider);
    for (const [at, make] of [
      () => server.face.socket(AF_INET, SOCK_STREAM, IPPROTO_TCP),
      () => server.socket(),
    ].entries()) {
      make();
      assert.equal(server.tcpip.length, at + 1);
      const { fn, args, result } = server.tcpip[at]!;
      assert.deepEqual(
        [fn, ...args.slice(0, 3), typeof result],
        ['WSPSocket', AF_INET, SOCK_STREAM, IPPROTO_TCP, 'object'],
      );
    }
    assert.deepEqual(server.sanNames(), []);
  });

  test(
    `WSD-SOC-2: listening, connecting and accepting work on the descriptor of TCP/IP [${provider}]`,
    limit,
    async (t) => {
      const { server, client, near, far } = await connected(t, provider);
      const [listened, accepted] = server.tcpip.filter(({ fn }) => fn === 'WSPSocket').map(({ result }) => result);
      assert.equal(server.tcpip.find(({ fn }) => fn === 'WSPListen')?.args[0], listened);
      const [made] = client.tcpip.filter(({ fn }) => fn === 'WSPSocket').map(({ result }) => result);
      await closesocket(near);
      await recv(far, Buffer.alloc(1));
      await closesocket(far);
      // The descriptor lives exactly as long as the program's socket.
      const closed = (side: typeof server): unknown[] =>
        side.tcpip.filter(({ fn }) => fn === 'WSPCloseSocket').map(({ args }) => args[0]);
      await until(() => closed(client).includes(made), 'the client’s descriptor is closed');
      if (provider === 'tcpip') return;
      assert.ok(accepted !== undefined && closed(server).includes(accepted));
      assert.ok(!closed(server).includes(listened));
    },
  );

  test(
    `WSD-SOC-3, WSD-SOC-4: binding is of TCP/IP, and only listen or connect looks for a SAN [${provider}]`,
    limit,
    async (t) => {
      const { server, client } = twoSides(t, provider);
      for (const address of ['127.0.0.1', '0.0.0.0']) {
        const s = server.socket();
        bind(s, { sa_family: AF_INET, address, port: 0 });
        const call = server.tcpip.findLast(({ fn }) => fn === 'WSPBind');
        assert.deepEqual([call?.args[1], call?.result], [{ sa_family: AF_INET, address, port: 0 }, 0]);
        assert.ok(getsockname(s).port > 0);
      }
      assert.deepEqual(server.sanNames(), []);
      const { s, name } = server.listening();
      assert.equal(server.sanNames().includes('WSPListen'), provider === 'shared-memory');
      const near = client.socket();
      bind(near, loopback(0));
      const bound = getsockname(near);
      assert.deepEqual(client.sanNames(), []);
      const [far] = await Promise.all([accept(s), connect(near, name)]);
      assert.equal(client.sanNames().includes('WSPConnect'), provider === 'shared-memory');
      assert.deepEqual([getsockname(near), getpeername(far)], [bound, bound]);
    },
  );

  test(
    `WSD-SOC-12: the program sees one socket, whose names and bytes are those of its connection [${provider}]`,
    limit,
    async (t) => {
      const { client, server, near, far, listening } = await connected(t, provider);
      for (const s of [near, far, listening.s]) {
        assert.deepEqual([Object.keys(s), JSON.stringify(s)], [[], '{}']);
        assert.equal(getsockopt(s, SOL_SOCKET, SO_TYPE), SOCK_STREAM);
      }
      assert.deepEqual([getpeername(near), getsockname(far)], [listening.name, listening.name]);
      assert.deepEqual(getpeername(far), getsockname(near));
      await send(near, Buffer.from('x'));
      assert.equal(await receiveText(far, 1), 'x');
      // Companions there are, and exactly one a socket.
      // One socket more was the switch's helper, by which it learns what a provider can do.
      const companions = (side: typeof client): number => side.count('san', 'WSPSocket') - 1;
      if (provider === 'tcpip') return;
      assert.equal(companions(client), provider === 'shared-memory' ? 1 : 0);
      assert.equal(companions(server), provider === 'shared-memory' ? 1 : 0);
    },
  );

  test(
    `WSD-SOC-25: names are cached, so nobody is asked for them, even when the peer is gone [${provider}]`,
    limit,
    async (t) => {
      const { server, client, near, far, listening } = await connected(t, provider);
      const asked = [server, client].map((side) => [side.san.length, side.tcpip.length]);
      const names = (): SOCKADDR[] => [near, far].flatMap((s) => [getsockname(s), getpeername(s)]);
      const before = names();
      assert.deepEqual(getsockname(listening.s), listening.name);
      assert.deepEqual(
        [server, client].map((side) => [side.san.length, side.tcpip.length]),
        asked,
      );
      // The program's copy is its own.
      getsockname(near).port = 1;
      setsockopt(far, SOL_SOCKET, SO_LINGER, { l_onoff: true, l_linger: 0 });
      const farNames = before.slice(2);
      await closesocket(far);
      await fails(recv(near, Buffer.alloc(1)), 'WSAECONNRESET');
      assert.deepEqual([getsockname(near), getpeername(near), ...farNames], before);
    },
  );

  test(`a socket without names says so [${provider}]`, limit, async (t) => {
    const { server, client } = twoSides(t, provider);
    const s = client.socket();
    throws(() => getsockname(s), 'WSAEINVAL');
    throws(() => getpeername(s), 'WSAENOTCONN');
    throws(() => listen(s, 1), 'WSAEINVAL');
    await fails(accept(s), 'WSAEINVAL');
    await fails(recv(s, Buffer.alloc(1)), 'WSAENOTCONN');
    await fails(send(s, Buffer.alloc(1)), 'WSAENOTCONN');
    const { name } = server.listening();
    throws(() => bind(s, name), 'WSAEADDRINUSE');
    throws(() => bind(s, { ...name, address: '192.0.2.1' }), 'WSAEADDRNOTAVAIL');
    throws(() => bind(s, { ...name, sa_family: AF_INET6 }), 'WSAEAFNOSUPPORT');
    throws(() => bind(s, { ...name, address: 'localhost' }), 'WSAEFAULT');
    bind(s, loopback(0));
    throws(() => bind(s, loopback(0)), 'WSAEINVAL');
    throws(() => getsockname({} as typeof s), 'WSAENOTSOCK');
    await closesocket(s);
    await fails(closesocket(s), 'WSAENOTSOCK');
  });

  test(`WSD-COMP-2: sockets look like those of TCP/IP [${provider}]`, limit, async (t) => {
    const { near, far, listening } = await connected(t, provider);
    for (const s of [near, far, listening.s]) {
      const { szProtocol, ProviderId, iProtocol, iAddressFamily } = getsockopt(
        s,
        SOL_SOCKET,
        SO_PROTOCOL_INFO,
      ) as WSAPROTOCOL_INFO;
      assert.deepEqual(
        { szProtocol, ProviderId, iProtocol, iAddressFamily },
        {
          szProtocol: 'TCP/IP',
          ProviderId: 'E70F1AA0-AB8B-11CF-8CA3-00805F48A192',
          iProtocol: IPPROTO_TCP,
          iAddressFamily: AF_INET,
        },
      );
    }
    assert.deepEqual(
      [listening.s, near, far].map((s) => getsockopt(s, SOL_SOCKET, SO_ACCEPTCONN)),
      [1, 0, 0],
    );
  });

  test(`WSD-COMP-7, WSD-COMP-8: datagram and raw sockets are not asked of a SAN [${provider}]`, limit, async (t) => {
    const { server, client, near } = await connected(t, provider);
    const { face } = client;
    const before = client.san.length;
    for (const [af, type, protocol, code] of [
      [AF_INET, SOCK_DGRAM, IPPROTO_UDP, 'WSAESOCKTNOSUPPORT'],
      [AF_INET6, SOCK_DGRAM, IPPROTO_UDP, 'WSAESOCKTNOSUPPORT'],
      [AF_INET, SOCK_RAW, 1, 'WSAESOCKTNOSUPPORT'],
      [AF_INET, SOCK_STREAM, IPPROTO_UDP, 'WSAEPROTOTYPE'],
      [AF_INET, SOCK_STREAM, 99, 'WSAEPROTONOSUPPORT'],
      [1, SOCK_STREAM, IPPROTO_TCP, 'WSAEAFNOSUPPORT'],
    ] as const) {
      throws(() => face.socket(af, type, protocol), code);
      throws(() => face.WSASocket(af, type, protocol), code);
    }
    throws(() => face.WSASocket(AF_INET, SOCK_STREAM, IPPROTO_TCP, null, 1), 'WSAEINVAL');
    assert.equal(client.san.length, before);
    await closesocket(near);
    for (const { fn, args } of [...client.san, ...server.san]) {
      if (fn === 'WSPSocket') assert.deepEqual(args.slice(1, 3), [SOCK_STREAM, IPPROTO_TCP]);
    }
  });

  test(`WSD-TBL-8: the program's own SIO_ADDRESS_LIST_QUERY is answered by TCP/IP [${provider}]`, limit, async (t) => {
    const { client, near } = await connected(t, provider);
    const before = client.san.length;
    const unused = client.socket(AF_INET6);
    for (const [s, family] of [
      [near, 'IPv4'],
      [unused, 'IPv6'],
    ] as const) {
      const { Address, iAddressCount } = WSAIoctl(s, SIO_ADDRESS_LIST_QUERY);
      const own = Object.values(networkInterfaces()).flatMap((entries) => entries ?? []);
      const expected = own.filter((entry) => entry.family === family && !entry.internal).map(({ address }) => address);
      assert.deepEqual(
        Address.map(({ lpSockaddr }) => lpSockaddr.address),
        expected,
      );
      assert.equal(iAddressCount, expected.length);
    }
    assert.equal(client.count('tcpip', 'WSPIoctl'), 2);
    assert.equal(client.san.length, before);
    throws(() => WSAIoctl(near, 1), 'WSAEOPNOTSUPP');
  });

  test(
    `WSD-CLS-21: the last WSACleanup ends everything and is WSPCleanup of all providers [${provider}]`,
    limit,
    async (t) => {
      const { client, server, near, far } = await connected(t, provider);
      const { face } = client;
      face.WSAStartup(0x0202);
      const waiting = fails(recv(near, Buffer.alloc(1)), 'WSA_OPERATION_ABORTED');
      face.WSACleanup();
      assert.equal(client.count('tcpip', 'WSPCleanup') + client.count('san', 'WSPCleanup'), 0);
      face.WSACleanup();
      await waiting;
      assert.equal(client.count('tcpip', 'WSPCleanup'), 1);
      assert.equal(client.count('san', 'WSPCleanup'), provider === 'shared-memory' ? 1 : 0);
      await fails(recv(far, Buffer.alloc(1)), 'WSAECONNRESET');
      // It can be started again.
      face.WSAStartup(0x0202);
      const { s, name } = server.listening();
      const again = client.socket();
      await Promise.all([accept(s), connect(again, name)]);
      assert.equal(connectionInfo(again).provider, provider);
    },
  );

  test(`options that accepting and closing need [${provider}]`, limit, async (t) => {
    const side = twoSides(t, provider);
    const { s, name } = side.server.listening();
    throws(() => setsockopt(s, SOL_SOCKET, SO_CONDITIONAL_ACCEPT, 1), 'WSAEINVAL');
    setsockopt(s, IPPROTO_TCP, TCP_NODELAY, 1);
    setsockopt(s, SOL_SOCKET, SO_LINGER, { l_onoff: true, l_linger: 0 });
    const near = side.client.socket();
    setsockopt(near, SOL_SOCKET, SO_KEEPALIVE, true);
    assert.equal(getsockopt(near, SOL_SOCKET, SO_CONNECT_TIME), NOT_CONNECTED);
    const [far] = await Promise.all([accept(s), connect(near, name)]);
    // Accepted sockets are like the listening one.
    assert.equal(getsockopt(far, IPPROTO_TCP, TCP_NODELAY), 1);
    assert.deepEqual(getsockopt(far, SOL_SOCKET, SO_LINGER), { l_onoff: true, l_linger: 0 });
    assert.equal(getsockopt(near, SOL_SOCKET, SO_KEEPALIVE), 1);
    assert.equal(getsockopt(far, SOL_SOCKET, SO_CONNECT_TIME), 0);
    side.server.clockAhead = 5000;
    assert.equal(getsockopt(far, SOL_SOCKET, SO_CONNECT_TIME), 5);
    assert.equal(getsockopt(far, SOL_SOCKET, SO_ERROR), 0);
    for (const [at, of] of [side.server, side.client].entries()) {
      const set = of.tcpip
        .filter(({ fn }) => fn === 'WSPSetSockOpt')
        .map(({ args, result }) => [...args.slice(1, 4), result]);
      const option = at === 0 ? [IPPROTO_TCP, TCP_NODELAY, 1, 0] : [SOL_SOCKET, SO_KEEPALIVE, 1, 0];
      assert.deepEqual(set, provider === 'tcpip' ? [option] : []);
    }
    for (const call of [() => setsockopt(near, SOL_SOCKET, SO_MAX_MSG_SIZE, 4096), () => getsockopt(near, 41, 1)]) {
      throws(call, 'WSAENOPROTOOPT');
    }
  });

  test(`IPv6 [${provider}]`, limit, async (t) => {
    const { server, client } = twoSides(t, provider);
    const s = server.socket(AF_INET6);
    bind(s, { sa_family: AF_INET6, address: '::', port: 0 });
    listen(s, 4);
    const { port } = getsockname(s);
    const near = client.socket(AF_INET6);
    const [far] = await Promise.all([accept(s), connect(near, { sa_family: AF_INET6, address: '::1', port })]);
    assert.deepEqual(getsockname(far), { sa_family: AF_INET6, address: '::1', port });
    assert.equal(connectionInfo(far).provider, provider);
    // As on Windows, such a socket is of IPv6 alone.
    const other = client.socket();
    const expected = provider === 'tcpip' ? 'WSAECONNREFUSED' : 'WSAENETUNREACH';
    await fails(connect(other, loopback(port)), expected);
  });
}

test('WSD-SOC-5: where no SAN can be had, TCP/IP carries the data [tcpip]', limit, async (t) => {
  const { client } = twoSides(t, 'shared-memory', { client: { required: false } });
  // Nobody with Sockets Direct listens there.
  const plain = net.createServer((socket) => socket.pipe(socket)).listen(0, '127.0.0.1');
  t.after(() => plain.close());
  await new Promise((resolve) => plain.once('listening', resolve));
  const near = client.socket();
  await connect(near, loopback((plain.address() as net.AddressInfo).port));
  assert.deepEqual(connectionInfo(near), { provider: 'tcpip', reason: 'no-listener' });
  assert.equal(client.count('san', 'WSPConnect'), 1);
  const before = client.san.length;
  await send(near, Buffer.from('through TCP/IP'));
  assert.equal(await receiveText(near, 14), 'through TCP/IP');
  assert.equal(client.san.length, before);
  await closesocket(near);
});

test(
  'WSD-SOC-19: an established SAN connection that is lost is an error, and TCP/IP is not tried [shared-memory]',
  limit,
  async (t) => {
    const { client, server, near, far, listening } = await connected(t, 'shared-memory', {
      client: { required: false },
    });
    const waiting = recv(near, Buffer.alloc(1));
    setsockopt(far, SOL_SOCKET, SO_LINGER, { l_onoff: true, l_linger: 0 });
    await closesocket(far);
    await fails(waiting, 'WSAECONNRESET');
    await fails(send(near, Buffer.from('x')), 'WSAECONNRESET');
    await fails(connect(near, listening.name), 'WSAEISCONN');
    for (let i = 0; i < 10; i++) await turn();
    assert.equal(client.count('tcpip', 'WSPConnect'), 0);
    assert.equal(client.count('san', 'WSPConnect'), 1);
    assert.equal(server.tcpip.filter(({ fn, result }) => fn === 'WSPAccept' && typeof result === 'object').length, 1);
  },
);

test(
  'WSD-COMP-4, WSD-COMP-9: who carries it is decided for each connection, on one listening socket',
  limit,
  async (t) => {
    const { server, client } = twoSides(t, 'shared-memory', { client: { required: false } });
    const { s, name } = server.listening();
    // TCP/IP listens first; the SAN joins.
    assert.equal(server.count('tcpip', 'WSPListen'), 1);
    assert.equal(server.count('san', 'WSPListen'), 1);
    const found: unknown[] = [];
    for (const kind of ['san', 'plain', 'san', 'plain']) {
      const accepting = accept(s);
      const near = client.socket();
      const plain = kind === 'plain' ? net.connect(name.port, '127.0.0.1') : null;
      if (plain === null) await connect(near, name);
      const far = await accepting;
      found.push(connectionInfo(far));
      await send(far, Buffer.from('x'));
      if (plain === null) assert.equal(await receiveText(near, 1), 'x');
      else assert.equal(String(await new Promise((resolve) => plain.once('data', resolve))), 'x');
      plain?.destroy();
    }
    const san = { provider: 'shared-memory', reason: 'accelerated' };
    const plain = { provider: 'tcpip', reason: 'accepted-by-tcpip' };
    assert.deepEqual(found, [san, plain, san, plain]);
  },
);
