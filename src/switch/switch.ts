/** The Windows Sockets switch: makes SAN providers and TCP/IP look like one provider (WSD-COMP-1, WSD-COMP-2). */

import { AsyncResource } from 'node:async_hooks';
import { DenseSet } from '../collections/dense-set.js';
import type { Reason } from '../diagnostics/reasons.js';
import type { ConnectionStatus, ProviderStatus } from '../diagnostics/status.js';
import type { TcpipSocket } from '../providers/tcpip/index.js';
import { type SOCKADDR, WSAEINVAL, WSAENETDOWN } from '../spi/index.js';
import { Carriers, type CarriersOptions } from './carriers.js';
import { Connection } from './connection.js';
import { receiveConnection } from './duplication.js';
import type { Exclusion, MovableConnection, SwitchSocket } from './face.js';
import { checkedConnection } from './moved.js';
import { NegotiationTimeouts } from './negotiation-timeouts.js';
import { LocalPorts, type PortReservation } from './ports.js';
import type { Scheduler } from './scheduler.js';
import type { Carrier, Services, SessionTrace } from './services.js';
import { Socket, type SocketContext } from './socket.js';
import { Upcalls } from './upcalls.js';
import { WaitingWrites } from './waiting-writes.js';

export interface SwitchOptions extends CarriersOptions {
  /**
   * WSAProviderConfigChange: `changed` is called whenever `providers()` gives something else, until what is returned is
   * called. Absent: nothing changes.
   */
  watchProviders?(changed: () => void): () => void;
  readonly scheduler: Scheduler;
  /** Milliseconds, monotonic. */
  now(): number;
  /** Reserves local ports; asked after the providers have started. */
  portReservation(): PortReservation;
  /** True if no SAN provider can serve the address: asked before anything is started, so it must be cheap. */
  isForeign(address: SOCKADDR): boolean;
  /** A fallback is an error. */
  readonly required: boolean;
  /** What the user keeps on TCP/IP; absent: nothing. */
  readonly policy?: Exclusion | null;
  readonly trace: SessionTrace | null;
  /** Told of every decision. */
  count(reason: Reason): void;
}

export class Switch {
  readonly #options: SwitchOptions;
  readonly #upcalls = new Upcalls();
  /** What is started at the first use must not keep the asynchronous context of whoever came first. */
  readonly #root = new AsyncResource('SocketsDirectSwitch');
  readonly #carriers: Carriers;
  /** What all sockets have in common. */
  readonly #socketContext: SocketContext;
  #services: Services | null = null;
  /** Why no SAN can be used; null: one can, or none was needed yet. */
  #unavailable: Reason | null = null;
  /** End the watching of providers and addresses. */
  #stops: (() => void)[] = [];
  #reconsidering = false;

  constructor(options: SwitchOptions) {
    this.#options = options;
    this.#carriers = new Carriers(options, this.#upcalls);
    const { tcpip, required, policy = null, isForeign, count } = options;
    const services = () => this.#start();
    this.#socketContext = { tcpip, required, policy, isForeign, count, services, listening: new Set() };
  }

  /** WSD-SOC-1: the program has made its TCP/IP socket; the switch keeps a record of it, and nothing else happens yet. */
  openSocket(tcpip: TcpipSocket): SwitchSocket {
    return new Socket(this.#socketContext, tcpip);
  }

  /**
   * A connection that has been in another process goes on here (WSD-DUP-27), or a Winsock error. `moved` is what `duplicate`
   * gave there, by whatever way it has come; `former` is the connection as it was here before, if it was.
   */
  receiveConnection(moved: unknown, former: MovableConnection | null): MovableConnection | number {
    const checked = checkedConnection(moved);
    if (checked === null) return WSAEINVAL;
    const services = this.#start();
    if (typeof services === 'string') return WSAENETDOWN;
    return receiveConnection(services, checked, former instanceof Connection ? former : null);
  }

  /**
   * The process ends, and no event loop turns any more. With TCP the kernel goes on sending what a program has written; here
   * the connections have to do it before the end. `turn` lets the providers work and tells whether messages still wait for
   * wire; `expired` ends the attempt.
   */
  endWithProcess(turn: () => boolean, expired: () => boolean): void {
    if (this.#services === null) return;
    const connections = [...this.#services.connections];
    if (!connections.some(({ hasUnsent }) => hasUnsent)) return;
    for (const connection of connections) connection.endWithProcess();
    let unsent = connections;
    do {
      const waiting = turn();
      unsent = unsent.filter(({ hasUnsent }) => hasUnsent);
      if (unsent.length === 0 && !waiting) return;
    } while (!expired());
    // Nobody must take what is missing for the end of the data.
    for (const connection of unsent) connection.reset();
    turn();
  }

  /** What is open: established connections, SAN sockets that listen or connect, local ports of ours. */
  get usage(): { readonly connections: number; readonly companions: number; readonly ports: number } {
    if (this.#services === null) return { connections: 0, companions: 0, ports: 0 };
    const { connections, companions, ports } = this.#services;
    return { connections: connections.size, companions: companions.size, ports: ports.taken };
  }

  /** Established connections, also those that are still sending after their programs have closed them. */
  *connections(): Generator<ConnectionStatus> {
    for (const { status } of this.#services?.connections ?? []) if (status !== null) yield status;
  }

  /** Why no SAN could be started; null: one has, or none was needed yet. */
  get startReason(): Reason | null {
    return this.#unavailable;
  }

  /** Providers that are in use, that were left out, and that were removed while they had connections. */
  providers(): readonly ProviderStatus[] {
    return this.#carriers.status();
  }

  /** At the first use everything is started; later the table of addresses is kept true. */
  #start(): Services | Reason {
    if (this.#stops.length === 0) this.#root.runInAsyncScope(() => this.#startUp());
    else if (this.#unavailable === null && this.#carriers.refresh()) this.#reconsiderLater();
    return this.#unavailable ?? this.#services ?? 'no-provider';
  }

  #startUp(): void {
    const changed = (): void => this.#root.runInAsyncScope(() => this.#updateProviders());
    this.#stops = [this.#options.watchProviders?.(changed) ?? (() => {})];
    this.#enumerate();
  }

  #enumerate(): void {
    this.#unavailable = this.#carriers.update();
    if (this.#unavailable !== null || this.#services !== null) return;
    this.#services = this.#makeServices();
    // Where nobody tells of changes, each use looks.
    const stop = this.#options.tcpip.watchAddressList(() => this.#reconsiderLater());
    if (stop !== null) this.#stops.push(stop);
  }

  /** WSAProviderConfigChange has told of an installation or a removal (WSD-REG-6). */
  #updateProviders(): void {
    this.#enumerate();
    this.#reconsider();
    for (const carrier of this.#carriers.retired) this.#releaseLater(carrier);
  }

  /** Not in the call stack of whoever has told: others may have to be told as well. */
  #reconsiderLater(): void {
    if (this.#reconsidering) return;
    this.#reconsidering = true;
    this.#options.scheduler.soon(() => this.#reconsider());
  }

  /** Every socket that listens looks which providers serve it now (WSD-REG-9). */
  #reconsider(): void {
    this.#reconsidering = false;
    this.#carriers.refresh();
    for (const socket of [...this.#socketContext.listening]) socket.reconsider();
  }

  /** Not in a call stack of the provider, which may be what has closed the last socket. */
  #releaseLater(carrier: Carrier): void {
    this.#options.scheduler.soon(() => {
      const { connections = [], companions = [] } = this.#services ?? {};
      const uses = [...connections, ...companions].filter((one) => one.carrier === carrier);
      if (uses.length === 0) this.#carriers.release(carrier);
    });
  }

  /**
   * The program's WSPCleanup: TCP/IP's and that of every SAN provider (WSD-CLS-21). False, and nothing is done, while
   * sockets of this switch still listen, connect or are connected; a later use starts the providers again.
   */
  cleanup(): boolean {
    // Also one that no SAN serves: it would not hear of providers that come later.
    if (this.#socketContext.listening.size > 0) return false;
    const services = this.#services;
    if (services !== null) {
      if (services.connections.size > 0 || services.companions.size > 0) return false;
      services.ports.close();
    }
    for (const stop of this.#stops.splice(0)) stop();
    this.#carriers.cleanup();
    this.#options.tcpip.WSPCleanup({ value: 0 });
    this.#services = null;
    this.#unavailable = null;
    return true;
  }

  #makeServices(): Services {
    const { tcpip, scheduler, now, required, trace, count } = this.#options;
    const connections: Services['connections'] = new DenseSet();
    return {
      scheduler,
      upcalls: this.#upcalls,
      tcpip,
      ports: new LocalPorts(this.#options.portReservation()),
      carriers: this.#carriers,
      routes: this.#carriers.routes,
      waitingWrites: new WaitingWrites(scheduler),
      negotiationTimeouts: new NegotiationTimeouts(scheduler, connections),
      connections,
      companions: new DenseSet(),
      trace,
      required,
      released: (carrier) => {
        if (this.#carriers.isRetired(carrier)) this.#releaseLater(carrier);
      },
      count,
      now,
    };
  }
}
