/** Providers that are installed and removed, and addresses that come and go, under connections (sections 2 and 3.2 of the digest). */

import { drawFaults } from '../src/providers/simulated/faults.js';
import { AddressAssignments } from '../src/providers/simulated/proxy.js';
import { check } from './failure.js';
import { behave, drawHabits } from './habits.js';
import type { Host, LateProvider } from './rig.js';
import { disturb, drawOptions, drawPolicy, finishRun, listenEverywhere, port } from './setup.js';
import type { Simulation } from './simulation.js';

/** What a program may change in the world of its switch. */
class Surroundings {
  readonly #simulation: Simulation;
  readonly host: Host;
  readonly #installed = new Set<LateProvider>();
  /** Of `host.later`, in the same order. */
  readonly #addresses: readonly NicAddresses[];

  constructor(simulation: Simulation, host: Host, addresses: readonly NicAddresses[]) {
    this.#simulation = simulation;
    this.host = host;
    this.#addresses = addresses;
  }

  /** One change at random; from inside a callback as well as in a task of its own. */
  change(): void {
    const { world } = this.#simulation;
    const { host } = this;
    if (!host.process.isAlive) return;
    const what = world.random();
    if (what < 0.15 && this.#addresses.length > 0) this.#changeAddresses();
    else if (what < 0.2) {
      // What the switch refuses while anything is open.
      if (host.switch.cleanup()) world.mark('program: cleanup');
    } else if (host.later.length > 0) {
      const provider = host.later[world.pick(host.later.length)]!;
      // Rather more of them are there than not, or nothing would be connected.
      if (!this.#installed.has(provider)) this.install(provider);
      else if (world.chance(0.5)) this.#remove(provider);
    }
  }

  install(provider: LateProvider): void {
    const { host } = this;
    this.#installed.add(provider);
    if (!this.#simulation.install(host, provider)) return;
    const listed = host.switch.providers().find(({ name }) => name === provider.nic.name);
    const { address, present } = this.#addresses[host.later.indexOf(provider)]!;
    // Also what has come or gone while connections of the removed provider went on. Before its first use the switch has none.
    check(
      listed === undefined || listed.addresses.join() === (present ? address : ''),
      `${provider.nic.name} serves ${listed?.addresses}, and is said to be ${present ? 'at' : 'no more at'} ${address}`,
    );
  }

  #remove(provider: LateProvider): void {
    const { world, attempts } = this.#simulation;
    this.#installed.delete(provider);
    const negotiating = [...provider.nic.sockets].some(({ connection, local }) => {
      const { client, server } = attempts.find(({ caller }) => caller === `${local?.address}:${local?.port}`) ?? {};
      return connection !== null && client === null && server === null;
    });
    if (negotiating) world.mark('scenario: removed in a negotiation');
    if (provider.nic.sockets.size > 0) world.mark('scenario: removed while it is used');
    this.#simulation.remove(this.host, provider);
  }

  #changeAddresses(): void {
    const { world } = this.#simulation;
    this.#addresses[world.pick(this.#addresses.length)]!.toggle();
    world.mark('scenario: an address comes or goes');
    const kept = this.#addresses.filter(({ present }) => present).map(({ address }) => address.split('/')[0]!);
    this.host.tcpip.changeAddresses([this.host.address, ...kept]);
  }
}

/** The one address of a NIC, which TCP/IP assigns and takes away. */
class NicAddresses {
  present = true;
  readonly assignments: AddressAssignments;

  constructor(readonly address: string) {
    this.assignments = new AddressAssignments([address]);
  }

  toggle(): void {
    this.present = !this.present;
    if (this.present) this.assignments.assign(this.address);
    else this.assignments.withdraw(this.address);
  }
}

/** Exactly at the address of one of the NICs. */
const exactPort = port + 1;

/** The host of that number, with a provider that is there before all others or without one, and `count` that are not. */
function drawSurroundings(simulation: Simulation, number: number, isFirst: boolean, count: number): Surroundings {
  const { world } = simulation;
  const first = isFirst ? [{ ...drawOptions(world), addresses: [`10.1.0.${number}/24`] }] : [];
  const nics: NicAddresses[] = [];
  const later = Array.from({ length: count }, (_, i) => {
    // One of them may serve what the first one serves, and more exactly.
    const nic = new NicAddresses(world.chance(0.1) ? `10.1.0.${number}/28` : `10.${i + 2}.0.${number}/24`);
    nics.push(nic);
    const addresses = [nic.address];
    return { ...drawOptions(world), name: `late-${i}`, network: `late-${i}`, addresses, assignments: nic.assignments };
  });
  const host = simulation.host(first, drawFaults(world, simulation.strength), later);
  if (world.chance(0.5)) host.tcpip.watchers = new Set();
  return new Surroundings(simulation, host, nics);
}

export function providersComeAndGo(simulation: Simulation): void {
  const { world } = simulation;
  const first = world.chance(0.6);
  const later = 1 + world.pick(3);
  const surroundings = Array.from({ length: 2 + world.pick(2) }, (_, i) =>
    drawSurroundings(simulation, i + 1, first && world.chance(0.9), later),
  );
  const [serving, ...calling] = surroundings as [Surroundings, ...Surroundings[]];
  const server = serving.host;
  const within = 1 + world.pick(world.chance(0.5) ? 1000 : 50_000);
  const habits = drawHabits(world);
  const reactive = world.chance(0.5) ? 0.2 : 0;
  const react = (one: Surroundings | undefined): void => {
    if (world.chance(reactive)) one?.change();
  };
  simulation.onEnd = (end) => {
    behave(end, world, habits);
    react(surroundings.find(({ host }) => host.process === end.process));
  };
  const policy = { ...drawPolicy(world), also: () => react(serving) };
  const listening = listenEverywhere(simulation, server, policy);
  if (world.chance(0.3)) server.process.schedule(() => simulation.unlisten(listening), world.pick(2 * within));
  const addresses = server.providers.map(({ options }) => options.addresses[0]!.split('/')[0]!);
  const exact = addresses[world.pick(addresses.length)]!;
  simulation.listen(server, exactPort, policy, exact);
  for (let i = 2 + world.pick(7); i > 0; i--) {
    const { host } = calling[world.pick(calling.length)]!;
    const address = addresses[world.pick(addresses.length)];
    const remote = world.chance(0.2) ? server.name(exactPort, exact) : server.name(port, address);
    host.process.schedule(() => simulation.connect(host, remote), 1 + world.pick(within));
  }
  for (const one of surroundings) {
    if (world.chance(0.95)) for (const provider of one.host.later) one.install(provider);
    for (let i = 1 + world.pick(world.chance(0.3) ? 10 : 3); i > 0; i--) {
      one.host.process.schedule(() => one.change(), world.pick(world.chance(0.3) ? 300 : 2 * within));
    }
  }
  disturb(
    simulation,
    surroundings.map(({ host }) => host),
    2 * within,
  );
  finishRun(simulation, 2 * within + world.pick(20_000));
}
