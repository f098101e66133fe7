/** The sources keep to the rooms of ARCHITECTURE.md, and the repository is tidy. */

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { layeringProblems } from '../../tools/architecture/layering.js';
import { type AllowedSleep, anyProblems, sleepProblems, textProblems } from '../../tools/architecture/tidiness.js';
import { filesBelow, readSource, repositoryRoot } from '../../tools/source/files.js';

const root = repositoryRoot();
const sources = filesBelow(root, 'src', '.ts');
const tests = filesBelow(root, 'test', '.ts');
const others = ['tools', 'bench', 'demo', 'simulation', 'stress'].flatMap((folder) => filesBelow(root, folder, '.ts'));
const papers = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md', '.ci/run']
  .filter((path) => existsSync(join(root, path)))
  .map((path) => readSource(root, path));

test('architecture: imports go down only, nobody reaches past the contract, no cycles', () => {
  assert.ok(sources.length > 10, 'the sources were found');
  assert.deepEqual(layeringProblems(sources), []);
});

test('tidiness: short files, nothing unfinished, no path of one machine', () => {
  const documents = filesBelow(root, 'docs', '.md');
  assert.deepEqual([...sources, ...tests, ...others, ...papers, ...documents].flatMap(textProblems), []);
});

test('tidiness: every value in the sources has a type', () => {
  assert.deepEqual(sources.flatMap(anyProblems), []);
});

test('tidiness: tests wait for events, not for times', () => {
  const allowed: unknown = JSON.parse(readFileSync(join(root, 'tools/data/sleeps-allowed.json'), 'utf8'));
  assert.ok(isAllowedList(allowed));
  assert.deepEqual(sleepProblems(tests, allowed), []);
});

function isAllowedList(value: unknown): value is readonly AllowedSleep[] {
  return (
    Array.isArray(value) && value.every((entry) => typeof entry?.file === 'string' && typeof entry.why === 'string')
  );
}
