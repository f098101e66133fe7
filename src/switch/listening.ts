/** One SAN listener of a program's listening socket, and accepting from it (sections 5 and 6 of the digest). */

import {
  AF_INET,
  AF_INET6,
  CF_REJECT,
  EventObject,
  FD_ACCEPT,
  INVALID_SOCKET,
  type InvalidSocket,
  type Out,
  type ProviderSocket,
  type SOCKADDR,
  WSANETWORKEVENTS,
  type WSAPROTOCOL_INFO,
  WSATRY_AGAIN,
} from '../spi/index.js';
import { closeCompanion, makeCompanion, type SocketOption } from './companion.js';
import { Connection, type NegotiationHandler } from './connection.js';
import { receiveCompanion } from './duplication.js';
import type { AcceptHandler } from './face.js';
import type { MovedListener } from './moved.js';
import { Question } from './question.js';
import type { Carrier, Companion, Services } from './services.js';

export class SanListener implements NegotiationHandler {
  readonly #services: Services;
  readonly #carrier: Carrier;
  readonly #companion: Companion;
  readonly #handler: AcceptHandler;
  readonly #local: SOCKADDR;
  readonly #event = new EventObject();
  readonly #events = new WSANETWORKEVENTS();
  readonly #errno: Out<number> = { value: 0 };
  readonly #question = new Question(
    (caller, callee) =>
      this.#closed ? CF_REJECT : this.#handler.condition(this.#asFamily(caller), this.#asFamily(callee)),
    () => this.#services.count('provider-error'),
  );
  #closed = false;
  /** Nobody wants what still negotiates. */
  #abandoned = false;
  /** Nothing but WSPCloseSocket is asked of the companion any more (WSD-DUP-25). */
  #moved = false;
  /** The program has not decided on the first request. */
  #deferred = false;

  private constructor(
    services: Services,
    carrier: Carrier,
    companion: Companion,
    local: SOCKADDR,
    handler: AcceptHandler,
  ) {
    this.#services = services;
    this.#carrier = carrier;
    this.#companion = companion;
    this.#local = local;
    this.#handler = handler;
    this.#event.onset = () => services.scheduler.next(() => this.#signalled());
  }

  /** WSPSocket, WSPBind, WSPListen, WSPEventSelect(FD_ACCEPT), in this order (WSD-LSN-2 to WSD-LSN-4). Null if one fails (WSD-LSN-14). */
  static open(
    services: Services,
    carrier: Carrier,
    local: SOCKADDR,
    backlog: number,
    options: readonly SocketOption[],
    handler: AcceptHandler,
  ): SanListener | null {
    const errno: Out<number> = { value: 0 };
    const companion = makeCompanion(services, carrier, local, options, errno);
    if (companion === null) return null;
    const { table } = carrier.provider;
    const listener = new SanListener(services, carrier, companion, local, handler);
    if (
      table.WSPListen(companion.socket, backlog, errno) === 0 &&
      table.WSPEventSelect(companion.socket, listener.#event, FD_ACCEPT, errno) === 0
    ) {
      return listener;
    }
    listener.close();
    return null;
  }

  /** One that has listened in another process (WSD-DUP-35): WSPSocket with its token, WSPEventSelect. Null if one fails. */
  static receive(
    services: Services,
    carrier: Carrier,
    local: SOCKADDR,
    info: WSAPROTOCOL_INFO,
    handler: AcceptHandler,
  ): SanListener | null {
    const companion = receiveCompanion(services, carrier, local.sa_family, info, null);
    if (typeof companion === 'number') return null;
    services.companions.add(companion);
    const listener = new SanListener(services, carrier, companion, local, handler);
    const { WSPEventSelect } = carrier.provider.table;
    if (WSPEventSelect(companion.socket, listener.#event, FD_ACCEPT, listener.#errno) === 0) return listener;
    listener.close();
    return null;
  }

  /** Gives the listening to another process, or null. What asks from now on, asks there; connections stay (WSD-DUP-35). */
  duplicate(processId: number): MovedListener | null {
    const { name, protocolInfo, table } = this.#carrier.provider;
    const info = { ...protocolInfo };
    if (table.WSPDuplicateSocket(this.#companion.socket, processId, info, this.#errno) !== 0) return null;
    this.#moved = true;
    return { provider: name, info };
  }

  /** FD_ACCEPT is signalled: WSPEnumNetworkEvents, then WSPAccept (WSD-ACC-5, WSD-ACC-6). */
  #signalled(): void {
    if (this.#closed || this.#moved) return;
    const { table } = this.#carrier.provider;
    if (table.WSPEnumNetworkEvents(this.#companion.socket, this.#event, this.#events, this.#errno) !== 0) return;
    if ((this.#events.lNetworkEvents & FD_ACCEPT) !== 0) this.#accept();
  }

  /** The program can decide now: what it has deferred is asked about again (WSD-ACC-10). */
  acceptDeferred(): void {
    if (!this.#deferred || this.#closed || this.#moved) return;
    this.#deferred = false;
    this.#accept();
  }

  #accept(): void {
    const { table } = this.#carrier.provider;
    const peer: SOCKADDR = { sa_family: AF_INET, address: '', port: 0 };
    const question = this.#question;
    // From inside the condition function: the request that it decides on is the first.
    if (question.isAsking) return;
    question.begin();
    let accepted: ProviderSocket | InvalidSocket;
    try {
      accepted = table.WSPAccept(this.#companion.socket, peer, { value: 28 }, question.condition, null, this.#errno);
    } finally {
      question.end();
    }
    const handle = this.#services.upcalls.takeCreated();
    const error = accepted === INVALID_SOCKET ? this.#errno.value : 0;
    if (!question.answeredFor(error) || (error === 0 && handle === null)) {
      // A provider that does not ask, or does not heed the answer, cannot be trusted with the connection. One
      // that asks for no handle cannot tell of it (WSD-THR-7).
      this.#services.count('provider-error');
      if (accepted !== INVALID_SOCKET) table.WSPCloseSocket(accepted, this.#errno);
      this.#lost(question.admitted);
      return;
    }
    if (error === WSATRY_AGAIN) this.#deferred = true;
    if (accepted === INVALID_SOCKET || handle === null) {
      this.#lost(question.admitted);
      return;
    }
    const local = this.#asFamily(question.callee ?? this.#local);
    const remote = this.#asFamily(peer);
    new Connection(this.#services, this.#carrier, accepted, handle, false, local, remote).negotiate(this);
  }

  /** Tells who has said CF_ACCEPT that nothing comes of it: the peer has withdrawn, say, or there is no memory. */
  #lost(caller: SOCKADDR | null): void {
    if (caller !== null) this.#handler.lost?.(this.#asFamily(caller));
  }

  negotiated(connection: Connection): void {
    if (this.#abandoned) connection.reset();
    else this.#handler.accepted(connection);
  }

  negotiationFailed(connection: Connection): void {
    this.#services.count('negotiation-failed');
    this.#handler.lost?.(connection.peerAddress);
  }

  /** A socket of the other family shows IPv4 callers as mapped addresses, as the kernel does. */
  #asFamily(address: SOCKADDR): SOCKADDR {
    if (this.#local.sa_family !== AF_INET6 || address.sa_family !== AF_INET) return address;
    return { sa_family: AF_INET6, address: `::ffff:${address.address}`, port: address.port };
  }

  get isNegotiating(): boolean {
    for (const { negotiation } of this.#services.connections) if (negotiation === this) return true;
    return false;
  }

  /** Stops listening; requests that wait are refused, connections that negotiate are reset. */
  close(): void {
    // Who has been admitted before the listening moved is still the program's.
    if (this.#moved) return this.withdraw();
    this.#abandoned = true;
    this.withdraw();
    for (const connection of this.#services.connections) if (connection.negotiation === this) connection.reset();
  }

  /** Stops listening, because the provider or the address is gone. What has been accepted before goes on (WSD-TBL-11). */
  withdraw(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#event.onset = null;
    closeCompanion(this.#services, this.#companion);
  }
}
