import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Copy, replaceOnce } from '../../tools/planted/copy.js';
import {
  families,
  missingFamilies,
  type Planted,
  readEntry,
  readPlanted,
  titlePattern,
} from '../../tools/planted/plan.js';
import { runTests } from '../../tools/planted/run.js';
import { problemOfBase, verdictLine, verdictOn } from '../../tools/planted/verdict.js';
import { repositoryRoot } from '../../tools/source/files.js';

const entry = {
  family: 'ACC',
  rule: 'WSD-ACC-1',
  file: 'src/sum.js',
  find: 'a + b',
  replace: 'a - b',
  tests: 'test/sum.test.js',
  why: 'It subtracts.',
};
const planted = readEntry(entry) as Planted;
const limitMs = 20_000;
const finished = (...results: [name: string, passed: boolean][]) => ({
  results: results.map(([name, passed]) => ({ name, passed })),
  hung: false,
  seconds: 1,
});

/** A repository with one module and one test file, which is removed after the test. */
function repository(t: TestContext): string {
  const root = mkdtempSync(join(tmpdir(), 'planted-test-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  mkdirSync(join(root, 'build/src'), { recursive: true });
  mkdirSync(join(root, 'build/test'));
  writeFileSync(join(root, 'package.json'), '{"type":"module"}');
  writeFileSync(join(root, 'build/src/sum.js'), 'export const sum = (a, b) => a + b;\n');
  writeFileSync(
    join(root, 'build/test/sum.test.js'),
    `import assert from 'node:assert';
     import { test } from 'node:test';
     import { sum } from '../src/sum.js';
     test('WSD-ACC-1 adds', () => assert.equal(sum(1, 2), 3));
     test('WSD-ACC-2 adds nothing', () => assert.equal(sum(1, 0), 1));`,
  );
  return root;
}

/** Runs the tests of a copy with `replacement` in place of what the entry finds. */
async function runWith(t: TestContext, replacement: string, timeoutMs = limitMs) {
  const root = repository(t);
  const copy = new Copy(root);
  t.after(() => copy.remove());
  assert.ok(copy.replace(entry.file, entry.find, replacement));
  assert.match(readFileSync(join(root, 'build/src/sum.js'), 'utf8'), /a \+ b/, 'the repository itself stays as it is');
  return runTests(copy, entry.tests, titlePattern(planted), timeoutMs);
}

test('planted: the lists of this repository are in order', () => {
  assert.deepEqual(readPlanted(repositoryRoot()).problems, []);
});

test('planted: an entry says what it breaks, where, and who notices', () => {
  assert.deepEqual(planted, entry);
  assert.equal(readEntry({ ...entry, why: '' }), 'no why');
  assert.equal(readEntry({ ...entry, replace: undefined }), 'no replace');
  assert.equal(readEntry({ ...entry, replace: entry.find }), 'nothing is replaced');
  assert.match(String(readEntry({ ...entry, rule: 'WSD-CON-1' })), /not of family ACC/);
  assert.equal(readEntry(null), 'not an object');
});

test('planted: the text must occur exactly once', () => {
  assert.equal(replaceOnce('a b c', 'b', '$&'), 'a $& c');
  assert.equal(replaceOnce('a b c b', 'b', 'x'), null);
  assert.equal(replaceOnce('a c', 'b', 'x'), null);
});

test('planted: only a test of the same rule speaks, or of the family if the entry names no rule', () => {
  assert.ok(!titlePattern(planted).test('WSD-ACC-11: other'));
  assert.ok(titlePattern({ ...planted, rule: null }).test('WSD-ACC-11: other'));
  assert.equal(verdictOn(planted, finished(['WSD-ACC-1', true], ['WSD-ACC-11', false])).problem, 'SURVIVED');
  assert.equal(verdictOn(planted, finished(['WSD-ACC-1', false])).problem, null);
  assert.match(verdictOn(planted, finished(['sum.test.js', false])).problem ?? '', /cannot be loaded/);
  assert.match(verdictLine(verdictOn(planted, finished(['WSD-ACC-1', false]))), /ACC +WSD-ACC-1 +1 red .*subtracts/);
});

test('planted: the tests have to pass without the violation', () => {
  assert.equal(problemOfBase(planted, finished(['WSD-ACC-1', true])), null);
  assert.match(problemOfBase(planted, finished(['WSD-ACC-1', true], ['x', false])) ?? '', /red without.*x/);
  assert.match(problemOfBase(planted, finished(['x', true])) ?? '', /no test of this rule/);
  assert.match(problemOfBase(planted, { results: [], hung: true, seconds: 60 }) ?? '', /hang/);
});

test('planted: families without a violation are named', () => {
  const missing = missingFamilies([planted]);
  assert.ok(missing.includes('CON') && !missing.includes('ACC'));
  assert.equal(missing.length, families.length - 1);
});

test('planted: a violation in a copy turns the tests of its rule red, and only there', async (t) => {
  const run = await runWith(t, 'a - b');
  assert.deepEqual(verdictOn(planted, run).red, ['WSD-ACC-1 adds']);
  assert.equal(run.results.length, 1, 'tests of other rules are left out');
});

test('planted: what changes nothing survives, what cannot be loaded proves nothing', async (t) => {
  assert.equal(verdictOn(planted, await runWith(t, 'b + a')).problem, 'SURVIVED');
  assert.match(verdictOn(planted, await runWith(t, '((')).problem ?? '', /cannot be loaded/);
});

test('planted: a hang is ended, counts as noticed, and is told', async (t) => {
  const verdict = verdictOn(planted, await runWith(t, '(() => { for (;;); })()', 1500));
  assert.deepEqual([verdict.hung, verdict.problem], [true, null]);
  assert.match(verdictLine(verdict), /hangs/);
});
