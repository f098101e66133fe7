import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestEvent } from 'node:test/reporters';
import { Outcome } from '../../tools/testing/outcome.js';

const passed = (name: string, skip?: string | boolean): TestEvent => ({
  type: 'test:pass',
  data: { name, nesting: 0, testNumber: 1, details: { duration_ms: 1 }, ...(skip === undefined ? {} : { skip }) },
});
const failed = (name: string, todo?: string): TestEvent => ({
  type: 'test:fail',
  data: {
    name,
    nesting: 0,
    testNumber: 1,
    details: { duration_ms: 1, error: Object.assign(new Error('x'), { cause: new Error('y') }) },
    ...(todo === undefined ? {} : { todo }),
  },
});
const summary: TestEvent = { type: 'test:diagnostic', data: { nesting: 0, message: 'tests 2' } };

async function* each(events: readonly TestEvent[]): AsyncGenerator<TestEvent> {
  yield* events;
}

async function outcomeOf(strict: boolean, events: readonly TestEvent[]) {
  let failures = 0;
  const outcome = new Outcome(strict, () => failures++);
  const seen: string[] = [];
  for await (const event of outcome.watch(each(events))) {
    seen.push(event.type === 'test:diagnostic' ? event.data.message : event.type);
  }
  return { failures, seen };
}

test('test runner: skipped tests are listed with reasons right before the summary', async () => {
  const { failures, seen } = await outcomeOf(false, [passed('a'), passed('b', 'no koffi'), passed('c', true), summary]);
  assert.equal(failures, 0);
  assert.deepEqual(
    seen.slice(3, 6).map((line) => line.trim().replace(/ \(.*/, '')),
    ['SKIPPED: 2 tests', 'b: no koffi', 'c: no reason given'],
  );
  assert.equal(seen.at(-1), 'tests 2');
});

test('test runner: a skipped test fails a strict run', async () => {
  assert.equal((await outcomeOf(true, [passed('a', 'no koffi'), summary])).failures, 1);
  assert.equal((await outcomeOf(true, [passed('a'), summary])).failures, 0);
});

test('test runner: a failed test fails the run, a planned one does not', async () => {
  assert.equal((await outcomeOf(false, [failed('a'), summary])).failures, 1);
  assert.equal((await outcomeOf(false, [failed('a', 'planned'), summary])).failures, 0);
});
