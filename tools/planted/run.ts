/** Runs one test file in a copy of the repository, in processes of its own. */

import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Copy } from './copy.js';
import type { TestResult } from './reporter.js';

export interface TestRun {
  readonly results: readonly TestResult[];
  /** The file took too long and was ended. */
  readonly hung: boolean;
  readonly seconds: number;
}

const running = new Set<number>();

/** Ends the test files that run, with all that they have started. */
export function endRuns(): void {
  for (const group of running) endGroup(group);
}

function endGroup(group: number): void {
  try {
    process.kill(-group, 'SIGKILL');
  } catch {
    // It has ended meanwhile.
  }
}

/** `pattern` selects tests by title. */
export function runTests(copy: Copy, tests: string, pattern: RegExp | null, timeoutMs: number): Promise<TestRun> {
  const output = join(copy.folder, 'results');
  const reporter = new URL('./reporter.js', import.meta.url).href;
  // Set by a test runner above us, it would make the child report in its way.
  const { NODE_TEST_CONTEXT: _, ...environment } = process.env;
  const named = pattern === null ? [] : [`--test-name-pattern=/${pattern.source}/`];
  const started = performance.now();
  const child = spawn(
    process.execPath,
    [...named, `--test-reporter=${reporter}`, `--test-reporter-destination=${output}`, copy.path(tests)],
    { cwd: copy.folder, env: environment, stdio: 'ignore', detached: true },
  );
  const group = child.pid ?? 0;
  if (group !== 0) running.add(group);
  return new Promise((resolve, reject) => {
    let hung = false;
    const timer = setTimeout(() => {
      hung = true;
      endGroup(group);
    }, timeoutMs);
    child.on('error', reject);
    child.on('exit', () => {
      clearTimeout(timer);
      // What the tests have left behind, if anything, must not outlive the copy.
      endGroup(group);
      running.delete(group);
      resolve({ results: readResults(output), hung, seconds: (performance.now() - started) / 1000 });
    });
  });
}

/** The last line may be cut off if the run was ended. */
function readResults(path: string): readonly TestResult[] {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line) as TestResult);
}
