/** Tests of what one provider has beyond the contract, with the kit's bench. */

import type { ProviderBench, RigOptions, Subject } from '../../src/conformance/index.js';
import { runScenario } from '../../src/conformance/run.js';
import { connectedScenario, scenario } from '../../src/conformance/scenario.js';
import { openSharedMemory } from '../../src/providers/shared-memory/conformance.js';
import { openSimulated } from '../../src/providers/simulated/conformance.js';
import type { AddressAssignments } from '../../src/providers/simulated/proxy.js';
import type { SimulatedOptions } from '../../src/providers/simulated/settings.js';
import type { ProviderSocket } from '../../src/spi/index.js';
import { type ProviderName, subjects } from './adapters.js';

export { Node, type Posted, ProviderBench, type Selected } from '../../src/conformance/index.js';

export interface OwnOptions extends Partial<RigOptions> {
  /** Knobs of the simulated NIC. */
  readonly simulated?: Partial<SimulatedOptions>;
  /** TCP/IP of the server's host, which assigns addresses; absent: that of the host, or of the simulated one, as it is. */
  readonly assignments?: AddressAssignments;
}

function subjectOf(provider: ProviderName, { simulated, assignments }: OwnOptions): Subject {
  const subject = subjects[provider];
  if (simulated === undefined && assignments === undefined) return subject;
  const open: Subject['open'] =
    provider === 'simulated'
      ? (options) => openSimulated(options, simulated, assignments === undefined ? {} : { assignments })
      : (options) =>
          openSharedMemory(options, assignments === undefined ? {} : { notifyAddresses: assignments.register });
  return { ...subject, open };
}

/** The body of a test, with a bench of its own; what must hold for every scenario is checked at its end. */
export function on(
  provider: ProviderName,
  body: (bench: ProviderBench) => void | Promise<void>,
  options: OwnOptions = {},
): () => Promise<void> {
  const { simulated: _, assignments: __, ...rig } = options;
  return () => runScenario(subjectOf(provider, options), scenario('', body, rig));
}

/** As {@link on}, with a connection. */
export function connectedOn(
  provider: ProviderName,
  body: (bench: ProviderBench, mine: ProviderSocket, theirs: ProviderSocket) => void | Promise<void>,
  options: OwnOptions = {},
): () => Promise<void> {
  const { simulated: _, assignments: __, ...rig } = options;
  return () => runScenario(subjectOf(provider, options), connectedScenario('', body, rig));
}
