/** The providers that scenarios of the kit run on. */

import type { Subject } from '../../src/conformance/index.js';
import sharedMemory from '../../src/providers/shared-memory/conformance.js';
import simulated from '../../src/providers/simulated/conformance.js';
import tcpip from '../../src/providers/tcpip/conformance.js';

/** SAN providers. */
export const providers = ['shared-memory', 'simulated'] as const;
export type ProviderName = (typeof providers)[number];

export const subjects: Readonly<Record<ProviderName | 'tcpip', Subject>> = {
  'shared-memory': sharedMemory,
  simulated,
  tcpip,
};
