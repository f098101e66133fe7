/** One connect attempt on a SAN (section 7 of the digest), from the companion to the negotiated session. */

import type { Reason } from '../diagnostics/reasons.js';
import {
  EventObject,
  FD_CONNECT,
  FD_CONNECT_BIT,
  type Out,
  type SOCKADDR,
  WSAECONNREFUSED,
  WSAECONNRESET,
  WSAEHOSTUNREACH,
  WSAEWOULDBLOCK,
  WSANETWORKEVENTS,
} from '../spi/index.js';
import { closeCompanion, makeCompanion, nameLength, providerReason, type SocketOption } from './companion.js';
import { Connection, type NegotiationHandler } from './connection.js';
import type { Carrier, Companion, Services } from './services.js';

/** How an attempt ends; exactly one is called, once, and never after `cancel`. */
export interface AttemptHandler {
  connected(connection: Connection): void;
  /** TCP/IP would fail as well (WSD-CON-13), or the connection was lost after it had been accepted (WSD-CON-17). */
  failed(wsaError: number, reason: Reason): void;
  /** TCP/IP may be tried; nothing of the attempt is left (WSD-CON-12). */
  fallBack(remote: SOCKADDR, reason: Reason): void;
}

/** Filled and read within one call. */
const events = new WSANETWORKEVENTS();

/** The errors after which TCP/IP is not tried (WSD-CON-13). */
export function isFinal(wsaError: number): boolean {
  return wsaError === WSAECONNRESET || wsaError === WSAECONNREFUSED || wsaError === WSAEHOSTUNREACH;
}

export class ConnectAttempt implements NegotiationHandler {
  readonly #services: Services;
  readonly #carrier: Carrier;
  readonly #local: SOCKADDR;
  readonly #remote: SOCKADDR;
  readonly #options: readonly SocketOption[];
  #handler: AttemptHandler | null;
  #companion: Companion | null = null;
  #connection: Connection | null = null;
  readonly #event = new EventObject();
  readonly #errno: Out<number> = { value: 0 };

  constructor(
    services: Services,
    carrier: Carrier,
    local: SOCKADDR,
    remote: SOCKADDR,
    options: readonly SocketOption[],
    handler: AttemptHandler,
  ) {
    this.#services = services;
    this.#options = options;
    this.#carrier = carrier;
    this.#local = local;
    this.#remote = remote;
    this.#handler = handler;
  }

  /** May call the handler before it returns, but only `failed` or `fallBack`. */
  start(): void {
    const { table } = this.#carrier.provider;
    const companion = makeCompanion(this.#services, this.#carrier, this.#local, this.#options, this.#errno);
    if (companion === null) {
      this.#giveUp(null);
      return;
    }
    this.#companion = companion;
    const { socket } = companion;
    this.#event.onset = () => this.#services.scheduler.next(() => this.#signalled());
    // Selecting comes first, so that the connect is nonblocking (WSD-CON-5, WSD-CON-6).
    if (table.WSPEventSelect(socket, this.#event, FD_CONNECT, this.#errno) !== 0) {
      this.#giveUp(null);
      return;
    }
    const result = table.WSPConnect(
      socket,
      this.#remote,
      nameLength(this.#remote),
      null,
      null,
      null,
      null,
      this.#errno,
    );
    if (result === 0) this.#established();
    else if (this.#errno.value !== WSAEWOULDBLOCK) this.#end(this.#errno.value, providerReason(this.#carrier, socket));
  }

  #signalled(): void {
    if (this.#handler === null || this.#companion === null || this.#connection !== null) return;
    const { socket } = this.#companion;
    if (this.#carrier.provider.table.WSPEnumNetworkEvents(socket, this.#event, events, this.#errno) !== 0) {
      // Nobody will tell how the connect ends.
      this.#giveUp(providerReason(this.#carrier, socket));
      return;
    }
    if ((events.lNetworkEvents & FD_CONNECT) === 0) return;
    const error = events.iErrorCode[FD_CONNECT_BIT];
    if (error === 0) this.#established();
    else this.#end(error, providerReason(this.#carrier, socket));
  }

  #established(): void {
    const companion = this.#companion!;
    const { socket, handle } = companion;
    this.#companion = null;
    this.#services.companions.delete(companion);
    const connection = new Connection(this.#services, this.#carrier, socket, handle, true, this.#local, this.#remote);
    this.#connection = connection;
    connection.negotiate(this);
  }

  negotiated(connection: Connection): void {
    this.#take()?.connected(connection);
  }

  negotiationFailed(_connection: Connection, wsaError: number): void {
    this.#take()?.failed(wsaError, 'negotiation-failed');
  }

  /** WSPConnect has failed. The companion goes first, whatever comes then (WSD-CON-12). */
  #end(wsaError: number, reason: string | null): void {
    if (!isFinal(wsaError)) {
      this.#giveUp(reason);
      return;
    }
    this.#closeCompanion();
    this.#take()?.failed(wsaError, 'refused');
  }

  /** No error of the setup is final, because nobody was asked for a connection (WSD-CON-4, WSD-SOC-18). */
  #giveUp(reason: string | null): void {
    this.#closeCompanion();
    this.#take()?.fallBack(this.#remote, (reason ?? 'provider-error') as Reason);
  }

  #closeCompanion(): void {
    this.#event.onset = null;
    const companion = this.#companion;
    this.#companion = null;
    if (companion !== null) closeCompanion(this.#services, companion);
  }

  #take(): AttemptHandler | null {
    const handler = this.#handler;
    this.#handler = null;
    return handler;
  }

  /** WSD-CON-22: closing the companion aborts the attempt. */
  cancel(): void {
    this.#handler = null;
    this.#closeCompanion();
    this.#connection?.reset();
  }
}
