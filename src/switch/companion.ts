/** Making a companion: a SAN socket with the address, port and options of the TCP/IP socket (section 4 of the digest). */

import {
  AF_INET6,
  INVALID_SOCKET,
  IPPROTO_TCP,
  type Out,
  type ProviderSocket,
  SOCK_STREAM,
  type SOCKADDR,
  WSA_FLAG_OVERLAPPED,
  WSAEINVAL,
  WSAENOPROTOOPT,
  type WSPPROC_TABLE,
} from '../spi/index.js';
import type { Carrier, Companion, Services } from './services.js';

/** An option that the program has set on its socket (WSD-SOC-17). */
export interface SocketOption {
  readonly level: number;
  readonly name: number;
  readonly value: number;
}

/** Bytes of a sockaddr. */
export function nameLength(name: SOCKADDR): number {
  return name.sa_family === AF_INET6 ? 28 : 16;
}

/**
 * WSPSocket, WSPBind and one WSPSetSockOpt for each option, in this order (WSD-SOC-13, WSD-SOC-17). Null, with the error,
 * if it cannot be made; nothing is left behind then (WSD-SOC-18).
 */
export function makeCompanion(
  services: Services,
  carrier: Carrier,
  local: SOCKADDR,
  options: readonly SocketOption[],
  lpErrno: Out<number>,
): Companion | null {
  const { table } = carrier.provider;
  const socket = table.WSPSocket(local.sa_family, SOCK_STREAM, IPPROTO_TCP, null, 0, WSA_FLAG_OVERLAPPED, lpErrno);
  const handle = services.upcalls.takeCreated();
  if (socket === INVALID_SOCKET) return null;
  // A socket for which the provider has asked no handle cannot be heard of (WSD-THR-7).
  if (handle === null) {
    table.WSPCloseSocket(socket, lpErrno);
    lpErrno.value = WSAEINVAL;
    return null;
  }
  if (
    table.WSPBind(socket, local, nameLength(local), lpErrno) !== 0 ||
    !options.every((option) => setOption(table, socket, option, lpErrno))
  ) {
    const { value } = lpErrno;
    table.WSPCloseSocket(socket, lpErrno);
    lpErrno.value = value;
    return null;
  }
  const companion = { carrier, socket, handle, place: -1 };
  services.companions.add(companion);
  return companion;
}

/** Ends the listening or connecting of a companion. */
export function closeCompanion(services: Services, companion: Companion): void {
  const { carrier, socket } = companion;
  services.companions.delete(companion);
  carrier.provider.table.WSPCloseSocket(socket, carrier.errno);
  services.released(carrier);
}

/** An option that the provider does not know stays effective at the TCP/IP socket, which is no failure (WSD-OPT-15). */
function setOption(
  table: WSPPROC_TABLE,
  socket: ProviderSocket,
  { level, name, value }: SocketOption,
  lpErrno: Out<number>,
): boolean {
  return table.WSPSetSockOpt(socket, level, name, value, 4, lpErrno) === 0 || lpErrno.value === WSAENOPROTOOPT;
}

/** The provider's reason for its last failure on the socket, if it gives one. */
export function providerReason(carrier: Carrier, socket: ProviderSocket): string | null {
  return carrier.provider.extensions.diagnostics?.WSPQueryReason(socket) ?? null;
}
