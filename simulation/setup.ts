/** What scenarios are made of: hosts and listeners by seed, connects, disturbances and the end of a run. */

import { drawFaults } from '../src/providers/simulated/faults.js';
import type { SimulatedOptions } from '../src/providers/simulated/settings.js';
import type { World } from '../src/providers/simulated/world.js';
import type { Attempt } from './attempt.js';
import type { Host, ProgramSocket } from './rig.js';
import type { ListenerPolicy, Simulation } from './simulation.js';

/** At which everybody listens. */
export const port = 80;

export function drawOptions(world: World): Partial<SimulatedOptions> {
  const budgets = [2, 10, 50, 50];
  const sizes = [1040, 4096, 16_400, 131_072];
  const thresholds = [1, 20_000, 65_536, 0xffff_ffff];
  const rdmaSizes = [2000, 30_000, 262_144, 1_048_576];
  return {
    flowControl: world.chance(0.5),
    providerMemory: world.chance(0.5),
    immediateSends: world.chance(0.5),
    diagnostics: world.chance(0.8),
    latency: 1 + world.pick(world.chance(0.5) ? 10 : 500),
    spread: world.pick(world.chance(0.5) ? 10 : 1000),
    messageSizeMax: sizes[world.pick(sizes.length)]!,
    rdmaRead: world.chance(0.5),
    rdmaThreshold: thresholds[world.pick(thresholds.length)]!,
    rdmaSizeMax: rdmaSizes[world.pick(rdmaSizes.length)]!,
    connectBudget: budgets[world.pick(budgets.length)]!,
    registrationCache: world.chance(0.5),
  };
}

/** Listens at all addresses of the host. */
export function listenEverywhere(simulation: Simulation, server: Host, policy: ListenerPolicy): ProgramSocket {
  return simulation.listen(server, port, policy, '0.0.0.0');
}

export function drawPolicy(world: World): ListenerPolicy {
  return {
    reject: world.chance(0.3) ? world.random() * 0.3 : 0,
    defer: world.chance(0.3) ? world.random() * 0.8 : 0,
    deferMicroseconds: 1 + world.pick(world.chance(0.5) ? 200 : 80_000),
    sanBacklog: world.chance(0.3) ? 1 + world.pick(3) : 64,
    unlisten: world.chance(0.2) ? 0.2 : 0,
  };
}

/** Hosts on one SAN, with NICs and faults drawn for each. */
export function drawHosts(simulation: Simulation, count: number, options: Partial<SimulatedOptions> = {}): Host[] {
  const { world } = simulation;
  const hosts: Host[] = [];
  // Two SANs, each with a subnet and a provider of its own.
  const both = world.chance(0.3);
  for (let i = 1; i <= count; i++) {
    const nics = [{ ...drawOptions(world), ...options, addresses: [`10.1.0.${i}/24`] }];
    const other = { name: 'other', network: 'other', addresses: [`10.2.0.${i}/24`] };
    if (both) nics.push({ ...drawOptions(world), ...options, ...other });
    hosts.push(simulation.host(nics, drawFaults(world, simulation.strength)));
  }
  return hosts;
}

/** Connects from anybody but the server, spread over some time. */
export function connectSeveral(
  simulation: Simulation,
  server: Host,
  clients: readonly Host[],
  count: number,
  within: number,
  begun: (attempt: Attempt) => void = () => {},
): void {
  const { world } = simulation;
  const addresses = server.tcpip.addresses;
  for (let i = 0; i < count; i++) {
    const client = clients[world.pick(clients.length)]!;
    const remote = server.name(port, addresses[world.pick(addresses.length)]);
    client.process.schedule(() => begun(simulation.connect(client, remote)), world.pick(within));
  }
}

/** Blocks, stops and kills, some of them. */
export function disturb(simulation: Simulation, hosts: readonly Host[], within: number): void {
  const { world, strength } = simulation;
  for (const { process } of hosts) {
    const at = (): number => world.pick(within);
    if (world.chance(0.25 * strength)) world.schedule(() => process.block(world.pick(80_000)), at());
    if (world.chance(0.15 * strength)) {
      const from = at();
      world.schedule(() => process.stop(), from);
      world.schedule(() => process.resume(), from + world.pick(100_000));
    }
  }
  // One of them may die: at some time, after some step, or in the middle of a task.
  const { process } = hosts[world.pick(hosts.length)]!;
  const ways = [
    () => world.schedule(() => process.kill(), world.pick(within)),
    () => simulation.afterStep(Math.floor(10 ** (1 + 2.5 * world.random())), () => process.kill()),
    () => {
      simulation.dies = process;
      simulation.deathOdds = 10 ** (-1 - 2 * world.random());
    },
  ];
  if (world.chance(0.4)) ways[world.pick(ways.length)]!();
}

export function finishRun(simulation: Simulation, after: number): void {
  simulation.world.runUntil(() => false, after);
  simulation.drain();
  simulation.close();
}
