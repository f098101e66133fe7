/** The calls on sockets: checks what the program gives, and hands it to the record behind the socket. */

import type { Reason } from '../diagnostics/reasons.js';
import {
  type ConditionFunction,
  SD_BOTH,
  SD_RECEIVE,
  SD_SEND,
  type SOCKADDR,
  type SOCKET_ADDRESS_LIST,
  WSAEADDRNOTAVAIL,
  WSAEFAULT,
  WSAEINVAL,
  WSAENOPROTOOPT,
  WSAENOTCONN,
  WSAEOPNOTSUPP,
  WSAEWOULDBLOCK,
} from '../spi/index.js';
import { type AcceptExOptions, acceptEx, acceptExAddresses } from './accept-ex.js';
import { WSAError } from './error.js';
import { AcceptCall } from './listener.js';
import { control, getOption, ioctl, type OptionAnswer, type OptionValue, setOption } from './options.js';
import { checkSignal, type Waiting } from './pending.js';
import { checkedAddress } from './sockaddr.js';
import { SOCKET, SocketRecord } from './socket.js';

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

/** Accepts the next connection, of whichever provider. */
export async function accept(s: SOCKET, options: Waiting = {}): Promise<SOCKET> {
  return acceptNext('accept', s, null, null, options);
}

/**
 * Accepts a connection if `lpfnCondition` says CF_ACCEPT. It is called with the caller's and the called address and
 * `dwCallbackData`, and with null for the rest, and answers at once; a promise is no answer. CF_REJECT: the caller is
 * refused and the call fails with WSAECONNREFUSED. CF_DEFER: the request is kept for the next accept, and the call fails
 * with WSATRY_AGAIN. Anything else: WSAEINVAL, and the caller is refused.
 */
export async function WSAAccept(
  s: SOCKET,
  lpfnCondition: ConditionFunction | null = null,
  dwCallbackData: unknown = null,
  options: Waiting = {},
): Promise<SOCKET> {
  if (lpfnCondition !== null && typeof lpfnCondition !== 'function') throw new WSAError(WSAEFAULT, 'WSAAccept');
  return acceptNext('WSAAccept', s, lpfnCondition, dwCallbackData, options);
}

async function acceptNext(
  syscall: string,
  s: SOCKET,
  condition: ConditionFunction | null,
  callbackData: unknown,
  { signal }: Waiting,
): Promise<SOCKET> {
  const record = SOCKET.reveal(s, syscall);
  const listener = record.listening(syscall);
  checkSignal(syscall, signal);
  const call = new AcceptCall(syscall, signal, condition, callbackData, (own) => listener.cancel(own));
  return SocketRecord.accepted(record, await listener.accept(call, record.nonBlocking));
}

/**
 * Accepts the next connection into `sAcceptSocket`, an unused socket of the same family. The addresses are written behind
 * `dwReceiveDataLength` bytes of `lpOutputBuffer`, into room of at least 16 bytes more than an address has; with a
 * `dwReceiveDataLength` above 0 it waits for the first data (WSD-ACC-27) and resolves with its length in bytes.
 */
export async function AcceptEx(
  sListenSocket: SOCKET,
  sAcceptSocket: SOCKET,
  lpOutputBuffer: Uint8Array,
  dwReceiveDataLength: number,
  dwLocalAddressLength: number,
  dwRemoteAddressLength: number,
  options: AcceptExOptions = {},
): Promise<number> {
  const buffer = {
    bytes: lpOutputBuffer,
    receiveLength: dwReceiveDataLength,
    localLength: dwLocalAddressLength,
    remoteLength: dwRemoteAddressLength,
  };
  checkSignal('AcceptEx', options.signal);
  return acceptEx(SOCKET.reveal(sListenSocket, 'AcceptEx'), SOCKET.reveal(sAcceptSocket, 'AcceptEx'), buffer, options);
}

/** The addresses that AcceptEx wrote; the lengths are those it was given. */
export function GetAcceptExSockaddrs(
  lpOutputBuffer: Uint8Array,
  dwReceiveDataLength: number,
  dwLocalAddressLength: number,
  dwRemoteAddressLength: number,
): { local: SOCKADDR; remote: SOCKADDR } {
  return acceptExAddresses({
    bytes: lpOutputBuffer,
    receiveLength: dwReceiveDataLength,
    localLength: dwLocalAddressLength,
    remoteLength: dwRemoteAddressLength,
  });
}

/**
 * Connects, by a SAN where one leads there, else by TCP/IP. A socket that does not block fails with WSAEWOULDBLOCK, and
 * until it is connected with WSAEALREADY, then with WSAEISCONN; a failed attempt is told once.
 */
export async function connect(s: SOCKET, name: SOCKADDR, { signal }: Waiting = {}): Promise<void> {
  const record = SOCKET.reveal(s, 'connect');
  const remote = checkedAddress(name, record.family, 'connect');
  if (remote.port === 0 || remote.address === '0.0.0.0' || remote.address === '::') {
    throw new WSAError(WSAEADDRNOTAVAIL, 'connect');
  }
  return record.connect(remote, signal);
}

function bytesOf(buf: Uint8Array, flags: number, syscall: string): Uint8Array {
  if (!(buf instanceof Uint8Array)) throw new WSAError(WSAEFAULT, syscall);
  if (flags !== 0) throw new WSAError(WSAEOPNOTSUPP, syscall);
  return buf;
}

/**
 * Sends all of `buf`, and resolves with its length when it is taken or written; until then it must stay as it is, except on
 * a socket that does not block. `flags` is 0.
 */
export async function send(s: SOCKET, buf: Uint8Array, flags = 0, { signal }: Waiting = {}): Promise<number> {
  const record = SOCKET.reveal(s, 'send');
  return record.connection('send').send('send', bytesOf(buf, flags, 'send'), record.nonBlocking, signal);
}

/** Receives at least one byte into `buf`, or 0 when the peer has ended its sending. `flags` is 0. */
export async function recv(s: SOCKET, buf: Uint8Array, flags = 0, { signal }: Waiting = {}): Promise<number> {
  const record = SOCKET.reveal(s, 'recv');
  return record.connection('recv').recv('recv', bytesOf(buf, flags, 'recv'), record.nonBlocking, signal);
}

/** Ends sending (SD_SEND), receiving (SD_RECEIVE) or both (SD_BOTH). No provider is asked (WSD-CLS-2). */
export function shutdown(s: SOCKET, how: number): void {
  const transfer = SOCKET.reveal(s, 'shutdown').connection('shutdown');
  if (how !== SD_RECEIVE && how !== SD_SEND && how !== SD_BOTH) throw new WSAError(WSAEINVAL, 'shutdown');
  if (how !== SD_RECEIVE) transfer.shutdownSend();
  if (how !== SD_SEND) transfer.shutdownReceive();
}

/** The same as SD_SEND. TCP/IP has no disconnect data, so neither has anything that looks like it (WSD-CLS-3). */
export function WSASendDisconnect(s: SOCKET, lpOutboundDisconnectData: Uint8Array | null = null): void {
  const transfer = SOCKET.reveal(s, 'WSASendDisconnect').connection('WSASendDisconnect');
  if (lpOutboundDisconnectData !== null) throw new WSAError(WSAENOPROTOOPT, 'WSASendDisconnect');
  transfer.shutdownSend();
}

/** The same as SD_RECEIVE; see WSASendDisconnect. */
export function WSARecvDisconnect(s: SOCKET, lpInboundDisconnectData: Uint8Array | null = null): void {
  const transfer = SOCKET.reveal(s, 'WSARecvDisconnect').connection('WSARecvDisconnect');
  if (lpInboundDisconnectData !== null) throw new WSAError(WSAENOPROTOOPT, 'WSARecvDisconnect');
  transfer.shutdownReceive();
}

/**
 * Closes the socket, at once for the program. What was sent is still delivered in the background, unless SO_LINGER says
 * otherwise: with a time of 0 the connection is reset; with another the promise waits for it, and a socket that does not
 * block fails with WSAEWOULDBLOCK and stays open.
 */
export async function closesocket(s: SOCKET): Promise<void> {
  const record = SOCKET.reveal(s, 'closesocket');
  const { l_onoff, l_linger } = record.lingering;
  if (record.nonBlocking && l_onoff && l_linger > 0 && record.transfer !== null) {
    throw new WSAError(WSAEWOULDBLOCK, 'closesocket');
  }
  return record.close();
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
  record.connection('getpeername');
  if (record.peer === null) throw new WSAError(WSAENOTCONN, 'getpeername');
  return { ...record.peer };
}

/** Sets TCP_NODELAY, SO_KEEPALIVE, SO_LINGER, SO_DONTLINGER, SO_CONDITIONAL_ACCEPT (before listen). Others: WSAENOPROTOOPT. */
export function setsockopt(s: SOCKET, level: number, optname: number, optval: OptionValue): void {
  setOption(SOCKET.reveal(s, 'setsockopt'), level, optname, optval);
}

/** Also SO_TYPE, SO_ACCEPTCONN, SO_ERROR, SO_CONNECT_TIME (seconds), SO_PROTOCOL_INFO. Others: WSAENOPROTOOPT. */
export function getsockopt(s: SOCKET, level: number, optname: number): OptionAnswer {
  return getOption(SOCKET.reveal(s, 'getsockopt'), level, optname);
}

/** FIONBIO: 1 for a socket that does not block, 0 for one that does. FIONREAD: answers how many bytes a recv gets at once. */
export function ioctlsocket(s: SOCKET, cmd: number, argp: number | boolean = 0): number {
  return control(SOCKET.reveal(s, 'ioctlsocket'), cmd, argp);
}

/** SIO_ADDRESS_LIST_QUERY. Others: WSAEOPNOTSUPP. */
export function WSAIoctl(s: SOCKET, dwIoControlCode: number): SOCKET_ADDRESS_LIST {
  return ioctl(SOCKET.reveal(s, 'WSAIoctl'), dwIoControlCode);
}

/** Which provider carries the connection and why, the one thing that shows a SAN. For a listening socket: whether one listens. */
export function connectionInfo(s: SOCKET): { provider: string | null; reason: Reason | null } {
  return SOCKET.reveal(s, 'connectionInfo').decision;
}
