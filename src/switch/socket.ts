/** The private record of a program's socket (WSD-SOC-2): decides, when it listens or connects, who carries it (WSD-SOC-4). */

import type { Reason } from '../diagnostics/reasons.js';
import type { TcpipSocket } from '../providers/tcpip/index.js';
import { AF_INET, AF_INET6, type Out, type SOCKADDR, SOMAXCONN, WSAENETUNREACH } from '../spi/index.js';
import { nameLength } from './companion.js';
import { ConnectAttempt } from './connecting.js';
import type { AcceptHandler, ConnectHandler, SwitchSocket } from './face.js';
import { SanListener } from './listening.js';
import type { Carrier, Services } from './services.js';

/** Gives the services of a started switch, or why there are none. */
export type StartServices = () => Services | Reason;

export interface SocketContext {
  readonly tcpip: Services['tcpip'];
  readonly required: boolean;
  /** True if no SAN provider can serve the address, whatever is started: then nothing is. */
  isForeign(address: SOCKADDR): boolean;
  services: StartServices;
  count(reason: Reason): void;
}

/** libuv's ENETDOWN: what a listen reports where SOCKETS_DIRECT_REQUIRE forbids a fallback. */
const networkDown = -100;

export class Socket implements SwitchSocket {
  reason: Reason | null = null;
  readonly #context: SocketContext;
  readonly #tcpip: TcpipSocket;
  #listeners: SanListener[] = [];
  #attempt: ConnectAttempt | null = null;
  #port = 0;
  #ports: Services['ports'] | null = null;

  constructor(context: SocketContext, tcpip: TcpipSocket) {
    this.#context = context;
    this.#tcpip = tcpip;
  }

  // ---- listening

  listen(backlog: number, handler: AcceptHandler): number {
    const errno: Out<number> = { value: 0 };
    if (this.#context.tcpip.WSPListen(this.#tcpip, backlog, errno) !== 0) return this.#tcpip.status;
    this.#decide(this.#listenOnSan(handler));
    return this.reason !== 'accelerated' && this.#context.required ? networkDown : 0;
  }

  #listenOnSan(handler: AcceptHandler): Reason {
    const local = this.#context.tcpip.WSPGetSockName(this.#tcpip);
    if (local === null) return 'bound-elsewhere';
    if (this.#tcpip.ipv6Only) local.ipv6Only = true;
    const wildcard = local.address === '0.0.0.0' || local.address === '::';
    if (!wildcard && this.#context.isForeign(local)) return 'not-routed';
    const services = this.#context.services();
    if (typeof services === 'string') return services;
    const carriers: readonly (Carrier | null)[] = wildcard ? services.carriers : [services.routes.lookup(local)];
    for (const carrier of carriers) {
      // TCP answers a burst beyond the backlog by silence, and the connector tries again; a SAN refuses at once
      // (WSD-LSN-8). No program asked for that when it chose a backlog, so it gets room for bursts.
      const listener = carrier && SanListener.open(services, carrier, local, SOMAXCONN, handler);
      if (listener) this.#listeners.push(listener);
    }
    if (this.#listeners.length > 0) return 'accelerated';
    return carriers.some((carrier) => carrier !== null) ? 'provider-error' : 'not-routed';
  }

  // ---- connecting

  connect(remote: SOCKADDR, handler: ConnectHandler): void {
    if (this.#context.isForeign(remote)) {
      this.#fallBack(remote, handler, 'not-routed');
      return;
    }
    const services = this.#context.services();
    if (typeof services === 'string') {
      this.#fallBack(remote, handler, services);
      return;
    }
    const carrier = services.routes.lookup(remote);
    const local = carrier === null ? null : this.#localAddress(services, remote);
    if (carrier === null || local === null) {
      this.#fallBack(remote, handler, carrier === null ? 'not-routed' : 'bound-elsewhere');
      return;
    }
    if (local.port === 0) {
      this.#fallBack(remote, handler, 'resources-exhausted');
      return;
    }
    this.#attempt = new ConnectAttempt(services, carrier, local, remote, {
      connected: (connection) => {
        this.#attempt = null;
        const port = this.#port;
        this.#port = 0;
        if (port !== 0) connection.onClosed = () => services.ports.give(port);
        this.#decide('accelerated');
        handler.connected(connection);
      },
      failed: (wsaError, reason) => {
        this.#attempt = null;
        this.#givePort();
        this.#decide(reason);
        handler.failed(wsaError, reason);
      },
      fallBack: (reason) => {
        this.#attempt = null;
        this.#givePort();
        this.#fallBack(remote, handler, reason);
      },
    });
    this.#attempt.start();
  }

  /** What the program bound, completed to a full address (WSD-SOC-14, WSD-SOC-15); null if it is bound elsewhere. */
  #localAddress(services: Services, remote: SOCKADDR): SOCKADDR | null {
    const bound = this.#context.tcpip.WSPGetSockName(this.#tcpip);
    let { address } = remote;
    let port = bound?.port ?? 0;
    if (bound !== null && bound.port !== 0) {
      const wildcard = bound.address === '0.0.0.0' || bound.address === '::';
      if (!wildcard && bound.address !== remote.address) {
        if (services.routes.lookup(bound) === null || bound.sa_family !== remote.sa_family) return null;
        address = bound.address;
      }
    } else if (address.startsWith('127.') && remote.sa_family === AF_INET) {
      address = '127.0.0.1';
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
    if (this.#context.required) {
      handler.failed(WSAENETUNREACH, reason);
      return;
    }
    const errno: Out<number> = { value: 0 };
    this.#context.tcpip.WSPConnect(this.#tcpip, remote, nameLength(remote), null, null, null, null, errno);
    handler.fallback(reason, this.#tcpip.status);
  }

  #decide(reason: Reason): void {
    this.reason = reason;
    this.#context.count(reason);
  }

  close(): void {
    for (const listener of this.#listeners.splice(0)) listener.close();
    this.#attempt?.cancel();
    this.#attempt = null;
    this.#givePort();
  }
}
