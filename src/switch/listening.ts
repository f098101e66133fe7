/** One SAN listener of a program's listening socket, and accepting from it (sections 5 and 6 of the digest). */

import {
  AF_INET,
  AF_INET6,
  CF_REJECT,
  EventObject,
  FD_ACCEPT,
  INVALID_SOCKET,
  type Out,
  type SOCKADDR,
  WSANETWORKEVENTS,
} from '../spi/index.js';
import { type Companion, makeCompanion } from './companion.js';
import { Connection } from './connection.js';
import type { AcceptHandler } from './face.js';
import type { Carrier, Services } from './services.js';

export class SanListener {
  readonly #services: Services;
  readonly #carrier: Carrier;
  readonly #companion: Companion;
  readonly #handler: AcceptHandler;
  readonly #local: SOCKADDR;
  readonly #event = new EventObject();
  readonly #events = new WSANETWORKEVENTS();
  readonly #errno: Out<number> = { value: 0 };
  /** Accepted connections that still negotiate. */
  readonly #negotiating = new Set<Connection>();
  #closed = false;

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
    this.#event.onset = () => services.scheduler.next(() => this.#acceptOne());
  }

  /** WSPSocket, WSPBind, WSPListen, WSPEventSelect(FD_ACCEPT), in this order (WSD-LSN-2 to WSD-LSN-4). Null if one fails (WSD-LSN-14). */
  static open(
    services: Services,
    carrier: Carrier,
    local: SOCKADDR,
    backlog: number,
    handler: AcceptHandler,
  ): SanListener | null {
    const errno: Out<number> = { value: 0 };
    const companion = makeCompanion(services, carrier, local, errno);
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

  /** FD_ACCEPT is signalled: WSPEnumNetworkEvents, then WSPAccept (WSD-ACC-5, WSD-ACC-6). */
  #acceptOne(): void {
    if (this.#closed) return;
    const { table } = this.#carrier.provider;
    const { socket } = this.#companion;
    if (table.WSPEnumNetworkEvents(socket, this.#event, this.#events, this.#errno) !== 0) return;
    if ((this.#events.lNetworkEvents & FD_ACCEPT) === 0) return;
    const peer: SOCKADDR = { sa_family: AF_INET, address: '', port: 0 };
    let called = this.#local;
    const accepted = table.WSPAccept(
      socket,
      peer,
      { value: 28 },
      (caller, _callerData, _sqos, _gqos, callee) => {
        called = callee;
        return this.#closed ? CF_REJECT : this.#handler.condition(this.#asFamily(caller), this.#asFamily(callee));
      },
      null,
      this.#errno,
    );
    const handle = this.#services.upcalls.takeCreated();
    if (accepted === INVALID_SOCKET || handle === null) return;
    const connection = new Connection(
      this.#services,
      this.#carrier,
      accepted,
      handle,
      false,
      this.#asFamily(called),
      this.#asFamily(peer),
    );
    this.#negotiating.add(connection);
    connection.negotiate({
      negotiated: () => {
        this.#negotiating.delete(connection);
        if (this.#closed) connection.reset();
        else this.#handler.accepted(connection);
      },
      failed: () => {
        this.#negotiating.delete(connection);
        this.#services.count('negotiation-failed');
      },
    });
  }

  /** A socket of the other family shows IPv4 callers as mapped addresses, as the kernel does. */
  #asFamily(address: SOCKADDR): SOCKADDR {
    if (this.#local.sa_family !== AF_INET6 || address.sa_family !== AF_INET) return address;
    return { sa_family: AF_INET6, address: `::ffff:${address.address}`, port: address.port };
  }

  /** Stops listening; requests that wait are refused, connections that negotiate are reset. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#event.onset = null;
    this.#carrier.provider.table.WSPCloseSocket(this.#companion.socket, this.#errno);
    for (const connection of this.#negotiating) connection.reset();
    this.#negotiating.clear();
  }
}
