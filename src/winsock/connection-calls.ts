/** Calls that make and end connections. */

import {
  type ConditionFunction,
  FD_ACCEPT,
  type QOS,
  SD_BOTH,
  SD_RECEIVE,
  SD_SEND,
  type SOCKADDR,
  WSAEADDRNOTAVAIL,
  WSAEFAULT,
  WSAEINVAL,
  WSAENOPROTOOPT,
  WSAEOPNOTSUPP,
  WSAEPROTONOSUPPORT,
} from '../spi/index.js';
import { type AcceptExOptions, acceptEx, acceptExAddresses } from './accept-ex.js';
import { acceptOn } from './accepting.js';
import { TF_REUSE_SOCKET } from './constants.js';
import { disconnect, disconnecting } from './disconnect.js';
import { WSAError } from './error.js';
import { launch } from './launch.js';
import { AcceptCall } from './listener.js';
import { WSAOVERLAPPED } from './overlapped.js';
import { checkSignal, promiseOf, type Waiting } from './pending.js';
import { checkedAddress } from './sockaddr.js';
import { SOCKET, SocketRecord } from './socket.js';

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
  checkSignal(syscall, signal);
  let call: AcceptCall | null = null;
  const accepting = acceptOn(record, syscall, record.nonBlocking, signal, (listener, own) => {
    call = new AcceptCall(syscall, own, condition, callbackData, (cancelled) => listener.cancel(cancelled));
    return call;
  });
  try {
    return SocketRecord.accepted(record, await accepting);
  } finally {
    // The request that the program itself has deferred is not told again.
    const hasDeferred = (call as AcceptCall | null)?.hasDeferred === true;
    if (!record.closed && !hasDeferred) record.enableEvents(FD_ACCEPT);
  }
}

/**
 * Accepts the next connection into `sAcceptSocket`, an unused socket of the same family. The addresses are written behind
 * `dwReceiveDataLength` bytes of `lpOutputBuffer`, into room of at least 16 bytes more than an address has; with a
 * `dwReceiveDataLength` above 0 it waits for the first data (WSD-ACC-27) and resolves with its length in bytes.
 */
export function AcceptEx(
  sListenSocket: SOCKET,
  sAcceptSocket: SOCKET,
  lpOutputBuffer: Uint8Array,
  dwReceiveDataLength: number,
  dwLocalAddressLength: number,
  dwRemoteAddressLength: number,
  options?: AcceptExOptions,
): Promise<number>;
export function AcceptEx(
  sListenSocket: SOCKET,
  sAcceptSocket: SOCKET,
  lpOutputBuffer: Uint8Array,
  dwReceiveDataLength: number,
  dwLocalAddressLength: number,
  dwRemoteAddressLength: number,
  lpOverlapped: WSAOVERLAPPED,
): number;
export function AcceptEx(
  sListenSocket: SOCKET,
  sAcceptSocket: SOCKET,
  lpOutputBuffer: Uint8Array,
  dwReceiveDataLength: number,
  dwLocalAddressLength: number,
  dwRemoteAddressLength: number,
  target: AcceptExOptions | WSAOVERLAPPED = {},
): Promise<number> | number {
  const buffer = {
    bytes: lpOutputBuffer,
    receiveLength: dwReceiveDataLength,
    localLength: dwLocalAddressLength,
    remoteLength: dwRemoteAddressLength,
  };
  const options = target instanceof WSAOVERLAPPED ? {} : target;
  return launch('AcceptEx', sListenSocket, target, (listening, signal) =>
    acceptEx(listening, SOCKET.reveal(sAcceptSocket, 'AcceptEx'), buffer, { ...options, signal }),
  );
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

function checkedRemote(record: SocketRecord, name: SOCKADDR, syscall: string): SOCKADDR {
  const remote = checkedAddress(name, record.family, syscall);
  if (remote.port !== 0 && remote.address !== '0.0.0.0' && remote.address !== '::') return remote;
  throw new WSAError(WSAEADDRNOTAVAIL, syscall);
}

/**
 * Connects, by a SAN where one leads there, else by TCP/IP. A socket that does not block fails with WSAEWOULDBLOCK, and
 * until it is connected with WSAEALREADY, then with WSAEISCONN; a failed attempt is told once.
 */
export async function connect(s: SOCKET, name: SOCKADDR, { signal }: Waiting = {}): Promise<void> {
  const record = SOCKET.reveal(s, 'connect');
  return record.connect('connect', checkedRemote(record, name, 'connect'), record.nonBlocking, signal);
}

/** The same. There is no connect data (WSAEPROTONOSUPPORT) and no quality of service (WSAEOPNOTSUPP) with TCP/IP. */
export async function WSAConnect(
  s: SOCKET,
  name: SOCKADDR,
  lpCallerData: Uint8Array | null = null,
  lpCalleeData: Uint8Array | null = null,
  lpSQOS: QOS | null = null,
  lpGQOS: QOS | null = null,
  { signal }: Waiting = {},
): Promise<void> {
  const record = SOCKET.reveal(s, 'WSAConnect');
  if (lpCallerData !== null || lpCalleeData !== null) throw new WSAError(WSAEPROTONOSUPPORT, 'WSAConnect');
  if (lpSQOS !== null || lpGQOS !== null) throw new WSAError(WSAEOPNOTSUPP, 'WSAConnect');
  return record.connect('WSAConnect', checkedRemote(record, name, 'WSAConnect'), record.nonBlocking, signal);
}

/**
 * Connects a bound socket (else WSAEINVAL) without regard to FIONBIO, and sends `lpSendBuffer` as soon as it is connected.
 * Resolves with the bytes sent.
 */
export function ConnectEx(
  s: SOCKET,
  name: SOCKADDR,
  lpSendBuffer?: Uint8Array | null,
  options?: Waiting,
): Promise<number>;
export function ConnectEx(
  s: SOCKET,
  name: SOCKADDR,
  lpSendBuffer: Uint8Array | null,
  lpOverlapped: WSAOVERLAPPED,
): number;
export function ConnectEx(
  s: SOCKET,
  name: SOCKADDR,
  lpSendBuffer: Uint8Array | null = null,
  target: Waiting | WSAOVERLAPPED = {},
): Promise<number> | number {
  return launch('ConnectEx', s, target, (record, signal) => {
    if (lpSendBuffer !== null && !(lpSendBuffer instanceof Uint8Array)) throw new WSAError(WSAEFAULT, 'ConnectEx');
    if (record.local === null) throw new WSAError(WSAEINVAL, 'ConnectEx');
    const connecting = record.connect('ConnectEx', checkedRemote(record, name, 'ConnectEx'), false, signal);
    if (lpSendBuffer === null) return connecting.then(() => 0);
    return connecting.then(() =>
      promiseOf(record.connection('ConnectEx').send('ConnectEx', [lpSendBuffer], 0, false, signal)),
    );
  });
}

/**
 * Ends the connection in order: what was sent goes out, then the end. With TF_REUSE_SOCKET it also waits for the peer's end,
 * dropping what still comes, and then the socket can be connected or accepted into again.
 */
export function DisconnectEx(
  s: SOCKET,
  lpOverlapped: null | undefined,
  dwFlags?: number,
  options?: Waiting,
): Promise<number>;
export function DisconnectEx(s: SOCKET, lpOverlapped: WSAOVERLAPPED, dwFlags?: number): number;
export function DisconnectEx(
  s: SOCKET,
  lpOverlapped: WSAOVERLAPPED | null = null,
  dwFlags = 0,
  options: Waiting = {},
): Promise<number> | number {
  return launch('DisconnectEx', s, lpOverlapped ?? options, (record, signal) => {
    if ((dwFlags & ~TF_REUSE_SOCKET) !== 0) throw new WSAError(WSAEINVAL, 'DisconnectEx');
    const reuse = dwFlags === TF_REUSE_SOCKET;
    if (record.share === null) return disconnect('DisconnectEx', record, reuse, signal);
    // Others would still have the socket that is to become another one.
    if (reuse) throw new WSAError(WSAEOPNOTSUPP, 'DisconnectEx');
    return promiseOf(
      record.operate('DisconnectEx', false, signal, (own) => disconnecting('DisconnectEx', record, own)),
    );
  });
}

/** Ends sending (SD_SEND), receiving (SD_RECEIVE) or both (SD_BOTH). No provider is asked (WSD-CLS-2). */
export function shutdown(s: SOCKET, how: number): void {
  if (how !== SD_RECEIVE && how !== SD_SEND && how !== SD_BOTH) throw new WSAError(WSAEINVAL, 'shutdown');
  shutDown(SOCKET.reveal(s, 'shutdown'), 'shutdown', how);
}

function shutDown(record: SocketRecord, syscall: string, how: number): void {
  const begin = (): void => {
    const transfer = record.connection(syscall);
    if (how !== SD_RECEIVE) transfer.shutdownSend();
    if (how !== SD_SEND) transfer.shutdownReceive();
  };
  // Where control has to come first, nobody is told what becomes of it.
  if (record.share === null) begin();
  else record.share.order(begin);
}

/** The same as SD_SEND. TCP/IP has no disconnect data, so neither has anything that looks like it (WSD-CLS-3). */
export function WSASendDisconnect(s: SOCKET, lpOutboundDisconnectData: Uint8Array | null = null): void {
  const record = SOCKET.reveal(s, 'WSASendDisconnect');
  if (record.share === null) record.connection('WSASendDisconnect');
  if (lpOutboundDisconnectData !== null) throw new WSAError(WSAENOPROTOOPT, 'WSASendDisconnect');
  shutDown(record, 'WSASendDisconnect', SD_SEND);
}

/** The same as SD_RECEIVE; see WSASendDisconnect. */
export function WSARecvDisconnect(s: SOCKET, lpInboundDisconnectData: Uint8Array | null = null): void {
  const record = SOCKET.reveal(s, 'WSARecvDisconnect');
  if (record.share === null) record.connection('WSARecvDisconnect');
  if (lpInboundDisconnectData !== null) throw new WSAError(WSAENOPROTOOPT, 'WSARecvDisconnect');
  shutDown(record, 'WSARecvDisconnect', SD_RECEIVE);
}
