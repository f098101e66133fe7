/** Waiting for what happens in this event loop: for conditions, never for times. */

/** Milliseconds; the machine may be busy with something else. */
export const usualPatience = 15_000;
/** Turns of the loop in which everything arrives that local kernel sockets carry. */
const settleTurns = 40;

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Some turns of this event loop. */
export async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await turn();
}

/** Looks once a turn of the event loop, and rejects when the time is over. */
export async function until(condition: () => boolean, what: string, milliseconds: number): Promise<void> {
  const end = performance.now() + milliseconds;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`still not: ${what}`);
    await turn();
  }
}

/** Lets everything arrive that is under way between parties of this event loop. */
export function settle(): Promise<void> {
  return turns(settleTurns);
}
