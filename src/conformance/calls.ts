/** Every function of a provider that takes a socket, and how it may fail. */

import {
  CF_REJECT,
  EventObject,
  errorName,
  FD_ACCEPT,
  INVALID_SOCKET,
  MEM_READ,
  type ProviderSocket,
  SIO_ADDRESS_LIST_QUERY,
  SO_MAX_MSG_SIZE,
  SOCKET_ERROR,
  SOL_SOCKET,
  WSANETWORKEVENTS,
  type WSPRdmaRead,
  WSPRdmaReadGuid,
} from '../spi/index.js';
import { notify, region, unregistered } from './memory.js';
import type { Node } from './node.js';

export type Call = (node: Node, s: ProviderSocket) => unknown;

const descriptor = new Uint8Array(16);
const event = (): EventObject => new EventObject();

/** Every function that takes a socket, with arguments that are as good as the socket allows. */
export const calls: Readonly<Record<string, Call>> = {
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
export const failures: Readonly<Record<string, readonly [form: unknown, errors: string]>> = {
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

/** Whether the result, with its error, is one that the documents give the function. */
export function isAllowed(what: string, result: unknown, error: number): boolean {
  const [form, errors] = failures[what]!;
  if (result !== form) return result === 0 || (what === 'WSPAccept' && typeof result === 'object');
  // An optional extension that is not there.
  if (what === 'WSPRdmaRead' && error === 0) return true;
  return errors.split(' ').includes(errorName(error));
}
