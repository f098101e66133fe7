/** How every function of a provider fails: in which form, and with which errors, whatever the state of the socket. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  AF_INET,
  CF_REJECT,
  EventObject,
  errorName,
  FD_ACCEPT,
  INVALID_SOCKET,
  IPPROTO_TCP,
  MEM_READ,
  type ProviderSocket,
  procedureNames,
  SIO_ADDRESS_LIST_QUERY,
  SO_MAX_MSG_SIZE,
  SOCK_STREAM,
  SOCKET_ERROR,
  SOL_SOCKET,
  WSA_FLAG_OVERLAPPED,
  WSANETWORKEVENTS,
  WSANOTINITIALISED,
  type WSPRdmaRead,
  WSPRdmaReadGuid,
} from '../../src/spi/index.js';
import { providers } from './adapters.js';
import { notify, region, unregistered } from './memory.js';
import { type Node, on, type ProviderBench } from './support.js';

type Call = (node: Node, s: ProviderSocket) => unknown;

const descriptor = new Uint8Array(16);
const event = (): EventObject => new EventObject();

/** Every function that takes a socket, with arguments that are as good as the socket allows. */
const calls: Readonly<Record<string, Call>> = {
  WSPAccept: ({ table, errno }, s) => table.WSPAccept(s, null, null, () => CF_REJECT, null, errno),
  WSPBind: (node, s) => node.table.WSPBind(s, node.name(999), 16, node.errno),
  WSPCloseSocket: ({ table, errno }, s) => table.WSPCloseSocket(s, errno),
  WSPConnect: (node, s) => node.connectCall(s, node.name(998)),
  WSPDuplicateSocket: ({ table, errno, party }, s) =>
    table.WSPDuplicateSocket(s, 1, { ...party.provider.protocolInfo }, errno),
  WSPEnumNetworkEvents: ({ table, errno }, s) => table.WSPEnumNetworkEvents(s, event(), new WSANETWORKEVENTS(), errno),
  WSPEventSelect: ({ table, errno }, s) => table.WSPEventSelect(s, event(), FD_ACCEPT | 1, errno),
  WSPGetOverlappedResult: (node, s) => {
    const pending = notify();
    pending.Internal = 0x103;
    return node.table.WSPGetOverlappedResult(s, pending, { value: 0 }, false, { value: 0 }, node.errno);
  },
  WSPGetQOSByName: ({ table, errno }, s) => table.WSPGetQOSByName(s, 'web', { value: null }, errno),
  WSPGetSockOpt: ({ table, errno }, s) =>
    table.WSPGetSockOpt(s, SOL_SOCKET, SO_MAX_MSG_SIZE, { value: 0 }, { value: 2 }, errno),
  WSPIoctl: ({ table, errno }, s) =>
    table.WSPIoctl(s, SIO_ADDRESS_LIST_QUERY, null, 0, { value: 0 }, 0, { value: 0 }, null, null, null, errno),
  WSPListen: ({ table, errno }, s) => table.WSPListen(s, 1, errno),
  WSPRecv: (node, s) => node.recv(s, unregistered(), notify()),
  WSPSend: (node, s) => node.send(s, unregistered(), notify()),
  WSPSetSockOpt: ({ table, errno }, s) => table.WSPSetSockOpt(s, SOL_SOCKET, 0x7777, 1, 4, errno),
  WSPRegisterMemory: (node, s) => node.registerMemory(s, region(8), 0, 9, MEM_READ, node.errno),
  WSPDeregisterMemory: (node, s) => node.deregisterMemory(s, { spi: 'MemoryHandle' }, node.errno),
  WSPRegisterRdmaMemory: (node, s) =>
    node.registerRdma(s, region(8), 0, 8, MEM_READ, descriptor, { value: 1 }, node.errno),
  WSPDeregisterRdmaMemory: (node, s) => node.deregisterRdma(s, descriptor, 16, node.errno),
  WSPRdmaWrite: (node, s) =>
    node.rdmaWrite(s, [unregistered()], 1, descriptor, 16, 0, null, 0, notify(), null, null, node.errno),
  WSPRdmaRead: (node, s) => {
    const read = node.optional<WSPRdmaRead>(WSPRdmaReadGuid);
    if (read === null) return SOCKET_ERROR;
    return read(s, [unregistered()], 1, descriptor, 16, 0, null, 0, notify(), null, null, node.errno);
  },
};

/** What a function returns when it fails, and all errors the documents give it (section 20 and the rules it names). */
const failures: Readonly<Record<string, readonly [form: unknown, errors: string]>> = {
  WSPAccept: [
    INVALID_SOCKET,
    'WSAECONNREFUSED WSAEFAULT WSAEINVAL WSAEMFILE WSAENOBUFS WSAENOTSOCK WSAEWOULDBLOCK WSATRY_AGAIN WSAECONNRESET WSAEACCES',
  ],
  WSPBind: [SOCKET_ERROR, 'WSAEADDRNOTAVAIL WSAEFAULT WSAEINVAL WSAENOBUFS WSAENOTSOCK'],
  WSPCloseSocket: [SOCKET_ERROR, 'WSAENOTSOCK'],
  WSPConnect: [
    SOCKET_ERROR,
    'WSAEWOULDBLOCK WSAECONNRESET WSAECONNREFUSED WSAEHOSTUNREACH WSAEALREADY WSAEADDRNOTAVAIL WSAEAFNOSUPPORT WSAEFAULT ' +
      'WSAEINVAL WSAEISCONN WSAENETUNREACH WSAENOBUFS WSAENOTSOCK WSAEOPNOTSUPP WSAEPROTONOSUPPORT WSAETIMEDOUT',
  ],
  WSPDuplicateSocket: [SOCKET_ERROR, 'WSAEINVAL WSAEMFILE WSAENOBUFS WSAENOTSOCK WSAEFAULT WSAENOTCONN WSAEOPNOTSUPP'],
  WSPEnumNetworkEvents: [SOCKET_ERROR, 'WSAEINVAL WSAENOTSOCK'],
  WSPEventSelect: [SOCKET_ERROR, 'WSAEINVAL WSAENOTSOCK'],
  WSPGetOverlappedResult: [false, 'WSAENOTSOCK WSA_INVALID_HANDLE WSAEINVAL WSA_IO_INCOMPLETE'],
  WSPGetQOSByName: [false, 'WSAEOPNOTSUPP WSAENOTSOCK WSAEFAULT WSAEINVAL'],
  WSPGetSockOpt: [SOCKET_ERROR, 'WSAEFAULT WSAEINVAL WSAENOPROTOOPT WSAENOTSOCK'],
  WSPIoctl: [SOCKET_ERROR, 'WSAEFAULT WSAEINVAL WSAENOTSOCK WSAEOPNOTSUPP'],
  WSPListen: [SOCKET_ERROR, 'WSAEINVAL WSAEISCONN WSAEMFILE WSAENOBUFS WSAENOTSOCK'],
  WSPRecv: [SOCKET_ERROR, 'WSAENOTCONN WSAEFAULT WSAENOTSOCK WSAEINVAL WSAECONNABORTED WSAECONNRESET WSAENOBUFS'],
  WSPSend: [SOCKET_ERROR, 'WSAENOTCONN WSAEFAULT WSAENOTSOCK WSAEINVAL WSAECONNABORTED WSAECONNRESET WSAENOBUFS'],
  WSPSetSockOpt: [SOCKET_ERROR, 'WSAEFAULT WSAEINVAL WSAENOPROTOOPT WSAENETRESET WSAENOTCONN WSAENOTSOCK'],
  WSPRegisterMemory: [null, 'WSAENOBUFS WSAEFAULT WSAEINVAL WSAENOTCONN WSAENOTSOCK'],
  WSPDeregisterMemory: [SOCKET_ERROR, 'WSAEINVAL WSAENOTSOCK'],
  WSPRegisterRdmaMemory: [SOCKET_ERROR, 'WSAENOBUFS WSAEFAULT WSAEINVAL WSAENOTCONN WSAENOTSOCK'],
  WSPDeregisterRdmaMemory: [SOCKET_ERROR, 'WSAEINVAL WSAENOTSOCK'],
  WSPRdmaWrite: [SOCKET_ERROR, 'WSAENOTCONN WSAEFAULT WSAENOTSOCK WSAEINVAL WSAECONNABORTED WSAECONNRESET WSAENOBUFS'],
  WSPRdmaRead: [
    SOCKET_ERROR,
    'WSAENOTCONN WSAEFAULT WSAENOTSOCK WSAEINVAL WSAECONNABORTED WSAECONNRESET WSAENOBUFS WSAEOPNOTSUPP',
  ],
};

/** A fresh socket in each state of section 4 of the digest. */
const states: Readonly<Record<string, (bench: ProviderBench) => Promise<readonly [Node, ProviderSocket]>>> = {
  created: async ({ client }) => [client, client.socket()],
  bound: async (bench) => [bench.client, bench.client.bound(bench.port())],
  listening: async (bench) => [bench.server, bench.server.listen(bench.port()).socket],
  'listening, with a request': async (bench) => [bench.server, (await bench.requested()).listener.socket],
  connecting: async (bench) => [bench.client, (await bench.requested()).connecting.socket],
  refused: async (bench) => {
    const { listener, connecting } = await bench.requested();
    bench.server.failure(bench.server.accept(listener, () => CF_REJECT));
    await bench.outcome(connecting);
    return [bench.client, connecting.socket];
  },
  connected: async (bench) => [bench.client, (await bench.connected()).mine],
  accepted: async (bench) => [bench.server, (await bench.connected()).theirs],
  disconnected: async (bench) => {
    const { mine, theirs } = await bench.connected();
    const { overlapped } = bench.posted(theirs, 8);
    bench.client.close(mine);
    await bench.until(() => overlapped.Internal !== 0x103, 'the peer has closed');
    return [bench.server, theirs];
  },
  closed: async ({ client }) => {
    const socket = client.socket();
    client.close(socket);
    return [client, socket];
  },
  'none of this provider': async ({ client, server }) => [client, server.socket()],
  'no socket': async ({ client }) => [client, INVALID_SOCKET as unknown as ProviderSocket],
};

for (const provider of providers) {
  test(
    `[${provider}] WSD-ERR-1 every function fails in its own form, with its error in the errno output and never by throwing`,
    on(provider, async (bench) => {
      const { client } = bench;
      const seen = new Set<string>();
      const { table, errno } = client;
      const check = (what: string, form: unknown, result: unknown): void => {
        assert.equal(result, form, what);
        assert.notEqual(errno.value, 0, what);
        errno.value = 0;
        seen.add(what);
      };
      for (const [what, call] of Object.entries(calls)) {
        errno.value = 0;
        check(what, failures[what]![0], call(client, INVALID_SOCKET as unknown as ProviderSocket));
      }
      const made = table.WSPSocket(17, SOCK_STREAM, IPPROTO_TCP, null, 0, WSA_FLAG_OVERLAPPED, errno);
      check('WSPSocket', INVALID_SOCKET, made);
      client.stop();
      check('WSPCleanup', SOCKET_ERROR, table.WSPCleanup(errno));
      assert.deepEqual(
        procedureNames.filter((name) => !seen.has(name)),
        [],
      );
      const late = table.WSPSocket(AF_INET, SOCK_STREAM, IPPROTO_TCP, null, 0, WSA_FLAG_OVERLAPPED, errno);
      assert.equal(late, INVALID_SOCKET);
      assert.equal(errno.value, WSANOTINITIALISED);
    }),
  );

  test(
    `[${provider}] WSD-BLK-8 WSD-ERR-1 in every state of a socket each function succeeds or fails with an error of its own list`,
    on(provider, async (bench) => {
      for (const [state, make] of Object.entries(states)) {
        for (const [what, call] of Object.entries(calls)) {
          const [node, socket] = await make(bench);
          node.errno.value = 0;
          const result = call(node, socket);
          const [form, errors] = failures[what]!;
          const { value } = node.errno;
          const where = `${what} on a socket that is ${state}: ${String(result)} ${errorName(value)}`;
          if (result === form) {
            if (what !== 'WSPRdmaRead' || value !== 0) assert.ok(errors.split(' ').includes(errorName(value)), where);
          } else {
            assert.ok(result === 0 || (what === 'WSPAccept' && typeof result === 'object'), where);
          }
          node.errno.value = 0;
        }
      }
    }),
  );
}
