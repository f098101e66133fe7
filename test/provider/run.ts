/** Makes tests of the kit's scenarios. The titles, with their rules, are those of the scenarios. */

import { test } from 'node:test';
import { excuseOf, hooksOf, runScenario, type Scenario } from '../../src/conformance/index.js';
import { subjects } from './adapters.js';

const known = await Promise.all(Object.values(subjects).map(async (one) => [one, await hooksOf(one)] as const));

/** One test for each scenario on each provider to which it applies. */
export function testScenarios(scenarios: readonly Scenario[]): void {
  for (const [subject, hooks] of known) {
    for (const scenario of scenarios) {
      if (excuseOf(subject, hooks, scenario) !== null) continue;
      const title = `[${subject.name}] ${scenario.title}`;
      test(title, () => runScenario(subject, scenario));
    }
  }
}
