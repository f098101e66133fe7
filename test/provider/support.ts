/** Tests of what one provider has beyond the contract, with the kit's bench. */

import type { ProviderBench, RigOptions } from '../../src/conformance/index.js';
import { runScenario } from '../../src/conformance/run.js';
import { connectedScenario, type Scenario, scenario } from '../../src/conformance/scenario.js';
import { openSimulated } from '../../src/providers/simulated/conformance.js';
import type { SimulatedOptions } from '../../src/providers/simulated/settings.js';
import type { ProviderSocket } from '../../src/spi/index.js';
import { type ProviderName, subjects } from './adapters.js';

export { Node, type Posted, ProviderBench, type Selected } from '../../src/conformance/index.js';

export interface OwnOptions extends Partial<RigOptions> {
  /** Knobs of the simulated NIC. */
  readonly simulated?: Partial<SimulatedOptions>;
}

function running(provider: ProviderName, one: Scenario, { simulated }: OwnOptions): () => Promise<void> {
  const subject = subjects[provider];
  if (simulated === undefined) return () => runScenario(subject, one);
  return () => runScenario({ ...subject, open: (options) => openSimulated(options, simulated) }, one);
}

/** The body of a test, with a bench of its own; what must hold for every scenario is checked at its end. */
export function on(
  provider: ProviderName,
  body: (bench: ProviderBench) => void | Promise<void>,
  options: OwnOptions = {},
): () => Promise<void> {
  const { simulated: _, ...rig } = options;
  return running(provider, scenario('', body, rig), options);
}

/** As {@link on}, with a connection. */
export function connectedOn(
  provider: ProviderName,
  body: (bench: ProviderBench, mine: ProviderSocket, theirs: ProviderSocket) => void | Promise<void>,
  options: OwnOptions = {},
): () => Promise<void> {
  const { simulated: _, ...rig } = options;
  return running(provider, connectedScenario('', body, rig), options);
}
