/** WSPDuplicateSocket, and WSPSocket with what it has left (section 18 of the digest). */

import { FD_ACCEPT, WSAEINVAL, WSAENOTCONN, type WSAPROTOCOL_INFO } from '../../spi/index.js';
import { Connection, type ConnectionOptions } from './connection.js';
import type { Network } from './network.js';
import type { SimulatedSocket } from './socket.js';

/** 0, or an error of WSD-DUP-43. */
export function duplicate(
  s: SimulatedSocket,
  processId: number,
  info: WSAPROTOCOL_INFO | null,
  network: Network,
): number {
  if (info === null || s.moved) return WSAEINVAL;
  if (s.listener === null && s.dataError !== 0) return WSAENOTCONN;
  info.dwProviderReserved = network.leave(s, processId);
  s.moved = true;
  s.connection?.leave();
  return 0;
}

/** `socket` becomes what `left` was in another process (WSD-DUP-33). */
export function receive(socket: SimulatedSocket, left: SimulatedSocket, options: ConnectionOptions): void {
  socket.moved = false;
  socket.local = left.local;
  socket.remote = left.remote;
  socket.debug = left.debug;
  if (left.connection !== null) {
    socket.connection = new Connection(socket, options, true);
    socket.connection.arrive(left.connection);
    return;
  }
  socket.listener = left.listener;
  left.listener = null;
  if (socket.listener !== null && socket.listener.first !== null) socket.recordEvent(FD_ACCEPT, 0);
}
