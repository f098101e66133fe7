/** Answers to "what carries this socket, and why". */

import net from 'node:net';
import type { Reason } from '../diagnostics/reasons.js';
import type { NetSocket } from './node-types.js';

/** What {@link connectionInfo} answers. */
export interface ConnectionInfo {
  /** `shared-memory`, `tcpip` or another provider's name. Null: not decided, because the socket is not connected. */
  readonly provider: string | null;
  /** Why it is that provider. Null: not decided, or a socket that Sockets Direct does not look at. */
  readonly reason: Reason | null;
}

const undecided: ConnectionInfo = Object.freeze({ provider: null, reason: null });
const records = new WeakMap<object, ConnectionInfo>();
let off: ConnectionInfo | null = null;

/** Remembers the decision for a socket or a listening server. */
export function remember(owner: object, provider: string | null, reason: Reason | null): void {
  records.set(owner, { provider, reason });
}

/** Makes the answer for every socket the same, since nothing is hooked. */
export function rememberOff(reason: Reason): void {
  off = Object.freeze({ provider: 'tcpip', reason });
}

/**
 * Tells which provider carries a socket and why. Takes a net.Socket, a tls.TLSSocket, the `socket` of an HTTP request,
 * or a net.Server, for which it tells whether a SAN listens too. The answer stays after the socket is closed.
 */
export function connectionInfo(socket: net.Socket | net.Server): ConnectionInfo {
  const record = records.get(socket);
  if (record !== undefined) return record;
  if (!(socket instanceof net.Socket)) return off ?? undecided;
  const { _parent: parent, _server: server, connecting } = socket as NetSocket;
  if (parent != null && parent !== socket) return connectionInfo(parent);
  if (off !== null) return off;
  const { _handle: handle } = socket as NetSocket;
  if (handle !== null && !connecting && server != null) return { provider: 'tcpip', reason: 'accepted-by-tcpip' };
  return undecided;
}
