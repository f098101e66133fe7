/** What is on the way between two NICs: in order, each thing with its time of travel. */

import type { Faults } from './faults.js';
import type { World } from './world.js';

/** One direction of a connection: what is sent first arrives first. */
export class Pipe {
  readonly #world: World;
  readonly #timing: Timing;
  #last = 0;

  constructor(world: World, timing: Timing) {
    this.#world = world;
    this.#timing = timing;
  }

  /** `arrive` runs when it has travelled; `extra` are further microseconds, which hold up what follows as well. */
  send(arrive: () => void, extra = 0): void {
    const now = this.#world.now();
    const late = this.#timing.faults.lateness();
    this.#last = Math.max(this.#last, now + travelTime(this.#world, this.#timing) + late) + extra;
    this.#world.scheduleAt(arrive, this.#last);
  }
}

export interface Timing {
  /** Microseconds that anything takes to the peer, and at most so many more. */
  readonly latency: number;
  readonly spread: number;
  readonly faults: Faults;
}

export function travelTime(world: World, { latency, spread }: Timing): number {
  return latency + world.random() * spread;
}
