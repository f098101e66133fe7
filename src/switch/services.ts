/** What the parts of a switch share. */

import type { Reason } from '../diagnostics/reasons.js';
import type { TcpipProvider } from '../providers/tcpip/index.js';
import type { LocalPorts } from './ports.js';
import type { StartedProvider } from './provider-table.js';
import type { ReceiveBuffers } from './receive-buffers.js';
import type { RoutingTable } from './routing-table.js';
import type { Scheduler } from './scheduler.js';
import type { Upcalls } from './upcalls.js';
import type { WaitingWrites } from './waiting-writes.js';

/** A provider in use, with its receive buffers. */
export interface Carrier {
  readonly provider: StartedProvider;
  readonly buffers: ReceiveBuffers;
}

/** Told of steps of a session, for traces. */
export type SessionTrace = (step: string, provider: string, socket: object, detail: string) => void;

export interface Services {
  readonly scheduler: Scheduler;
  readonly upcalls: Upcalls;
  readonly tcpip: TcpipProvider;
  readonly ports: LocalPorts;
  readonly carriers: readonly Carrier[];
  readonly routes: RoutingTable<Carrier>;
  readonly waitingWrites: WaitingWrites;
  readonly trace: SessionTrace | null;
  /** A fallback to TCP/IP is an error (decision 9). */
  readonly required: boolean;
  count(reason: Reason): void;
}
