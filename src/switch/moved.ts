/** What goes from one switch to another when a socket moves. It comes from another process, so it is checked. */

import { checkedState, type SessionState } from '../session/index.js';
import { AF_INET, AF_INET6, type SOCKADDR, type WSAPROTOCOL_INFO } from '../spi/index.js';

export interface MovedConnection {
  /** Name of the provider. */
  readonly provider: string;
  /** Of WSPDuplicateSocket. Null: the connection is over, and there is only what has arrived. */
  readonly info: WSAPROTOCOL_INFO | null;
  readonly initiator: boolean;
  readonly localAddress: SOCKADDR;
  readonly peerAddress: SOCKADDR;
  readonly session: SessionState;
}

export interface MovedListener {
  readonly provider: string;
  readonly info: WSAPROTOCOL_INFO;
}

type Fields = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null;
}

function isAddress(value: unknown): value is SOCKADDR {
  if (!isObject(value)) return false;
  const { sa_family: family, address, port } = value;
  if (family !== AF_INET && family !== AF_INET6) return false;
  return typeof address === 'string' && address.length <= 45 && Number.isInteger(port) && (port as number) >>> 16 === 0;
}

function isToken(info: unknown): boolean {
  return isObject(info) && Number.isInteger(info.dwProviderReserved) && info.dwProviderReserved !== 0;
}

/** The value, if it can be a connection that has moved here; else null. */
export function checkedConnection(value: unknown): MovedConnection | null {
  if (!isObject(value) || typeof value.provider !== 'string' || typeof value.initiator !== 'boolean') return null;
  const session = checkedState(value.session);
  if (session === null || (value.info === null) !== session.dead || !(value.info === null || isToken(value.info)))
    return null;
  if (!isAddress(value.localAddress) || !isAddress(value.peerAddress)) return null;
  return { ...(value as unknown as MovedConnection), session };
}

export function checkedListeners(value: unknown): MovedListener[] | null {
  const fits = (one: unknown): boolean => isObject(one) && typeof one.provider === 'string' && isToken(one.info);
  return Array.isArray(value) && value.every(fits) ? (value as MovedListener[]) : null;
}
