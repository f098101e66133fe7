/** Calls on a socket that need no connection: names, options, controls, listening, closing. */

import type { Reason } from '../diagnostics/reasons.js';
import {
  type QOS,
  SIO_ADDRESS_LIST_CHANGE,
  type SIO_ADDRESS_LIST_QUERY,
  type SIO_GET_EXTENSION_FUNCTION_POINTER,
  type SIO_GET_QOS,
  type SOCKADDR,
  type SOCKET_ADDRESS_LIST,
  WSAEINVAL,
  WSAENOTCONN,
  WSAEWOULDBLOCK,
  type WSAPROTOCOL_INFO,
} from '../spi/index.js';
import { AcceptEx, ConnectEx, DisconnectEx, GetAcceptExSockaddrs } from './connection-calls.js';
import {
  FD_ADDRESS_LIST_CHANGE,
  type SIO_KEEPALIVE_VALS,
  WSAID_ACCEPTEX,
  WSAID_CONNECTEX,
  WSAID_DISCONNECTEX,
  WSAID_GETACCEPTEXSOCKADDRS,
  WSAID_TRANSMITFILE,
} from './constants.js';
import { TransmitFile } from './data-calls.js';
import { duplicate } from './duplicate.js';
import { WSAError } from './error.js';
import { addressListChange, control, ioctl, type tcp_keepalive } from './ioctls.js';
import { getOption, type OptionAnswer, type OptionValue, setOption } from './options.js';
import { WSAOVERLAPPED } from './overlapped.js';
import type { Waiting } from './pending.js';
import { checkedAddress } from './sockaddr.js';
import { SOCKET } from './socket.js';

/** Binds to an address of the host, or to the wildcard; port 0 lets the system choose. Throws WSAEADDRINUSE and others. */
export function bind(s: SOCKET, name: SOCKADDR): void {
  const record = SOCKET.reveal(s, 'bind');
  record.bind(checkedAddress(name, record.family, 'bind'));
}

/**
 * Listens, by TCP/IP and by every SAN that serves the bound address. `backlog` connections may wait for an accept; a socket
 * that is not bound is WSAEINVAL.
 */
export function listen(s: SOCKET, backlog: number): void {
  const record = SOCKET.reveal(s, 'listen');
  if (!Number.isInteger(backlog)) throw new WSAError(WSAEINVAL, 'listen');
  record.listen(backlog);
}

/**
 * Closes the socket, at once for the program. What was sent is still delivered in the background, unless SO_LINGER says
 * otherwise: with a time of 0 the connection is reset; with another the promise waits for it, and a socket that does not
 * block fails with WSAEWOULDBLOCK and stays open. Receives, accepts and connects that wait fail with WSA_OPERATION_ABORTED.
 */
export async function closesocket(s: SOCKET): Promise<void> {
  const record = SOCKET.reveal(s, 'closesocket');
  const { l_onoff, l_linger } = record.lingering;
  if (record.nonBlocking && l_onoff && l_linger > 0 && record.transfer !== null) {
    throw new WSAError(WSAEWOULDBLOCK, 'closesocket');
  }
  return record.close();
}

/**
 * What another process needs to have the socket as well: it passes this to its WSASocket, once, with FROM_PROTOCOL_INFO. It is
 * plain data; how it gets there is the program's business. Until the other process uses the socket nothing happens to it; its
 * first transfer takes control over there, when those that go on here are done. Throws WSAENOTCONN, WSAEINVAL, and
 * WSAEOPNOTSUPP where processes cannot find each other: there is no koffi, say.
 */
export function WSADuplicateSocket(s: SOCKET, dwProcessId: number): WSAPROTOCOL_INFO {
  return duplicate(SOCKET.reveal(s, 'WSADuplicateSocket'), dwProcessId);
}

/** The local address, from the cache (WSD-SOC-25); WSAEINVAL for a socket that is neither bound nor connected. */
export function getsockname(s: SOCKET): SOCKADDR {
  const { local } = SOCKET.reveal(s, 'getsockname');
  if (local === null) throw new WSAError(WSAEINVAL, 'getsockname');
  return { ...local };
}

/** The peer's address, from the cache (WSD-SOC-25); WSAENOTCONN for a socket that is not connected. */
export function getpeername(s: SOCKET): SOCKADDR {
  const record = SOCKET.reveal(s, 'getpeername');
  if (record.share === null) record.connection('getpeername');
  if (record.peer === null) throw new WSAError(WSAENOTCONN, 'getpeername');
  return { ...record.peer };
}

/**
 * Sets an option of SOL_SOCKET or IPPROTO_TCP; `docs/winsock2.md` lists them with their owners. Throws WSAENOPROTOOPT,
 * WSAEINVAL or WSAEFAULT.
 */
export function setsockopt(s: SOCKET, level: number, optname: number, optval: OptionValue): void {
  setOption(SOCKET.reveal(s, 'setsockopt'), level, optname, optval);
}

/** The option's value; reading SO_ERROR clears it. Throws WSAENOPROTOOPT. */
export function getsockopt(s: SOCKET, level: number, optname: number): OptionAnswer {
  return getOption(SOCKET.reveal(s, 'getsockopt'), level, optname);
}

/**
 * FIONBIO: 1 for a socket that does not block, 0 for one that does. FIONREAD: answers how many bytes a recv gets at once.
 * SIOCATMARK: 1 if no ordinary data comes before the urgent byte, or there is none.
 */
export function ioctlsocket(s: SOCKET, cmd: number, argp: number | boolean = 0): number {
  return control(SOCKET.reveal(s, 'ioctlsocket'), cmd, argp, 'ioctlsocket');
}

const extensions: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  [WSAID_ACCEPTEX, AcceptEx],
  [WSAID_CONNECTEX, ConnectEx],
  [WSAID_DISCONNECTEX, DisconnectEx],
  [WSAID_GETACCEPTEXSOCKADDRS, GetAcceptExSockaddrs],
  [WSAID_TRANSMITFILE, TransmitFile],
]);

/** The host's addresses, those of loopback not among them. */
export function WSAIoctl(s: SOCKET, dwIoControlCode: typeof SIO_ADDRESS_LIST_QUERY): SOCKET_ADDRESS_LIST;
/**
 * Resolves when the host's addresses have changed, at most two seconds late. On a socket that does not block it throws
 * WSAEWOULDBLOCK, and FD_ADDRESS_LIST_CHANGE tells.
 */
export function WSAIoctl(
  s: SOCKET,
  dwIoControlCode: typeof SIO_ADDRESS_LIST_CHANGE,
  lpvInBuffer?: null,
  options?: Waiting,
): Promise<number>;
export function WSAIoctl(
  s: SOCKET,
  dwIoControlCode: typeof SIO_ADDRESS_LIST_CHANGE,
  lpvInBuffer: null | undefined,
  lpOverlapped: WSAOVERLAPPED,
): number;
/** One of WSAID_ACCEPTEX, WSAID_CONNECTEX, WSAID_DISCONNECTEX, WSAID_GETACCEPTEXSOCKADDRS, WSAID_TRANSMITFILE; else WSAEINVAL. */
export function WSAIoctl(
  s: SOCKET,
  dwIoControlCode: typeof SIO_GET_EXTENSION_FUNCTION_POINTER,
  lpvInBuffer: string,
): unknown;
export function WSAIoctl(s: SOCKET, dwIoControlCode: typeof SIO_KEEPALIVE_VALS, lpvInBuffer: tcp_keepalive): void;
/** No quality of service: default values. */
export function WSAIoctl(s: SOCKET, dwIoControlCode: typeof SIO_GET_QOS): QOS;
/** FIONBIO, FIONREAD and SIOCATMARK as with `ioctlsocket`. Others: WSAEOPNOTSUPP. */
export function WSAIoctl(s: SOCKET, dwIoControlCode: number, lpvInBuffer?: unknown): unknown;
export function WSAIoctl(
  s: SOCKET,
  dwIoControlCode: number,
  lpvInBuffer: unknown = null,
  target: Waiting | WSAOVERLAPPED = {},
): unknown {
  const record = SOCKET.reveal(s, 'WSAIoctl');
  if (dwIoControlCode !== SIO_ADDRESS_LIST_CHANGE) return ioctl(record, dwIoControlCode, lpvInBuffer, extensions);
  record.events?.enable(FD_ADDRESS_LIST_CHANGE);
  if (target instanceof WSAOVERLAPPED) {
    return WSAOVERLAPPED.start(target, record, 'WSAIoctl', 0, null, () => addressListChange(record, false));
  }
  return addressListChange(record, record.nonBlocking, target.signal).promise;
}

/** Which provider carries the connection and why, the one thing that shows a SAN. For a listening socket: whether one listens. */
export function connectionInfo(s: SOCKET): { provider: string | null; reason: Reason | null } {
  return SOCKET.reveal(s, 'connectionInfo').decision;
}
