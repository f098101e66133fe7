/** The providers that every test of this folder runs on. */

import type { Rig, RigOptions } from './rig.js';
import { sharedMemoryRig } from './shared-memory-rig.js';
import { simulatedRig } from './simulated-rig.js';

export const providers = ['shared-memory', 'simulated'] as const;
export type ProviderName = (typeof providers)[number];

export const rigs: Readonly<Record<ProviderName, (options: RigOptions) => Rig>> = {
  'shared-memory': sharedMemoryRig,
  simulated: simulatedRig,
};
