/** What a test needs of a provider that is not in the contract: two of them that reach each other, and how time passes. */

import type { AddressAssignments } from '../../src/providers/simulated/proxy.js';
import type { SimulatedOptions } from '../../src/providers/simulated/settings.js';
import type { SanServiceProvider } from '../../src/spi/index.js';

/** One provider of a rig. */
export interface Party {
  readonly provider: SanServiceProvider;
  /** The IPv4 address that tests use. */
  readonly address: string;
  /** Further addresses of its NICs. */
  readonly others: readonly string[];
  /** Its process ends without a word. */
  kill(): void;
}

export interface RigOptions {
  /** Milliseconds that a connect may take. */
  connectBudget?: number;
  /** False: shared memory must not read the peer's process. Default: as the environment of the tests has it. */
  peerMemory?: boolean;
  /** Knobs of the simulated NIC. */
  simulated?: Partial<SimulatedOptions>;
  /** TCP/IP of the server's host, which assigns addresses; absent: that of the host, or of the simulated one, as it is. */
  assignments?: AddressAssignments;
}

export interface Rig {
  readonly server: Party;
  readonly client: Party;
  /** Lets time pass until the condition holds; fails if it never does. */
  until(condition: () => boolean, what: string): Promise<void>;
  /** Lets everything arrive that is under way, for what must not happen. */
  settle(): Promise<void>;
  /** An address and a device that are not the providers' business. */
  readonly stranger: readonly [address: string, device: number];
  /** Whether TCP/IP of the hosts has the address too. */
  servedByTcpip(address: string): Promise<boolean>;
  close(): void;
}
