/**
 * `npm run rules`: which rules of Windows Sockets Direct have a test that carries their id in its title. With `--json` the
 * report is one line of JSON. Ends with 1 if a title is wrong: an unknown id or provider, or too many ids.
 *
 * Scenarios of the conformance kit are tests of every provider to which they apply.
 */

import { readCatalogue } from './rules/catalogue.js';
import { coverageOf } from './rules/coverage.js';
import { printable } from './rules/print.js';
import { scenarioTitles } from './rules/scenarios.js';
import { stringLists, testTitles } from './rules/titles.js';
import { filesBelow, repositoryRoot } from './source/files.js';

const root = repositoryRoot();
const catalogue = readCatalogue(root);
const files = filesBelow(root, 'test', '.ts');
const shared = new Map(files.flatMap((file) => [...stringLists(file.text)]));
const titles = files
  .filter((file) => file.path.endsWith('.test.ts'))
  .flatMap((file) => testTitles(file.path, file.text, shared));
const coverage = coverageOf(catalogue, [...titles, ...(await scenarioTitles())]);

for (const problem of coverage.problems) console.error(problem);
console.log(process.argv.includes('--json') ? JSON.stringify(coverage.report) : printable(catalogue, coverage));
process.exitCode = coverage.problems.length > 0 ? 1 : 0;
