/** The compatibility page is that of its tables, and every row has a decision and a test that exists. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compatibilityPage, pagePath, type Row, readTables, tableProblems } from '../../tools/compatibility/table.js';
import { readSource, repositoryRoot } from '../../tools/source/files.js';

const root = repositoryRoot();
const good: Row = {
  topic: 'a topic',
  stock: 'does something',
  here: 'same',
  note: 'A sentence.',
  test: 'test/compat/events.test.ts#the client ends after a write',
};

function problemsOf(...rows: unknown[]): readonly string[] {
  const path = 'docs/data/compatibility-some.json';
  return tableProblems(root, [{ title: 'Some', path, rows: rows as Row[] }]).map((line) => line.split(': ').at(-1)!);
}

test('the page is what npm run docs writes', () => {
  assert.equal(readSource(root, pagePath).text, compatibilityPage(readTables(root)), 'stale: npm run docs');
});

test('the rows are right', () => {
  assert.deepEqual(tableProblems(root, readTables(root)), []);
});

test('what is wrong with a row is found', () => {
  assert.deepEqual(problemsOf(good), []);
  assert.deepEqual(problemsOf(good, good), ['another row has this topic']);
  assert.deepEqual(problemsOf({ ...good, here: 'faster' }), ['unknown decision faster']);
  assert.deepEqual(problemsOf({ ...good, note: '' }), ['no note']);
  assert.deepEqual(problemsOf({ ...good, stock: 'a | b' }), ['stock does not fit into a cell']);
  assert.deepEqual(problemsOf({ ...good, reason: 'because' }), ['unknown reason because']);
  assert.deepEqual(problemsOf({ ...good, here: 'tcpip' }), ['TCP/IP carries it without a reason']);
  assert.deepEqual(problemsOf({ ...good, here: 'tcpip', reason: 'no-listener' }), []);
  assert.deepEqual(problemsOf({ ...good, test: 'test/compat/none.test.ts' }), [
    'no test file test/compat/none.test.ts',
  ]);
  const untitled = problemsOf({ ...good, test: 'test/compat/events.test.ts#no such title' });
  assert.deepEqual(untitled, ["test/compat/events.test.ts has no test 'no such title'"]);
});
