/** Two processes on two hosts of a simulated SAN. */

import assert from 'node:assert/strict';
import { SimulatedProvider } from '../../src/providers/simulated/provider.js';
import type { AddressAssignments } from '../../src/providers/simulated/proxy.js';
import { World } from '../../src/providers/simulated/world.js';
import type { Party, Rig, RigOptions } from './rig.js';

/** Microseconds in which everything arrives that is under way, and no connect budget ends. */
const settleTime = 2000;

/** The hosts of this SAN, as TCP/IP has assigned their addresses (WSD-TBL-12). */
const assigned = {
  server: ['10.1.0.1', '10.1.0.3'],
  client: ['10.1.0.2'],
} as const;

export function simulatedRig({ connectBudget = 5000, simulated = {}, assignments }: RigOptions): Rig {
  const world = new World(1);
  const party = (
    [address, ...others]: readonly [string, ...string[]],
    assignments: AddressAssignments | null,
  ): Party => {
    const process = world.process();
    const addresses = [address, ...others].map((one) => `${one}/24`);
    const provider = new SimulatedProvider(process, { addresses, assignments, connectBudget, ...simulated });
    return { provider, processId: process.id, address, others, kill: () => process.kill() };
  };
  return {
    server: party(assigned.server, assignments ?? null),
    client: party(assigned.client, null),
    next: party(assigned.client, null),
    deadProcess: async () => {
      const process = world.process();
      process.kill();
      return process.id;
    },
    until: async (condition, what) => assert.ok(world.runUntil(condition), `still not: ${what}`),
    settle: async () => {
      let settled = false;
      world.schedule(() => {
        settled = true;
      }, settleTime);
      world.runUntil(() => settled);
    },
    stranger: ['10.9.0.1/24', 7],
    servedByTcpip: async (address) => [...assigned.server, ...assigned.client].some((one) => one === address),
    close: () => {},
  };
}
