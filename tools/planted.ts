/**
 * `npm run planted`: breaks the switch, the session and the providers on purpose, one rule at a time, and demands that a
 * test which carries the rule's id fails. A test that passes on broken code shows nothing.
 *
 * `--family ACC` takes only that family, `--rule WSD-ACC-8` only that rule; `--jobs 1` runs one at a time. Ends with 1 if a
 * violation is not noticed, if an entry does not fit the code any more, or if a family has none at all.
 */

import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { Copy } from './planted/copy.js';
import { missingFamilies, type Planted, readPlanted, titlePattern } from './planted/plan.js';
import { endRuns, runTests, type TestRun } from './planted/run.js';
import { problemOfBase, type Verdict, verdictLine, verdictOn } from './planted/verdict.js';
import { repositoryRoot } from './source/files.js';

const timeoutMs = 60_000;
const jobsMax = 2;

const { values } = parseArgs({
  options: {
    family: { type: 'string', multiple: true },
    rule: { type: 'string', multiple: true },
    jobs: { type: 'string' },
  },
});
const jobs = Math.min(jobsMax, Math.max(1, Number(values.jobs ?? availableParallelism()) || 1));

process.on('exit', endRuns);
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130));

const root = repositoryRoot();
const { planted, problems } = readPlanted(root);
const chosen = planted.filter(
  ({ family, rule }) =>
    (values.family === undefined || values.family.includes(family)) &&
    (values.rule === undefined || (rule !== null && values.rule.includes(rule))),
);

/** Runs without a violation, one for each test file. */
const bases = new Map<string, Promise<TestRun>>();

async function withCopy<T>(use: (copy: Copy) => T | Promise<T>): Promise<T> {
  const copy = new Copy(root);
  const remove = (): void => copy.remove();
  process.on('exit', remove);
  try {
    return await use(copy);
  } finally {
    process.off('exit', remove);
    remove();
  }
}

function baseOf(tests: string): Promise<TestRun> {
  let base = bases.get(tests);
  if (base === undefined) {
    base = withCopy((copy) => runTests(copy, tests, null, timeoutMs));
    bases.set(tests, base);
  }
  return base;
}

async function judge(one: Planted): Promise<Verdict> {
  const problem = problemOfBase(one, await baseOf(one.tests));
  if (problem !== null) return { planted: one, red: [], hung: false, seconds: 0, problem };
  return withCopy(async (copy) => {
    if (!copy.replace(one.file, one.find, one.replace)) {
      return { planted: one, red: [], hung: false, seconds: 0, problem: 'STALE: the text is not there exactly once' };
    }
    return verdictOn(one, await runTests(copy, one.tests, titlePattern(one), timeoutMs));
  });
}

async function work(queue: Planted[]): Promise<void> {
  for (let one = queue.shift(); one !== undefined; one = queue.shift()) {
    const verdict = await judge(one);
    if (verdict.problem !== null) problems.push(`${one.rule ?? one.family} in ${one.file}: ${verdict.problem}`);
    console.log(verdictLine(verdict));
  }
}

const queue = [...chosen];
await Promise.all(Array.from({ length: jobs }, () => work(queue)));

const missing = missingFamilies(planted);
if (missing.length > 0) problems.push(`families without a planted violation: ${missing.join(' ')}`);
console.log(`${chosen.length} planted violations in ${bases.size} test files, ${problems.length} problems`);
for (const problem of problems) console.error(problem);
process.exitCode = problems.length > 0 ? 1 : 0;
