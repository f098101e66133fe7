/** Makes tests of the kit's scenarios. The titles, with their rules, are those of the scenarios. */

import { test } from 'node:test';
import { excuseOf, hooksOf, runScenario, type Scenario } from '../../src/conformance/index.js';
import { providers, subjects } from './adapters.js';

const hooks = new Map(await Promise.all(providers.map(async (one) => [one, await hooksOf(subjects[one])] as const)));

/** One test for each scenario on each provider to which it applies. */
export function testScenarios(scenarios: readonly Scenario[]): void {
  for (const provider of providers) {
    const subject = subjects[provider];
    for (const scenario of scenarios) {
      if (excuseOf(subject, hooks.get(provider)!, scenario) !== null) continue;
      test(`[${provider}] ${scenario.title}`, () => runScenario(subject, scenario));
    }
  }
}
