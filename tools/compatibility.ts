/**
 * `npm run docs`: writes docs/compatibility.md from the tables in docs/data/compatibility-*.json. With `--check` it writes
 * nothing and ends with 1 if the page is stale or a row is wrong.
 */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compatibilityPage, pagePath, readTables, tableProblems } from './compatibility/table.js';
import { readSource, repositoryRoot } from './source/files.js';

const root = repositoryRoot();
const tables = readTables(root);
const problems = [...tableProblems(root, tables)];
const page = compatibilityPage(tables);
if (process.argv.includes('--check')) {
  if (readSource(root, pagePath).text !== page) problems.push(`${pagePath}: stale; npm run docs writes it`);
} else {
  writeFileSync(join(root, pagePath), page);
}
for (const problem of problems) console.error(problem);
process.exitCode = problems.length > 0 ? 1 : 0;
