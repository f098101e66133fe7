/** Making a companion: WSPSocket, then WSPBind to the address and port of the TCP/IP socket (section 4 of the digest). */

import {
  AF_INET6,
  INVALID_SOCKET,
  IPPROTO_TCP,
  type Out,
  type ProviderSocket,
  SOCK_STREAM,
  type SOCKADDR,
  WSA_FLAG_OVERLAPPED,
} from '../spi/index.js';
import type { Carrier, Services } from './services.js';
import type { Handle } from './upcalls.js';

export interface Companion {
  readonly socket: ProviderSocket;
  readonly handle: Handle;
}

/** Bytes of a sockaddr. */
export function nameLength(name: SOCKADDR): number {
  return name.sa_family === AF_INET6 ? 28 : 16;
}

/** Null, with the error, if it cannot be made; nothing is left behind then (WSD-SOC-18). */
export function makeCompanion(
  services: Services,
  carrier: Carrier,
  local: SOCKADDR,
  lpErrno: Out<number>,
): Companion | null {
  const { table } = carrier.provider;
  const socket = table.WSPSocket(local.sa_family, SOCK_STREAM, IPPROTO_TCP, null, 0, WSA_FLAG_OVERLAPPED, lpErrno);
  const handle = services.upcalls.takeCreated();
  if (socket === INVALID_SOCKET || handle === null) return null;
  if (table.WSPBind(socket, local, nameLength(local), lpErrno) !== 0) {
    const { value } = lpErrno;
    table.WSPCloseSocket(socket, lpErrno);
    lpErrno.value = value;
    return null;
  }
  return { socket, handle };
}

/** The provider's reason for its last failure on the socket, if it gives one. */
export function providerReason(carrier: Carrier, socket: ProviderSocket): string | null {
  return carrier.provider.extensions.diagnostics?.WSPQueryReason(socket) ?? null;
}
