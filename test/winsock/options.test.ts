/** Options and control codes: who owns them, and that no SAN is asked for those of others. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadLibc } from '../../src/platform/libc.js';
import {
  IPPROTO_TCP,
  type QOS,
  SIO_GET_EXTENSION_FUNCTION_POINTER,
  SIO_GET_GROUP_QOS,
  SIO_GET_QOS,
  SIO_SET_QOS,
  SO_DEBUG,
  SO_GROUP_ID,
  SO_GROUP_PRIORITY,
  SO_KEEPALIVE,
  SO_MAX_MSG_SIZE,
  SO_OOBINLINE,
  SO_RCVBUF,
  SO_REUSEADDR,
  SO_SNDBUF,
  SOL_SOCKET,
  TCP_NODELAY,
} from '../../src/spi/index.js';
import {
  AcceptEx,
  accept,
  bind,
  ConnectEx,
  connect,
  DisconnectEx,
  GetAcceptExSockaddrs,
  getsockopt,
  ioctlsocket,
  send,
  setsockopt,
  TransmitFile,
  WSAIoctl,
} from '../../src/winsock/calls.js';
import {
  FIONBIO,
  FIONREAD,
  SIO_KEEPALIVE_VALS,
  SIOCATMARK,
  SO_EXCLUSIVEADDRUSE,
  SO_RCVTIMEO,
  SO_SNDTIMEO,
  SO_UPDATE_CONNECT_CONTEXT,
  TCP_KEEPCNT,
  TCP_KEEPIDLE,
  TCP_KEEPINTVL,
  WSAID_ACCEPTEX,
  WSAID_CONNECTEX,
  WSAID_DISCONNECTEX,
  WSAID_GETACCEPTEXSOCKADDRS,
  WSAID_TRANSMITFILE,
} from '../../src/winsock/constants.js';
import { carriers, connected, loopback, type Side, throws, twoSides } from './support.js';

const limit = { timeout: 20_000 };

/** Level, name, a value to set, and what it is before. */
const options = [
  [SOL_SOCKET, SO_KEEPALIVE, 1, 0],
  [SOL_SOCKET, SO_OOBINLINE, 1, 0],
  [SOL_SOCKET, SO_SNDBUF, 10_000, 65_536],
  [SOL_SOCKET, SO_RCVBUF, 20_000, 262_144],
  [SOL_SOCKET, SO_SNDTIMEO, 3000, 0],
  [SOL_SOCKET, SO_RCVTIMEO, 4000, 0],
  [IPPROTO_TCP, TCP_NODELAY, 1, 0],
  [IPPROTO_TCP, TCP_KEEPIDLE, 60, 7200],
  [IPPROTO_TCP, TCP_KEEPINTVL, 5, 1],
  [IPPROTO_TCP, TCP_KEEPCNT, 7, 10],
  [SOL_SOCKET, SO_DEBUG, 1, 0],
] as const;

function sanOptions(side: Side): unknown[] {
  return side.san.filter(({ fn }) => /SockOpt/.test(fn)).map(({ fn, args }) => [fn, args[1], args[2], args[3]]);
}

for (const provider of carriers) {
  test(
    `WSD-OPT-1: of all options and control codes, a SAN is asked for those alone that can be its own [${provider}]`,
    limit,
    async (t) => {
      const { server, client } = twoSides(t, provider);
      const { s, name } = server.listening();
      const near = client.socket();
      for (const [level, option, value, before] of options) {
        assert.equal(getsockopt(near, level, option), before);
        setsockopt(near, level, option, value);
        assert.equal(getsockopt(near, level, option), value);
      }
      const [far] = await Promise.all([accept(s), connect(near, name)]);
      // The provider's limits, which the switch asks for itself, and what the companion was given.
      const own = [SO_DEBUG, SO_GROUP_PRIORITY];
      const asked = sanOptions(client);
      for (const [fn, level, option] of asked as [string, number, number][]) {
        assert.equal(level, SOL_SOCKET);
        if (fn === 'WSPSetSockOpt') assert.ok(own.includes(option), String(option));
        else assert.ok(option >= SO_MAX_MSG_SIZE, String(option));
      }
      const calls = client.san.length;
      for (const [level, option, value] of options) {
        assert.equal(getsockopt(near, level, option), value);
        setsockopt(near, level, option, value);
      }
      setsockopt(near, SOL_SOCKET, SO_UPDATE_CONNECT_CONTEXT, 0);
      for (const code of [FIONREAD, SIOCATMARK]) assert.equal(WSAIoctl(near, code), ioctlsocket(near, code));
      WSAIoctl(near, SIO_KEEPALIVE_VALS, { onoff: 1, keepalivetime: 30_500, keepaliveinterval: 2000 });
      assert.deepEqual(
        [TCP_KEEPIDLE, TCP_KEEPINTVL].map((option) => getsockopt(near, IPPROTO_TCP, option)),
        [31, 2],
      );
      assert.equal(WSAIoctl(near, FIONBIO, 1), 1);
      assert.equal(WSAIoctl(near, FIONBIO, false), 0);
      assert.equal(client.san.length, calls);
      // Accepted sockets are like the listening one, which had set nothing.
      assert.equal(getsockopt(far, SOL_SOCKET, SO_SNDBUF), 65_536);
    },
  );

  test(
    `WSD-OPT-8: options and codes of quality of service are TCP/IP's, which keeps default values [${provider}]`,
    limit,
    async (t) => {
      const { near, client } = await connected(t, provider);
      const [calls, asked] = [client.san.length, client.tcpip.length];
      setsockopt(near, SOL_SOCKET, SO_GROUP_PRIORITY, 5);
      assert.equal(getsockopt(near, SOL_SOCKET, SO_GROUP_PRIORITY), 0);
      assert.equal(getsockopt(near, SOL_SOCKET, SO_GROUP_ID), 0);
      throws(() => setsockopt(near, SOL_SOCKET, SO_GROUP_ID, 5), 'WSAENOPROTOOPT');
      for (const code of [SIO_GET_QOS, SIO_GET_GROUP_QOS]) {
        const { SendingFlowspec, ReceivingFlowspec, ProviderSpecific } = WSAIoctl(near, code) as QOS;
        for (const flow of [SendingFlowspec, ReceivingFlowspec]) {
          assert.deepEqual([flow.TokenRate, flow.ServiceType], [0xffffffff, 0]);
        }
        assert.equal(ProviderSpecific, null);
      }
      throws(() => WSAIoctl(near, SIO_SET_QOS, {}), 'WSAEOPNOTSUPP');
      assert.equal(client.san.length, calls);
      const names = client.tcpip.slice(asked).map(({ fn }) => fn);
      for (const name of ['WSPGetSockOpt', 'WSPIoctl']) assert.ok(names.includes(name), name);
    },
  );

  test(
    `WSD-OPT-15: an option that the companion does not have is none the less effective [${provider}]`,
    limit,
    async (t) => {
      const { server, client } = twoSides(t, provider);
      const { s, name } = server.listening();
      const near = client.socket();
      // Shared memory has no SO_DEBUG.
      setsockopt(near, SOL_SOCKET, SO_DEBUG, 1);
      await Promise.all([accept(s), connect(near, name)]);
      if (provider === 'shared-memory') {
        const set = client.san.filter(({ fn }) => fn === 'WSPSetSockOpt');
        assert.deepEqual(
          set.map(({ args, error }) => [args[2], error]),
          [[SO_DEBUG, 'WSAENOPROTOOPT']],
        );
      }
      assert.equal(getsockopt(near, SOL_SOCKET, SO_DEBUG), 1);
      assert.equal(await send(near, Buffer.from('x')), 1);
    },
  );

  test(`values of options are checked [${provider}]`, limit, (t) => {
    const { client } = twoSides(t, provider);
    const s = client.socket();
    throws(() => setsockopt(s, SOL_SOCKET, SO_RCVBUF, -1), 'WSAEINVAL');
    throws(() => setsockopt(s, SOL_SOCKET, SO_RCVBUF, true), 'WSAEFAULT');
    throws(() => setsockopt(s, IPPROTO_TCP, TCP_KEEPIDLE, 0), 'WSAEINVAL');
    throws(() => setsockopt(s, IPPROTO_TCP, SO_RCVBUF, 1), 'WSAENOPROTOOPT');
    throws(() => setsockopt(s, SOL_SOCKET, SO_MAX_MSG_SIZE, 1), 'WSAENOPROTOOPT');
    throws(() => getsockopt(s, SOL_SOCKET, SO_UPDATE_CONNECT_CONTEXT), 'WSAENOPROTOOPT');
    throws(() => getsockopt(s, 41, SO_RCVBUF), 'WSAENOPROTOOPT');
    throws(() => WSAIoctl(s, SIO_KEEPALIVE_VALS, { onoff: 1, keepalivetime: 0, keepaliveinterval: 1 }), 'WSAEINVAL');
    throws(() => WSAIoctl(s, SIO_KEEPALIVE_VALS, null as never), 'WSAEFAULT');
    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, 1);
    throws(() => setsockopt(s, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, 1), 'WSAEINVAL');
    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, 0);
    setsockopt(s, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, 1);
    bind(s, loopback(0));
    throws(() => setsockopt(s, SOL_SOCKET, SO_REUSEADDR, 1), 'WSAEINVAL');
  });

  test(`extension functions are asked for by their identifiers [${provider}]`, limit, (t) => {
    const { client } = twoSides(t, provider);
    const s = client.socket();
    const found = [
      WSAID_ACCEPTEX,
      WSAID_CONNECTEX,
      WSAID_DISCONNECTEX,
      WSAID_GETACCEPTEXSOCKADDRS,
      WSAID_TRANSMITFILE.toLowerCase(),
    ].map((id) => WSAIoctl(s, SIO_GET_EXTENSION_FUNCTION_POINTER, id));
    assert.deepEqual(found, [AcceptEx, ConnectEx, DisconnectEx, GetAcceptExSockaddrs, TransmitFile]);
    throws(() => WSAIoctl(s, SIO_GET_EXTENSION_FUNCTION_POINTER, 'C0B422F5-F58C-11D1-AD6C-00C04FA34A2D'), 'WSAEINVAL');
  });
}

test('TCP/IP hands options to the kernel, in whatever order they are set [tcpip]', limit, async (t) => {
  const { server, client } = twoSides(t, 'tcpip');
  const { s, name } = server.listening();
  const near = client.socket();
  setsockopt(near, IPPROTO_TCP, TCP_KEEPIDLE, 100);
  setsockopt(near, IPPROTO_TCP, TCP_KEEPCNT, 3);
  setsockopt(near, SOL_SOCKET, SO_KEEPALIVE, 1);
  await Promise.all([accept(s), connect(near, name)]);
  const { handle } = client.tcpip.find(({ fn }) => fn === 'WSPConnect')!.args[0] as { handle: { fd: number } };
  const libc = loadLibc();
  /** Of the kernel, with its numbers. */
  const kernel = ([level, option]: readonly [number, number]): number => {
    const [value, length] = [Buffer.alloc(4), Buffer.from([4, 0, 0, 0])];
    assert.equal(libc.getsockopt(handle.fd, level, option, value, length), 0);
    return value.readInt32LE();
  };
  const keepAlive = [1, 9] as const;
  const idle = [6, 4] as const;
  const interval = [6, 5] as const;
  const count = [6, 6] as const;
  assert.deepEqual(
    [keepAlive, idle, count].map((option) => kernel(option)),
    [1, 100, 3],
  );
  WSAIoctl(near, SIO_KEEPALIVE_VALS, { onoff: true, keepalivetime: 500_000, keepaliveinterval: 2500 });
  assert.deepEqual(
    [idle, interval].map((option) => kernel(option)),
    [500, 3],
  );
});
