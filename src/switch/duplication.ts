/** The receiving side of a socket that moves here from another process (steps 3 and 4 of section 18.2 of the digest). */

import {
  INVALID_SOCKET,
  IPPROTO_TCP,
  type Out,
  SOCK_STREAM,
  type SOCKADDR,
  WSA_FLAG_OVERLAPPED,
  WSAEINVAL,
  WSAENETDOWN,
  type WSAPROTOCOL_INFO,
} from '../spi/index.js';
import { Connection } from './connection.js';
import type { MovedConnection } from './moved.js';
import type { Carrier, Companion, Services } from './services.js';

/** What stands for the companion of a connection that is over. */
const noSocket = { spi: 'ProviderSocket' } as const;

export function carrierNamed(services: Services, name: string): Carrier | null {
  return services.carriers.active.find(({ provider }) => provider.name === name) ?? null;
}

/**
 * WSPSocket with the token of WSPDuplicateSocket (WSD-DUP-27). The provider may give the descriptor that the socket had here
 * before, without a new handle (WSD-DUP-29, WSD-DUP-30); `replaceBy` is asked for its handle then. A Winsock error otherwise.
 */
export function receiveCompanion(
  services: Services,
  carrier: Carrier,
  family: number,
  info: WSAPROTOCOL_INFO,
  former: Connection | null,
): Companion | number {
  const { table } = carrier.provider;
  const errno: Out<number> = { value: 0 };
  const socket = table.WSPSocket(family, SOCK_STREAM, IPPROTO_TCP, info, 0, WSA_FLAG_OVERLAPPED, errno);
  const created = services.upcalls.takeCreated();
  if (socket === INVALID_SOCKET) return errno.value || WSAEINVAL;
  const known = former?.replaceBy(socket) ?? null;
  const handle = created ?? known;
  if (handle?.open === true) return { carrier, socket, handle, place: -1 };
  table.WSPCloseSocket(socket, errno);
  return WSAEINVAL;
}

/** A connection that has been in another process goes on here, or a Winsock error. `former` is what it was here before. */
export function receiveConnection(
  services: Services,
  moved: MovedConnection,
  former: Connection | null,
): Connection | number {
  const carrier = carrierNamed(services, moved.provider);
  if (carrier === null || moved.session.payloadMax > carrier.offer.payloadSize) return WSAENETDOWN;
  const { info, initiator, localAddress, peerAddress } = moved;
  const make = ({ socket, handle }: { socket: Companion['socket']; handle: Companion['handle'] | null }): Connection =>
    new Connection(services, carrier, socket, handle, initiator, localAddress, peerAddress);
  let connection: Connection;
  if (info === null) {
    former?.closeFormer();
    connection = make({ socket: noSocket, handle: null });
  } else {
    const companion = receiveCompanion(services, carrier, (localAddress as SOCKADDR).sa_family, info, former);
    if (typeof companion === 'number') return companion;
    connection = make(companion);
  }
  return connection.arrive(moved, former) || connection;
}
