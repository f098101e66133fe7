/** What the conformance kit needs of this provider: two processes on two hosts of a simulated SAN. */

import type { Party, Rig, RigOptions, Subject } from '../../conformance/index.js';
import { faultyCalls, noFaults } from './faults.js';
import * as providerModule from './provider.js';
import { SimulatedProvider } from './provider.js';
import type { SimulatedOptions } from './settings.js';
import { World } from './world.js';

/** Microseconds in which everything arrives that is under way, and no connect budget ends. */
const settleTime = 2000;

/** The hosts of this SAN, as TCP/IP has assigned their addresses (WSD-TBL-12). */
const assigned = {
  server: ['10.1.0.1', '10.1.0.3'],
  client: ['10.1.0.2'],
} as const;

const everyCall = Object.fromEntries(faultyCalls.map((call) => [call, 1]));

/** Further knobs of both NICs, and of the server's, for tests of this provider alone. */
export function openSimulated(
  { connectBudget, jitter = false, deferredSends = false, flowControl = false, registrationCache = false }: RigOptions,
  settings: Partial<SimulatedOptions> = {},
  ofServer: Partial<SimulatedOptions> = {},
): Rig {
  const world = new World(1);
  const party = ([address, ...others]: readonly [string, ...string[]], more: Partial<SimulatedOptions>): Party => {
    const process = world.process();
    const provider = new SimulatedProvider(process, {
      addresses: [address, ...others].map((one) => `${one}/24`),
      connectBudget,
      flowControl,
      registrationCache,
      immediateSends: !deferredSends,
      ...(jitter ? { latency: 5, spread: 400 } : {}),
      ...(flowControl ? { spread: 0 } : {}),
      ...settings,
      ...more,
    });
    return {
      provider,
      processId: process.id,
      address,
      others,
      kill: () => process.kill(),
      exhaust: () => {
        provider.faults.knobs = { ...noFaults, calls: everyCall };
        return () => {
          provider.faults.knobs = noFaults;
        };
      },
    };
  };
  return {
    server: party(assigned.server, ofServer),
    client: party(assigned.client, {}),
    next: party(assigned.client, {}),
    until: async (condition, what) => {
      if (!world.runUntil(condition)) throw new Error(`still not: ${what}`);
    },
    settle: async () => {
      let settled = false;
      world.schedule(() => {
        settled = true;
      }, settleTime);
      world.runUntil(() => settled);
    },
    servedByTcpip: async (address) => [...assigned.server, ...assigned.client].some((one) => one === address),
    close: () => {},
  };
}

const subject: Subject = {
  name: 'simulated',
  capabilities: {
    flowControl: true,
    rdmaWrite: true,
    rdmaRead: true,
    registrationCache: true,
    duplication: true,
    loopback: true,
    hosts: true,
    providerMemory: true,
  },
  somaxconn: 4096,
  notApplicable: {
    processes: 'its processes are simulated; they are killed in the other parts',
    malice: 'its wire carries no bytes that anybody could change',
  },
  module: async () => providerModule,
  open: (options) => openSimulated(options),
};
export default subject;
