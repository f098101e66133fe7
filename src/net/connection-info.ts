/** Answers to "what carries this socket, and why". */

import net from 'node:net';
import { types } from 'node:util';
import type { Reason } from '../diagnostics/reasons.js';
import { internals } from './internals.js';
import type { NetSocket } from './node-types.js';

const { isProxy } = types;

/** What {@link connectionInfo} answers. */
export interface ConnectionInfo {
  /** `shared-memory`, `tcpip` or another provider's name. Null: not decided, because the socket is not connected. */
  readonly provider: string | null;
  /** Why it is that provider. Null: not decided, or a socket that Sockets Direct does not look at. */
  readonly reason: Reason | null;
}

const undecided: ConnectionInfo = Object.freeze({ provider: null, reason: null });

class Identity {
  constructor(owner: object) {
    // biome-ignore lint/correctness/noConstructorReturn: the field of the subclass is put on a foreign object on purpose.
    return owner;
  }
}

/**
 * A private field on somebody else's object: invisible to the program, and unlike an entry of a WeakMap it costs the garbage
 * collector nothing, which counts where sockets are short-lived.
 */
class Decision extends Identity {
  #info!: ConnectionInfo;

  static set(owner: object, info: ConnectionInfo): void {
    if (!(#info in owner)) new Decision(owner);
    (owner as Decision).#info = info;
  }

  static get(owner: object): ConnectionInfo | undefined {
    return #info in owner ? (owner as Decision).#info : undefined;
  }
}

/** One object for each answer that there is: no more than there are reasons, and the usual ones come first. */
const answers: ConnectionInfo[] = [];

let off: ConnectionInfo | null = null;

let other: ((socket: net.Socket | net.Server) => ConnectionInfo) | null = null;

/** Another copy of this package was first in this process, for example that of the command line. */
export function rememberOther(info: (socket: net.Socket | net.Server) => ConnectionInfo): void {
  other = info;
}

/** Remembers the decision for a socket or a listening server. */
export function remember(owner: object, provider: string | null, reason: Reason | null): void {
  let info = answers.find((one) => one.provider === provider && one.reason === reason);
  if (info === undefined) {
    info = Object.freeze({ provider, reason });
    answers.push(info);
  }
  Decision.set(owner, info);
}

/** Makes the answer for every socket the same, since nothing is hooked. */
export function rememberOff(reason: Reason): void {
  off = Object.freeze({ provider: 'tcpip', reason });
}

/** A session of HTTP/2 shows a proxy of its socket, on which no private field is found: the socket itself then. */
function ownerOfHandle(socket: NetSocket): net.Socket | null {
  const found = internals();
  if (typeof found === 'string' || !isProxy(socket)) return null;
  const owner = socket._handle?.[found.ownerSymbol];
  return owner instanceof net.Socket && !isProxy(owner) ? owner : null;
}

/**
 * Tells which provider carries a socket and why. Takes a net.Socket, a tls.TLSSocket, the `socket` of an HTTP request or
 * of an HTTP/2 session, or a net.Server, for which it tells whether a SAN listens too. The answer stays after the socket is
 * closed.
 */
export function connectionInfo(socket: net.Socket | net.Server): ConnectionInfo {
  if (other !== null) return other(socket);
  const record = Decision.get(socket);
  if (record !== undefined) return record;
  if (!(socket instanceof net.Socket)) return off ?? undecided;
  const { _parent: parent, _server: server, connecting } = socket as NetSocket;
  if (parent != null && parent !== socket) return connectionInfo(parent);
  if (off !== null) return off;
  const owner = ownerOfHandle(socket as NetSocket);
  if (owner !== null) return connectionInfo(owner);
  const { _handle: handle } = socket as NetSocket;
  // A pipe has no name to ask for, and is none of ours. Of a closed socket only its server is left to tell: those that have
  // a decision listen for TCP.
  const isTcp =
    handle === null ? server != null && Decision.get(server) !== undefined : typeof handle.getpeername === 'function';
  if (isTcp && !connecting && server != null) return { provider: 'tcpip', reason: 'accepted-by-tcpip' };
  return undecided;
}
