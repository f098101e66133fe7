/** The providers that every scenario of the kit runs on. */

import type { Subject } from '../../src/conformance/index.js';
import sharedMemory from '../../src/providers/shared-memory/conformance.js';
import simulated from '../../src/providers/simulated/conformance.js';
import tcpip from '../../src/providers/tcpip/conformance.js';

export const providers = ['shared-memory', 'simulated', 'tcpip'] as const;
export type ProviderName = (typeof providers)[number];

export const subjects: Readonly<Record<ProviderName, Subject>> = { 'shared-memory': sharedMemory, simulated, tcpip };
