/** Connections that go on in other processes while their programs use them (section 18 of the digest). */

import type { SimulatedOptions } from '../src/providers/simulated/settings.js';
import type { MovableConnection } from '../src/switch/index.js';
import type { ProgramEnd } from './program.js';
import type { Host } from './rig.js';
import type { Simulation } from './simulation.js';

/** Processes of one host, between which connections move. */
export type Group = readonly Host[];

/** From time to time the end moves to another process of its group, until it has had enough. */
export function wander(simulation: Simulation, end: ProgramEnd, groups: readonly Group[], gap: number): void {
  const { world } = simulation;
  const group = groups.find((hosts) => hosts.some(({ process }) => process === end.process));
  if (group === undefined) return;
  let left = 1 + world.pick(4);
  const next = (): void => {
    world.schedule(() => {
      if (left-- <= 0 || end.closed || end.calm || !end.process.isAlive) return;
      const from = group.find(({ process }) => process === end.process)!;
      const others = group.filter((host) => host !== from);
      from.process.schedule(() => move(simulation, end, from, others[world.pick(others.length)]!, next), 1);
    }, world.pick(gap));
  };
  next();
}

function move(simulation: Simulation, end: ProgramEnd, from: Host, to: Host, done: () => void): void {
  const { world } = simulation;
  if (end.closed || end.inTransit) return;
  world.mark('program: moves');
  const connection = end.connection as MovableConnection;
  connection.suspend(() => {
    if (end.closed || world.chance(0.1)) {
      world.mark('program: does not move after all');
      connection.resume();
      done();
      return;
    }
    end.inTransit = true;
    const moved = connection.duplicate(to.process.id);
    if (typeof moved === 'number') {
      end.inTransit = false;
      connection.resume();
      done();
      return;
    }
    end.carried = moved.session.unsent.length;
    end.formers.set(from, connection);
    end.process = to.process;
    if (!to.process.isAlive) return;
    // The processes speak to each other by whatever way.
    to.process.schedule(
      () => {
        const former = end.formers.get(to) ?? null;
        end.formers.delete(to);
        const arrived = to.switch.receiveConnection(moved, former);
        if (typeof arrived === 'number') {
          world.mark('program: lost on its way');
          former?.closeFormer();
          end.lostInTransit();
          return;
        }
        world.mark('program: has moved');
        end.goOn(arrived);
        if (world.chance(0.5)) from.process.schedule(() => closeFormer(end, from), world.pick(1000));
        done();
      },
      world.pick(world.chance(0.5) ? 50 : 20_000),
    );
  });
}

function closeFormer(end: ProgramEnd, host: Host): void {
  end.formers.get(host)?.closeFormer();
  end.formers.delete(host);
}

/** Options of processes of one host: what they have promised to peers holds for each. */
export function sameHost(options: Partial<SimulatedOptions>, count: number): Partial<SimulatedOptions>[] {
  return Array.from({ length: count }, () => options);
}
