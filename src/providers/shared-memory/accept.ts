/** WSPAccept: a request is taken from the queue, the condition function decides, and one exchange makes it final. */

import {
  AF_INET6,
  CF_ACCEPT,
  CF_DEFER,
  CF_REJECT,
  FD_ACCEPT,
  INVALID_SOCKET,
  type InvalidSocket,
  type Out,
  type SOCKADDR,
  WSAEACCES,
  WSAECONNREFUSED,
  WSAECONNRESET,
  WSAEFAULT,
  WSAEINVAL,
  WSAENOTSOCK,
  WSAEWOULDBLOCK,
  WSATRY_AGAIN,
  type WSPPROC_TABLE,
} from '../../spi/index.js';
import { Connection } from './connection.js';
import type { ConnectionServices } from './connection-face.js';
import { REFUSED_BY_SWITCH, REFUSED_RESOURCES } from './records.js';
import type { SharedMemorySocket } from './socket.js';

/** What accepting needs of the provider. */
export interface Acceptor {
  readonly services: ConnectionServices;
  /** A socket with its switch handle, or INVALID_SOCKET with the error of WPUCreateSocketHandle. */
  newSocket(family: number, lpErrno: Out<number>): SharedMemorySocket | InvalidSocket;
  /** Gives a socket's handle back. */
  forget(s: SharedMemorySocket): void;
}

export type AcceptArguments = [
  addr: SOCKADDR | null,
  addrlen: Out<number> | null,
  condition: Parameters<WSPPROC_TABLE['WSPAccept']>[3],
  callbackData: unknown,
  lpErrno: Out<number>,
];

/** The accepted socket, or INVALID_SOCKET with an error of WSD-ACC-32. */
export function accept(
  acceptor: Acceptor,
  s: SharedMemorySocket,
  ...[addr, addrlen, condition, callbackData, lpErrno]: AcceptArguments
): SharedMemorySocket | InvalidSocket {
  const fail = (error: number): InvalidSocket => {
    lpErrno.value = error;
    return INVALID_SOCKET;
  };
  const { listener } = s;
  if (listener === null || listener.isAsking) return fail(WSAEINVAL);
  const request = listener.first;
  if (request === null) return fail(WSAEWOULDBLOCK);
  const { link, id, generation, caller, callee } = request;
  const size = caller.sa_family === AF_INET6 ? 28 : 16;
  if (addrlen !== null && addrlen.value < size) return fail(WSAEFAULT);
  let verdict = CF_ACCEPT;
  if (condition !== null) {
    listener.isAsking = true;
    try {
      verdict = condition(caller, null, null, null, callee, null, { value: 0 }, callbackData);
    } finally {
      listener.isAsking = false;
    }
  }
  // The condition function may have closed the listener, which has refused everything that waited.
  if (s.closed) return fail(WSAENOTSOCK);
  if (verdict === CF_DEFER) return fail(WSATRY_AGAIN);
  listener.remove(request);
  if (verdict !== CF_ACCEPT) {
    link.refuse(id, generation, REFUSED_BY_SWITCH);
    announceNext(s);
    return fail(verdict === CF_REJECT ? WSAECONNREFUSED : WSAEINVAL);
  }
  const accepting = acceptor.newSocket(s.family, lpErrno);
  if (accepting === INVALID_SOCKET) {
    link.refuse(id, generation, REFUSED_RESOURCES);
    announceNext(s);
    return INVALID_SOCKET;
  }
  const connection = new Connection(accepting, acceptor.services, link, false);
  connection.id = id;
  connection.generation = generation;
  accepting.connection = connection;
  accepting.local = callee;
  accepting.remote = caller;
  if (!link.accept(id, generation, connection)) {
    // Withdrawn, or its process gone, while the condition function was asked (decision 8).
    acceptor.forget(accepting);
    announceNext(s);
    return fail(link.isDead ? WSAECONNRESET : WSAEACCES);
  }
  if (addr !== null) {
    addr.sa_family = caller.sa_family;
    addr.address = caller.address;
    addr.port = caller.port;
  }
  if (addrlen !== null) addrlen.value = size;
  s.resetAcceptEvent();
  announceNext(s);
  return accepting;
}

/** WSD-ACC-18: without this the reset of WSD-ACC-17 could lose a wake-up. */
function announceNext(s: SharedMemorySocket): void {
  if (s.listener !== null && s.listener.first !== null) s.recordEvent(FD_ACCEPT, 0);
}
