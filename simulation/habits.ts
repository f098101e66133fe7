/** What programs do with their connections at random. Each run leaves out some of it: swarm testing. */

import type { World } from '../src/providers/simulated/world.js';
import type { ProgramEnd } from './program.js';

const actions = ['small', 'large', 'gathered', 'pause', 'read', 'finish', 'close', 'reset', 'block'] as const;
type Action = (typeof actions)[number];

/** Weights of the actions when all are in use. */
const usual: Readonly<Record<Action, number>> = {
  small: 10,
  large: 3,
  gathered: 3,
  pause: 3,
  read: 5,
  finish: 1,
  close: 0.5,
  reset: 0.3,
  block: 0.3,
};

export interface Habits {
  readonly weights: readonly (readonly [Action, number])[];
  /** Most microseconds between two actions. */
  readonly gap: number;
  readonly actionsMax: number;
  readonly largest: number;
  /** Odds that a program acts from inside a callback. */
  readonly reactive: number;
}

export function drawHabits(world: World): Habits {
  const chosen = actions.filter((action) => action === 'small' || world.chance(0.6));
  return {
    weights: chosen.map((action) => [action, usual[action]] as const),
    gap: 1 + 10 ** (world.random() * 3.3),
    actionsMax: 2 + world.pick(world.chance(0.5) ? 20 : 80),
    largest: 1 + 10 ** (3 + world.random() * 2.3),
    reactive: world.chance(0.5) ? world.random() * 0.2 : 0,
  };
}

/** The program behind one end, until it has done enough. */
export function behave(end: ProgramEnd, world: World, habits: Habits): void {
  const total = habits.weights.reduce((sum, [, weight]) => sum + weight, 0);
  let left = 1 + world.pick(habits.actionsMax);
  const draw = (): Action => {
    let at = world.random() * total;
    for (const [action, weight] of habits.weights) {
      at -= weight;
      if (at < 0) return action;
    }
    return 'small';
  };
  const act = (): void => {
    if (left-- <= 0 || end.closed || end.calm) return;
    perform(end, world, habits, draw());
    end.process.schedule(act, world.pick(habits.gap));
  };
  const react = (): void => {
    if (end.calm || !world.chance(habits.reactive) || left-- <= 0) return;
    perform(end, world, habits, draw());
  };
  end.onData = react;
  end.onOver = react;
  if (world.chance(0.8)) end.read();
  // From inside the callback that brings the connection.
  react();
  end.process.schedule(act, world.pick(habits.gap));
}

function perform(end: ProgramEnd, world: World, habits: Habits, action: Action): void {
  const small = (): number => 1 + world.pick(200);
  switch (action) {
    case 'small':
      return end.write([small()]);
    case 'large':
      return end.write([1 + world.pick(habits.largest)]);
    case 'gathered':
      return end.write([small(), world.chance(0.3) ? 1 + world.pick(habits.largest) : small(), small()]);
    case 'pause':
      return end.pause();
    case 'read':
      return end.read();
    case 'finish':
      return end.finish();
    case 'close':
      world.mark('program: close');
      return end.close();
    case 'reset':
      world.mark('program: reset');
      return end.reset();
    case 'block':
      return end.process.block(world.pick(20_000));
  }
}
