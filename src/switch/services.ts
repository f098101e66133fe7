/** What the parts of a switch share. */

import type { Reason } from '../diagnostics/reasons.js';
import type { TcpipProvider } from '../providers/tcpip/index.js';
import type { Out, WSAOVERLAPPED } from '../spi/index.js';
import type { NegotiationTimeouts } from './negotiation-timeouts.js';
import type { LocalPorts } from './ports.js';
import type { StartedProvider } from './provider-table.js';
import type { ReceiveBuffers } from './receive-buffers.js';
import type { RoutingTable } from './routing-table.js';
import type { Scheduler } from './scheduler.js';
import type { Upcalls } from './upcalls.js';
import type { WaitingWrites } from './waiting-writes.js';

/** A provider in use, with its receive buffers, and arguments that all its connections share because no call keeps them. */
export interface Carrier {
  readonly provider: StartedProvider;
  readonly buffers: ReceiveBuffers;
  readonly errno: Out<number>;
  readonly flags: Out<number>;
  /** Record of a send in poll mode; replaced when a send stays pending. */
  sendOverlapped: WSAOVERLAPPED;
}

/** Told of steps of a session, for traces. */
export type SessionTrace = (step: string, provider: string, socket: object, detail: string) => void;

/** A connection as the end of the process sees it. */
export interface OpenConnection {
  /** The program has written something that is not on the wire yet. */
  readonly hasUnsent: boolean;
  /** Closes, without telling the program anything. */
  endWithProcess(): void;
}

export interface Services {
  readonly scheduler: Scheduler;
  readonly upcalls: Upcalls;
  readonly tcpip: TcpipProvider;
  readonly ports: LocalPorts;
  readonly carriers: readonly Carrier[];
  readonly routes: RoutingTable<Carrier>;
  readonly waitingWrites: WaitingWrites;
  readonly negotiationTimeouts: NegotiationTimeouts;
  /** All that have a companion. */
  readonly connections: Set<OpenConnection>;
  readonly trace: SessionTrace | null;
  /** A fallback to TCP/IP is an error (decision 9). */
  readonly required: boolean;
  count(reason: Reason): void;
}
