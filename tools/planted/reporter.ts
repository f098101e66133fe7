/** A reporter for Node's test runner: one line of JSON for each test that ran. */

import type { TestEvent } from 'node:test/reporters';

/** How one test ended. */
export interface TestResult {
  readonly name: string;
  readonly passed: boolean;
}

export default async function* report(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const event of events) {
    if (event.type !== 'test:pass' && event.type !== 'test:fail') continue;
    const { name, skip, todo } = event.data;
    if (skip !== undefined || todo !== undefined) continue;
    const result: TestResult = { name, passed: event.type === 'test:pass' };
    yield `${JSON.stringify(result)}\n`;
  }
}
