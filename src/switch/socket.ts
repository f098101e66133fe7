/** The private record of a program's socket (WSD-SOC-2): decides, when it listens or connects, who carries it (WSD-SOC-4). */

import type { Reason } from '../diagnostics/reasons.js';
import type { TcpipSocket } from '../providers/tcpip/index.js';
import {
  AF_INET,
  AF_INET6,
  type Out,
  SO_DEBUG,
  SO_GROUP_PRIORITY,
  type SOCKADDR,
  SOL_SOCKET,
  SOMAXCONN,
  WSAENETUNREACH,
} from '../spi/index.js';
import { nameLength, type SocketOption } from './companion.js';
import { type AttemptHandler, ConnectAttempt } from './connecting.js';
import type { Connection } from './connection.js';
import { carrierNamed } from './duplication.js';
import type { AcceptHandler, ConnectHandler, Exclusion, SwitchSocket } from './face.js';
import { SanListener } from './listening.js';
import type { MovedListener } from './moved.js';
import type { Served } from './routing-table.js';
import type { Carrier, Services } from './services.js';

/** Gives the services of a started switch, or why there are none. */
export type StartServices = () => Services | Reason;

export interface SocketContext {
  /** All that listen: told when providers or addresses have changed. */
  readonly listening: Set<Socket>;
  readonly tcpip: Services['tcpip'];
  readonly required: boolean;
  readonly policy: Exclusion | null;
  /** True if no SAN provider can serve the address, whatever is started: then nothing is. */
  isForeign(address: SOCKADDR): boolean;
  services: StartServices;
  count(reason: Reason): void;
}

/** Options that can be the provider's (section 16 of the digest); all others are the TCP/IP socket's alone. */
const providerOptions: ReadonlySet<number> = new Set([SO_DEBUG, SO_GROUP_PRIORITY]);

/** libuv's ENETDOWN: what a listen reports where SOCKETS_DIRECT_REQUIRE forbids a fallback. */
const networkDown = -100;

export class Socket implements SwitchSocket, AttemptHandler {
  reason: Reason | null = null;
  readonly #context: SocketContext;
  readonly #tcpip: TcpipSocket;
  /** What the program listens for; null: it does not. */
  #listening: { readonly local: SOCKADDR; readonly backlog: number; readonly handler: AcceptHandler } | null = null;
  readonly #listeners = new Map<Carrier, SanListener>();
  /** Those that have ended before the socket, while connections of theirs still negotiate. */
  #withdrawn: SanListener[] = [];
  /** WSD-SOC-17: what the program has set, in order. */
  #options: SocketOption[] = [];
  #attempt: ConnectAttempt | null = null;
  /** Who waits for the connect under way. */
  #handler: ConnectHandler | null = null;
  #port = 0;
  #ports: Services['ports'] | null = null;

  constructor(context: SocketContext, tcpip: TcpipSocket) {
    this.#context = context;
    this.#tcpip = tcpip;
  }

  // ---- listening

  // TCP answers a burst beyond the backlog by silence, and the connector tries again; a SAN refuses at once (WSD-LSN-8). A
  // program that chooses a backlog for TCP does not ask for that, so by default a SAN has room for bursts.
  listen(backlog: number, handler: AcceptHandler, sanBacklog = SOMAXCONN): number {
    const errno: Out<number> = { value: 0 };
    if (this.#context.tcpip.WSPListen(this.#tcpip, backlog, errno) !== 0) return this.#tcpip.status;
    const local = this.#context.tcpip.WSPGetSockName(this.#tcpip);
    if (local !== null && this.#tcpip.ipv6Only) local.ipv6Only = true;
    if (local === null) this.#decide('bound-elsewhere');
    else this.#listenOnSan(local, sanBacklog, handler);
    return this.reason !== 'accelerated' && this.#isRequired(this.reason) ? networkDown : 0;
  }

  join(local: SOCKADDR, handler: AcceptHandler): void {
    this.#listenOnSan(local, SOMAXCONN, handler);
  }

  #listenOnSan(local: SOCKADDR, backlog: number, handler: AcceptHandler): void {
    this.#decide(this.#joinSans(local, backlog, handler));
    this.#listening = { local, backlog, handler };
    this.#context.listening.add(this);
  }

  /** The wildcard means every provider's addresses, so whoever comes later joins too (WSD-REG-9). */
  reconsider(): void {
    if (this.#listening === null) return;
    const { local, backlog, handler } = this.#listening;
    const reason = this.#joinSans(local, backlog, handler);
    if (reason === this.reason) return;
    this.#decide(reason);
    handler.reasonChanged?.(reason);
  }

  /** Listens on all providers that serve the address, and on no others (WSD-LSN-2). */
  #joinSans(local: SOCKADDR, backlog: number, handler: AcceptHandler): Reason {
    const found = this.#findCarriers(local);
    const carriers = typeof found === 'string' ? [] : found.carriers;
    for (const [carrier, listener] of this.#listeners) {
      if (carriers.includes(carrier)) continue;
      this.#listeners.delete(carrier);
      listener.withdraw();
      this.#withdrawn = [...this.#withdrawn, listener].filter(({ isNegotiating }) => isNegotiating);
    }
    if (typeof found === 'string') return found;
    const { services } = found;
    for (const carrier of carriers) {
      if (this.#listeners.has(carrier)) continue;
      const listener = SanListener.open(services, carrier, local, backlog, this.#options, handler);
      if (listener !== null) this.#listeners.set(carrier, listener);
    }
    return this.#listeners.size > 0 ? 'accelerated' : 'provider-error';
  }

  #findCarriers(local: SOCKADDR): { services: Services; carriers: readonly Carrier[] } | Reason {
    const excluded = this.#context.policy?.('listen', local) ?? null;
    if (excluded !== null) return excluded;
    const wildcard = local.address === '0.0.0.0' || local.address === '::';
    if (!wildcard && this.#context.isForeign(local)) return 'not-routed';
    const services = this.#context.services();
    if (typeof services === 'string') return services;
    const carriers = wildcard ? services.carriers.active : [services.routes.lookup(local)];
    const serving = carriers.filter((carrier) => carrier !== null);
    return serving.length === 0 ? 'not-routed' : { services, carriers: serving };
  }

  duplicate(processId: number): MovedListener[] {
    this.#listening = null;
    this.#context.listening.delete(this);
    const moved = [...this.#listeners.values()].map((listener) => listener.duplicate(processId));
    return moved.filter((one) => one !== null);
  }

  receive(local: SOCKADDR, backlog: number, moved: readonly MovedListener[], handler: AcceptHandler): void {
    const services = moved.length === 0 ? 'not-routed' : this.#context.services();
    if (typeof services !== 'string') {
      for (const { provider, info } of moved) {
        const carrier = carrierNamed(services, provider);
        const listener = carrier && SanListener.receive(services, carrier, local, info, handler);
        if (carrier && listener) this.#listeners.set(carrier, listener);
      }
    }
    this.#listenOnSan(local, backlog, handler);
  }

  acceptDeferred(): void {
    for (const listener of this.#listeners.values()) listener.acceptDeferred();
  }

  setOption(level: number, name: number, value: number): void {
    if (level !== SOL_SOCKET || !providerOptions.has(name)) return;
    this.#options = this.#options.filter((option) => option.name !== name);
    this.#options.push({ level, name, value });
  }

  // ---- connecting

  connect(remote: SOCKADDR, handler: ConnectHandler): void {
    const excluded = this.#context.policy?.('connect', remote) ?? null;
    if (excluded !== null) {
      this.#fallBack(remote, handler, excluded);
      return;
    }
    // Nobody can be reached at port 0, and TCP/IP has its own error for it.
    if (remote.port === 0 || this.#context.isForeign(remote)) {
      this.#fallBack(remote, handler, 'not-routed');
      return;
    }
    const services = this.#context.services();
    if (typeof services === 'string') {
      this.#fallBack(remote, handler, services);
      return;
    }
    const served = services.routes.route(remote);
    const local = served === null ? null : this.#localAddress(services, remote, served);
    if (served === null || local === null) {
      this.#fallBack(remote, handler, served === null ? 'not-routed' : 'bound-elsewhere');
      return;
    }
    if (local.port === 0) {
      this.#fallBack(remote, handler, 'resources-exhausted');
      return;
    }
    this.#handler = handler;
    this.#attempt = new ConnectAttempt(services, served.provider, local, remote, this.#options, this);
    this.#attempt.start();
  }

  connected(connection: Connection): void {
    const handler = this.#endAttempt();
    const port = this.#port;
    const ports = this.#ports;
    this.#port = 0;
    if (port !== 0) connection.onClosed = () => ports?.give(port);
    this.#decide('accelerated');
    handler?.connected(connection);
  }

  failed(wsaError: number, reason: Reason): void {
    const handler = this.#endAttempt();
    this.#givePort();
    this.#decide(reason);
    handler?.failed(wsaError, reason);
  }

  fallBack(remote: SOCKADDR, reason: Reason): void {
    const handler = this.#endAttempt();
    this.#givePort();
    if (handler !== null) this.#fallBack(remote, handler, reason);
  }

  #endAttempt(): ConnectHandler | null {
    const handler = this.#handler;
    this.#attempt = null;
    this.#handler = null;
    return handler;
  }

  /** What the program bound, completed to a full address (WSD-SOC-14, WSD-SOC-15); null if it is bound elsewhere. */
  #localAddress(services: Services, remote: SOCKADDR, served: Served<Carrier>): SOCKADDR | null {
    const bound = this.#context.tcpip.WSPGetSockName(this.#tcpip);
    let { address } = served.local;
    let port = 0;
    if (bound !== null && bound.port !== 0) {
      port = bound.port;
      const wildcard = bound.address === '0.0.0.0' || bound.address === '::';
      if (!wildcard) {
        if (services.routes.lookup(bound) !== served.provider || bound.sa_family !== remote.sa_family) return null;
        address = bound.address;
      }
    }
    if (port === 0) {
      port = services.ports.take();
      this.#port = port;
      this.#ports = services.ports;
    }
    return { sa_family: address.includes(':') ? AF_INET6 : AF_INET, address, port };
  }

  #givePort(): void {
    if (this.#port !== 0) this.#ports?.give(this.#port);
    this.#port = 0;
  }

  #fallBack(remote: SOCKADDR, handler: ConnectHandler, reason: Reason): void {
    this.#decide(reason);
    if (this.#isRequired(reason)) {
      handler.failed(WSAENETUNREACH, reason);
      return;
    }
    const errno: Out<number> = { value: 0 };
    this.#context.tcpip.WSPConnect(this.#tcpip, remote, nameLength(remote), null, null, null, null, errno);
    handler.fallback(reason, this.#tcpip.status);
  }

  /** What the user's own policy keeps on TCP/IP has not fallen back. */
  #isRequired(reason: Reason | null): boolean {
    return this.#context.required && reason !== 'denied-by-policy';
  }

  #decide(reason: Reason): void {
    this.reason = reason;
    this.#context.count(reason);
  }

  close(): void {
    this.#listening = null;
    this.#context.listening.delete(this);
    for (const listener of [...this.#listeners.values(), ...this.#withdrawn]) listener.close();
    this.#listeners.clear();
    this.#withdrawn = [];
    this.#attempt?.cancel();
    this.#attempt = null;
    this.#givePort();
  }
}
