/** What the parts of a switch share. */

import type { DenseSet, Member } from '../collections/dense-set.js';
import type { Reason } from '../diagnostics/reasons.js';
import type { ConnectionStatus } from '../diagnostics/status.js';
import type { TcpipProvider } from '../providers/tcpip/index.js';
import type { SessionOffer } from '../session/index.js';
import type { Out, ProviderSocket, SanServiceProvider, SOCKET_ADDRESS } from '../spi/index.js';
import type { Negotiating, NegotiationTimeouts } from './negotiation-timeouts.js';
import type { LocalPorts } from './ports.js';
import type { ProviderMemory } from './provider-memory.js';
import type { StartedProvider } from './provider-table.js';
import type { RdmaMemory } from './rdma-memory.js';
import type { RoutingTable } from './routing-table.js';
import type { Scheduler } from './scheduler.js';
import type { Handle, Upcalls } from './upcalls.js';
import type { WaitingWrites } from './waiting-writes.js';

/** A provider in use, with its memory, and arguments that all its connections share because no call keeps them. */
export interface Carrier {
  /** Its entry in the catalog. */
  readonly source: SanServiceProvider;
  readonly provider: StartedProvider;
  /** What this side offers on its connections. */
  readonly offer: SessionOffer;
  /** Null: the provider lends none, and each connection registers its own. */
  readonly memory: ProviderMemory | null;
  readonly rdmaMemory: RdmaMemory;
  /** Writes of more bytes go by RDMA; what a program sets on its socket comes first. */
  readonly largeThreshold: number;
  /** What it has answered when it was last asked. */
  addresses: readonly SOCKET_ADDRESS[];
  readonly errno: Out<number>;
  readonly flags: Out<number>;
}

/** A SAN socket that listens or connects for a socket of the program (WSD-SOC-6). */
export interface Companion extends Member {
  readonly carrier: Carrier;
  readonly socket: ProviderSocket;
  readonly handle: Handle;
}

/** Told of steps of a session, for traces. */
export type SessionTrace = (step: string, provider: string, socket: object, detail: string) => void;

/** A connection as the switch sees it. */
export interface OpenConnection extends Member, Negotiating {
  readonly carrier: Carrier;
  /** For status displays; null while it negotiates. */
  readonly status: ConnectionStatus | null;
  /** The program has written something that is not on the wire yet. */
  readonly hasUnsent: boolean;
  /** Closes, without telling the program anything. */
  endWithProcess(): void;
  /** Ends at once: the peer sees a reset. */
  reset(): void;
}

export interface Services {
  readonly scheduler: Scheduler;
  readonly upcalls: Upcalls;
  readonly tcpip: TcpipProvider;
  readonly ports: LocalPorts;
  /** Those that new connections may use, in the order of the catalog. */
  readonly carriers: { readonly active: readonly Carrier[] };
  readonly routes: RoutingTable<Carrier>;
  readonly waitingWrites: WaitingWrites;
  readonly negotiationTimeouts: NegotiationTimeouts;
  /** All established ones that have a companion. */
  readonly connections: DenseSet<OpenConnection>;
  /** Companions that listen or connect. */
  readonly companions: DenseSet<Companion>;
  readonly trace: SessionTrace | null;
  /** A fallback to TCP/IP is an error (decision 9). */
  readonly required: boolean;
  /** A socket of the provider has been closed. If it was the last one of a provider that was removed, that is cleaned up, later. */
  released(carrier: Carrier): void;
  count(reason: Reason): void;
  /** Milliseconds, monotonic. */
  now(): number;
}
