/** What the run of a test file says about a planted violation. */

import { type Planted, titlePattern } from './plan.js';
import type { TestRun } from './run.js';

export interface Verdict {
  readonly planted: Planted;
  /** Titles of the tests that noticed. */
  readonly red: readonly string[];
  readonly hung: boolean;
  readonly seconds: number;
  /** Why the planted violation proves nothing, or null. */
  readonly problem: string | null;
}

/** The file as it is must pass, and have a test that speaks for the violation. */
export function problemOfBase(planted: Planted, base: TestRun): string | null {
  if (base.hung) return 'the tests hang without the violation';
  const red = base.results.filter(({ passed }) => !passed);
  if (red.length > 0) return `red without the violation: ${red[0]!.name}`;
  const pattern = titlePattern(planted);
  return base.results.some(({ name }) => pattern.test(name)) ? null : 'no test of this rule in the file';
}

export function verdictOn(planted: Planted, run: TestRun): Verdict {
  const pattern = titlePattern(planted);
  const red = run.results.filter(({ name, passed }) => !passed && pattern.test(name)).map(({ name }) => name);
  let problem: string | null = null;
  if (red.length === 0 && !run.hung) {
    const ran = run.results.some(({ name }) => pattern.test(name));
    problem = ran ? 'SURVIVED' : 'the broken module cannot be loaded, which proves nothing';
  }
  return { planted, red, hung: run.hung, seconds: run.seconds, problem };
}

export function verdictLine({ planted, red, hung, seconds, problem }: Verdict): string {
  const name = (planted.rule ?? `WSD-${planted.family}`).padEnd(12);
  const tests = hung ? 'hangs' : `${red.length} red`;
  return `  ${planted.family.padEnd(5)} ${name} ${(problem ?? tests).padEnd(9)} ${seconds.toFixed(1).padStart(5)} s  ${planted.why}`;
}
