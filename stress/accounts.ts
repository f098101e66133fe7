/** Talking to the programs of the stress tests. */

import type { Program } from '../test/support/stage.js';
import type { Account, PlanName } from './account.js';

export const sideProgram = new URL('programs/side.js', import.meta.url);
/** What `--import` is given to arm a point, and to post late. */
export const armPoint = new URL('arm-point.js', import.meta.url).href;
export const postLate = new URL('post-late.js', import.meta.url).href;

export async function setPlan(process: Program, name: PlanName): Promise<void> {
  process.tell({ kind: 'plan', name });
  await process.next('planned');
}

export async function accountOf(process: Program): Promise<Account> {
  process.tell({ kind: 'account' });
  return (await process.next<{ account: Account }>('account')).account;
}

export async function forget(...processes: readonly Program[]): Promise<void> {
  for (const process of processes) {
    process.tell({ kind: 'forget' });
    await process.next('forgotten');
  }
}

/** Milliseconds between two questions. */
const pause = 5;

/** Asks until the answer is right, and says what the last one was if it is not within `bound` milliseconds. */
export async function within<T>(
  bound: number,
  ask: () => Promise<T>,
  right: (answer: T) => boolean,
  what: string,
): Promise<T> {
  const end = performance.now() + bound;
  for (;;) {
    const answer = await ask();
    if (right(answer)) return answer;
    if (performance.now() > end) throw new Error(`${what}: ${JSON.stringify(answer)}`);
    // Whoever is asked has other things to do.
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}
