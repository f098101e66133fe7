/** Titles of the conformance kit's scenarios, which `test/provider/` makes tests of, for the providers to which they apply. */

import { excuseOf, hooksOf, type Subject, scenarios } from '../../src/conformance/index.js';
import sharedMemory from '../../src/providers/shared-memory/conformance.js';
import simulated from '../../src/providers/simulated/conformance.js';
import tcpip from '../../src/providers/tcpip/conformance.js';
import type { TestTitle } from './titles.js';

const subjects: readonly Subject[] = [sharedMemory, simulated, tcpip];

export async function scenarioTitles(): Promise<readonly TestTitle[]> {
  const known = await Promise.all(subjects.map(async (subject) => ({ subject, hooks: await hooksOf(subject) })));
  return scenarios.flatMap((scenario, i) => {
    const tags = known
      .filter(({ subject, hooks }) => excuseOf(subject, hooks, scenario) === null)
      .map(({ subject }) => subject.name);
    return tags.length === 0
      ? []
      : [{ file: 'src/conformance/scenarios', line: i + 1, title: scenario.title, tags, problem: null }];
  });
}
