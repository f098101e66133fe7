/** The Windows Sockets switch: makes SAN providers and TCP/IP look like one provider (WSD-COMP-1, WSD-COMP-2). */

import { DenseSet } from '../collections/dense-set.js';
import type { Reason } from '../diagnostics/reasons.js';
import type { ConnectionStatus } from '../diagnostics/status.js';
import type { TcpipProvider, TcpipSocket } from '../providers/tcpip/index.js';
import { HEADER_SIZE, PAYLOAD_SIZE_MIN, type SessionOffer } from '../session/index.js';
import type { Out, SanServiceProvider, SOCKADDR } from '../spi/index.js';
import { CachedMemory } from './cached-memory.js';
import type { Exclusion, SwitchSocket } from './face.js';
import { NegotiationTimeouts } from './negotiation-timeouts.js';
import { LocalPorts, type PortReservation } from './ports.js';
import { ProviderMemory } from './provider-memory.js';
import { isFailure, queryAddresses, type StartedProvider, type StartFailure, startProvider } from './provider-table.js';
import { RdmaMemory } from './rdma-memory.js';
import { RoutingTable } from './routing-table.js';
import type { Scheduler } from './scheduler.js';
import type { Carrier, Services, SessionTrace } from './services.js';
import { Socket, type SocketContext } from './socket.js';
import { Upcalls } from './upcalls.js';
import { WaitingWrites } from './waiting-writes.js';

/** Receive buffers that each side posts at first and once a connection is busy, and bytes of payload that each takes. */
const usualOffer: SessionOffer = { postedBuffers: 8, postedBuffersMax: 32, payloadSize: 16384 };

/** What connections of a provider offer: no message is larger than it takes (WSD-LIM-2). Null if that is too little. */
function offerOf({ messageSizeMax, extensions }: StartedProvider): SessionOffer | null {
  // A multiple of 8, as every offset.
  const payloadSize = Math.min(usualOffer.payloadSize, Math.floor((messageSizeMax - HEADER_SIZE) / 8) * 8);
  // WSD-XFR-10: how this side takes large sends, which is told in the negotiation.
  const large = extensions.WSPRdmaRead === null ? 'write' : 'read';
  return payloadSize < PAYLOAD_SIZE_MIN ? null : { ...usualOffer, payloadSize, large };
}

export interface SwitchOptions {
  readonly tcpip: TcpipProvider;
  /** Providers of the catalog; called once, at the first socket that a SAN might carry. */
  providers(): readonly SanServiceProvider[] | Reason;
  /** Why a provider did not start, if it can tell. */
  startReason(provider: SanServiceProvider, failure: StartFailure): Reason;
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
  /** Writes of more bytes go by RDMA, whatever the providers wish; infinity: none. Absent: what they wish (WSD-XFR-7). */
  readonly largeThreshold?: number;
  readonly trace: SessionTrace | null;
  /** Told of every decision. */
  count(reason: Reason): void;
}

export class Switch {
  readonly #options: SwitchOptions;
  readonly #upcalls = new Upcalls();
  #services: Services | Reason | null = null;
  #addressListVersion = 0;
  /** What all sockets have in common. */
  readonly #socketContext: SocketContext;

  constructor(options: SwitchOptions) {
    this.#options = options;
    const { tcpip, required, policy = null, isForeign, count } = options;
    this.#socketContext = { tcpip, required, policy, isForeign, count, services: () => this.#start() };
  }

  /** WSD-SOC-1: the program has made its TCP/IP socket; the switch keeps a record of it, and nothing else happens yet. */
  openSocket(tcpip: TcpipSocket): SwitchSocket {
    return new Socket(this.#socketContext, tcpip);
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
    // Nobody must take what is missing for the end of the data.
    for (const connection of unsent) connection.reset();
    turn();
  }

  /** What is open: established connections, SAN sockets that listen or connect, local ports of ours. */
  get usage(): { readonly connections: number; readonly companions: number; readonly ports: number } {
    const services = this.#services;
    if (services === null || typeof services === 'string') return { connections: 0, companions: 0, ports: 0 };
    const { connections, companions, ports } = services;
    return { connections: connections.size, companions: companions.size, ports: ports.taken };
  }

  /** Established connections, also those that are still sending after their programs have closed them. */
  *connections(): Generator<ConnectionStatus> {
    const services = this.#services;
    if (services === null || typeof services === 'string') return;
    for (const { status } of services.connections) if (status !== null) yield status;
  }

  /** Why no SAN could be started; null: one has, or none was needed yet. */
  get startReason(): Reason | null {
    return typeof this.#services === 'string' ? this.#services : null;
  }

  /** At the first use; later the table of addresses is kept true. WSD-INI-1, WSD-INI-2. A provider that fails is left out, and the others go on (WSD-INI-18). */
  #start(): Services | Reason {
    if (this.#services === null) this.#services = this.#startProviders();
    else if (typeof this.#services !== 'string') this.#refreshRoutes(this.#services);
    return this.#services;
  }

  /** The TCP/IP provider tells of changes, also of addresses that a SAN serves; then all are asked (WSD-TBL-6, WSD-TBL-7). */
  #refreshRoutes({ carriers, routes, upcalls }: Services): void {
    const version = this.#options.tcpip.addressListVersion();
    if (version === this.#addressListVersion) return;
    let answered = true;
    routes.clear();
    for (const carrier of carriers) {
      const addresses = queryAddresses(carrier.provider.table, carrier.errno);
      upcalls.takeCreated();
      if (addresses === null) answered = false;
      else routes.add(carrier, addresses);
    }
    // Who could not answer serves nothing, and is asked again next time.
    if (answered) this.#addressListVersion = version;
  }

  /**
   * The program's WSPCleanup: TCP/IP's and that of every SAN provider (WSD-CLS-21). False, and nothing is done, while
   * sockets of this switch still listen, connect or are connected; a later use starts the providers again.
   */
  cleanup(): boolean {
    const services = this.#services;
    const errno: Out<number> = { value: 0 };
    if (services !== null && typeof services !== 'string') {
      if (services.connections.size > 0 || services.companions.size > 0) return false;
      for (const { provider } of services.carriers) provider.table.WSPCleanup(errno);
      services.ports.close();
    }
    this.#options.tcpip.WSPCleanup(errno);
    this.#services = null;
    return true;
  }

  #startProviders(): Services | Reason {
    const { tcpip, scheduler, now, required, trace, count, largeThreshold } = this.#options;
    const catalog = this.#options.providers();
    if (typeof catalog === 'string') return catalog;
    const carriers: Carrier[] = [];
    const cachedMemory = new CachedMemory();
    let reason: Reason = 'no-provider';
    for (const provider of catalog) {
      const started = startProvider(provider, tcpip.protocolInfo, this.#upcalls.table, cachedMemory);
      this.#upcalls.takeCreated();
      if (isFailure(started)) {
        reason = this.#options.startReason(provider, started);
        continue;
      }
      const errno: Out<number> = { value: 0 };
      const offer = offerOf(started);
      if (offer === null) {
        started.table.WSPCleanup(errno);
        continue;
      }
      const { providerMemory } = started.extensions;
      carriers.push({
        provider: started,
        offer,
        memory: providerMemory && new ProviderMemory(providerMemory, HEADER_SIZE + offer.payloadSize),
        rdmaMemory: new RdmaMemory(started),
        largeThreshold: largeThreshold ?? started.rdmaThreshold,
        errno,
        flags: { value: 0 },
      });
    }
    if (carriers.length === 0) return reason;
    const routes = new RoutingTable<Carrier>();
    for (const carrier of carriers) routes.add(carrier, carrier.provider.addresses);
    this.#addressListVersion = tcpip.addressListVersion();
    const connections: Services['connections'] = new DenseSet();
    return {
      scheduler,
      upcalls: this.#upcalls,
      tcpip,
      ports: new LocalPorts(this.#options.portReservation()),
      carriers,
      routes,
      waitingWrites: new WaitingWrites(scheduler),
      negotiationTimeouts: new NegotiationTimeouts(scheduler, () => this.#options.now(), connections),
      connections,
      companions: new DenseSet(),
      trace,
      required,
      count,
      now,
    };
  }
}
