/** What a simulated NIC and its provider can and cannot do. */

import type { Faults } from './faults.js';
import type { Limits } from './options.js';
import type { AddressAssignments } from './proxy.js';

export interface SimulatedOptions extends Limits {
  /** Default: `simulated`. */
  readonly name: string;
  /** Name of the SAN that joins the providers. Default: `san`. */
  readonly network: string;
  /** Addresses of the NICs with the bits of their subnets. Default: `10.1.0.1/24`. */
  readonly addresses: readonly string[];
  /** TCP/IP of the host, which assigns addresses while the provider runs. Default: null, and `addresses` stay. */
  readonly assignments: AddressAssignments | null;
  /** A sender is held back until a receive buffer is posted; else private buffers. Default: false. */
  readonly flowControl: boolean;
  /** Private buffers of 256 bytes for each connection. Default: 1. */
  readonly privateBuffers: number;
  /** Whether our ProviderMemory extension is offered. Default: true. */
  readonly providerMemory: boolean;
  /** Whether WSPRdmaRead is offered. Default: true. */
  readonly rdmaRead: boolean;
  /** Memory stays registered with the NIC after it was deregistered, until the switch says that it goes away. Default: false. */
  readonly registrationCache: boolean;
  /** Whether our ProviderDiagnostics extension is offered. Default: true. */
  readonly diagnostics: boolean;
  /** WSPSend is done when it returns; else always WSA_IO_PENDING. Default: true. */
  readonly immediateSends: boolean;
  /** A socket that comes back from another process gets the descriptor that it had here (WSD-DUP-29). Default: false. */
  readonly revives: boolean;
  /** Microseconds to the peer, and at most so many more. Default: 5 and 5. */
  readonly latency: number;
  readonly spread: number;
  /** SO_MAX_MSG_SIZE, SO_MAX_RDMA_SIZE and SO_RDMA_THRESHOLD_SIZE in bytes. Defaults: 131072, 1 MiB, 65536. */
  readonly messageSizeMax: number;
  readonly rdmaSizeMax: number;
  readonly rdmaThreshold: number;
  /** Milliseconds that a connect may take. Default: 50. */
  readonly connectBudget: number;
  /** Default: none. */
  readonly faults: Faults | null;
}

export const defaults: SimulatedOptions = {
  name: 'simulated',
  network: 'san',
  addresses: ['10.1.0.1/24'],
  assignments: null,
  flowControl: false,
  privateBuffers: 1,
  providerMemory: true,
  rdmaRead: true,
  registrationCache: false,
  diagnostics: true,
  immediateSends: true,
  revives: false,
  latency: 5,
  spread: 5,
  messageSizeMax: 131_072,
  rdmaSizeMax: 1_048_576,
  rdmaThreshold: 65_536,
  connectBudget: 50,
  faults: null,
};
