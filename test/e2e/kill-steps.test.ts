/** Either side is killed at each step of a connection's life, a few times; `npm run stress` does it many times. */

import { test } from 'node:test';
import { KillRounds } from '../../stress/kill-rounds.js';
import { type Step, sides, steps } from '../../stress/steps.js';
import { Stage } from '../support/stage.js';

const rounds = 2;
/** Steps under way at the same time. */
const lanes = 2;

for (const side of sides) {
  test(`[shared-memory] a killed ${side} leaves, at each step, an outcome, all that it had sent, and nothing else`, {
    timeout: 115_000,
  }, async (t) => {
    const waiting = [...steps];
    const outcomes: string[] = [];
    const run = async (step: Step): Promise<void> => {
      const stage = new Stage(t);
      const killing = await KillRounds.begin(stage, step, side);
      for (let i = 0; i < rounds; i++) {
        const { outcome, delay } = await killing.round();
        outcomes.push(`${step.name}: ${outcome} after ${delay.toFixed(1)} ms`);
      }
      await stage.close();
    };
    const lane = async (): Promise<void> => {
      for (let step = waiting.shift(); step !== undefined; step = waiting.shift()) await run(step);
    };
    await Promise.all(Array.from({ length: lanes }, lane));
    t.diagnostic(outcomes.join('; '));
  });
}
