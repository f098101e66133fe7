/** Runs one seed of a scenario and tells how it went. */

import { SimulationFailure } from './failure.js';
import { plants } from './plants.js';
import { scenarios } from './scenarios.js';
import { type Plant, Simulation } from './simulation.js';

export interface RunOptions {
  readonly scenario: string;
  /** Name of a planted bug, or null. */
  readonly plant: string | null;
}

export interface Outcome {
  readonly seed: number;
  /** What was found wrong, or null. */
  readonly failure: string | null;
  readonly marks: ReadonlyMap<string, number>;
  /** Kinds of faults that have happened. */
  readonly kinds: number;
  /** Times that the seed was drawn, each with stronger faults than before. */
  readonly draws: number;
  /** What has become of the connections. */
  readonly tally: Readonly<Record<string, number>>;
  /** Steps of the world. */
  readonly steps: number;
  readonly trace: readonly string[];
}

/** Every run meets at least so many kinds of faults. */
export const kindsMin = 3;
const drawsMax = 20;

function isFault(kind: string): boolean {
  return kind.startsWith('fault: ') || kind.startsWith('process-') || kind === 'connect budget expired';
}

/** Draws again, with stronger faults, until enough kinds of them have happened; the seed decides all of it. */
export function runSeed(seed: number, options: RunOptions): Outcome {
  for (let draws = 1; ; draws++) {
    const outcome = runOnce(seed, draws, options, false);
    if (outcome.failure !== null) return runOnce(seed, draws, options, true);
    if (outcome.kinds >= kindsMin) return outcome;
    if (draws === drawsMax) return { ...outcome, failure: `fewer than ${kindsMin} kinds of faults in ${draws} draws` };
  }
}

function runOnce(seed: number, draws: number, { scenario, plant }: RunOptions, trace: boolean): Outcome {
  const play = Object.hasOwn(scenarios, scenario) ? scenarios[scenario] : undefined;
  if (play === undefined) throw new TypeError(`no scenario ${scenario}`);
  const planted: Plant | null = plant === null ? null : (plants[plant] ?? null);
  // A world of its own for each draw.
  const simulation = new Simulation(seed + (draws - 1) * 0x1000_0000, draws, planted, trace);
  let failure: string | null = null;
  try {
    play(simulation);
  } catch (error) {
    failure = error instanceof SimulationFailure ? error.message : String((error as Error).stack ?? error);
  }
  const { marks } = simulation.world;
  return {
    seed,
    failure,
    marks,
    kinds: [...marks.keys()].filter(isFault).length,
    draws,
    tally: simulation.tally,
    steps: simulation.steps,
    trace: simulation.world.trace ?? [],
  };
}
