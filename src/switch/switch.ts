/** The Windows Sockets switch: makes SAN providers and TCP/IP look like one provider (WSD-COMP-1, WSD-COMP-2). */

import type { Reason } from '../diagnostics/reasons.js';
import type { TcpipProvider, TcpipSocket } from '../providers/tcpip/index.js';
import { HEADER_SIZE } from '../session/index.js';
import type { SanServiceProvider, SOCKADDR } from '../spi/index.js';
import { OFFER, pollOverlapped } from './connection.js';
import type { SwitchSocket } from './face.js';
import { NegotiationTimeouts } from './negotiation-timeouts.js';
import { LocalPorts, type PortReservation } from './ports.js';
import { isFailure, type StartFailure, startProvider } from './provider-table.js';
import { ReceiveBuffers } from './receive-buffers.js';
import { RoutingTable } from './routing-table.js';
import type { Scheduler } from './scheduler.js';
import type { Carrier, Services, SessionTrace } from './services.js';
import { Socket } from './socket.js';
import { Upcalls } from './upcalls.js';
import { WaitingWrites } from './waiting-writes.js';

export interface SwitchOptions {
  readonly tcpip: TcpipProvider;
  /** Providers of the catalog; called once, at the first socket that a SAN might carry. */
  providers(): readonly SanServiceProvider[] | Reason;
  /** Why a provider did not start, if it can tell. */
  startReason(provider: SanServiceProvider, failure: StartFailure): Reason;
  readonly scheduler: Scheduler;
  /** Reserves local ports; asked after the providers have started. */
  portReservation(): PortReservation;
  /** True if no SAN provider can serve the address: asked before anything is started, so it must be cheap. */
  isForeign(address: SOCKADDR): boolean;
  /** A fallback is an error. */
  readonly required: boolean;
  readonly trace: SessionTrace | null;
  /** Told of every decision. */
  count(reason: Reason): void;
}

export class Switch {
  readonly #options: SwitchOptions;
  readonly #upcalls = new Upcalls();
  #services: Services | Reason | null = null;

  constructor(options: SwitchOptions) {
    this.#options = options;
  }

  /** WSD-SOC-1: the program has made its TCP/IP socket; the switch keeps a record of it, and nothing else happens yet. */
  openSocket(tcpip: TcpipSocket): SwitchSocket {
    const { tcpip: provider, required, isForeign, count } = this.#options;
    return new Socket({ tcpip: provider, required, isForeign, count, services: () => this.#start() }, tcpip);
  }

  /**
   * The process ends, and no event loop turns any more. With TCP the kernel goes on sending what a program has written; here
   * the connections have to do it before the end. `turn` lets the providers work and tells whether messages still wait for
   * wire; `expired` ends the attempt.
   */
  endWithProcess(turn: () => boolean, expired: () => boolean): void {
    if (this.#services === null || typeof this.#services === 'string') return;
    const connections = [...this.#services.connections];
    if (!connections.some(({ hasUnsent }) => hasUnsent)) return;
    for (const connection of connections) connection.endWithProcess();
    let unsent = connections;
    do {
      const waiting = turn();
      unsent = unsent.filter(({ hasUnsent }) => hasUnsent);
      if (unsent.length === 0 && !waiting) return;
    } while (!expired());
  }

  /** WSD-INI-1, WSD-INI-2. A provider that fails is left out, and the others go on (WSD-INI-18). */
  #start(): Services | Reason {
    this.#services ??= this.#startProviders();
    return this.#services;
  }

  #startProviders(): Services | Reason {
    const { tcpip, scheduler, required, trace, count } = this.#options;
    const catalog = this.#options.providers();
    if (typeof catalog === 'string') return catalog;
    const carriers: Carrier[] = [];
    const routes = new RoutingTable<Carrier>();
    let reason: Reason = 'no-provider';
    for (const provider of catalog) {
      const started = startProvider(provider, tcpip.protocolInfo, this.#upcalls.table);
      this.#upcalls.takeCreated();
      if (isFailure(started)) {
        reason = this.#options.startReason(provider, started);
        continue;
      }
      const { providerMemory } = started.extensions;
      if (providerMemory === null) continue;
      const carrier: Carrier = {
        provider: started,
        buffers: new ReceiveBuffers(providerMemory, HEADER_SIZE + OFFER.payloadSize),
        errno: { value: 0 },
        flags: { value: 0 },
        sendOverlapped: pollOverlapped(),
      };
      carriers.push(carrier);
      routes.add(carrier, started.addresses);
    }
    if (carriers.length === 0) return reason;
    return {
      scheduler,
      upcalls: this.#upcalls,
      tcpip,
      ports: new LocalPorts(this.#options.portReservation()),
      carriers,
      routes,
      waitingWrites: new WaitingWrites(scheduler),
      negotiationTimeouts: new NegotiationTimeouts(scheduler),
      connections: new Set(),
      trace,
      required,
      count,
    };
  }
}
