/**
 * `npm test`: runs the compiled tests, two files at a time, with Node's own test runner. Skipped tests are listed with their
 * reasons before the summary, because a test that silently does not run proves nothing; with SOCKETS_DIRECT_TEST_STRICT=1
 * they are failures.
 *
 * Tests with packages from npm need those installed; that is done here when such tests are selected.
 *
 * Arguments select files by a part of their path (`npm test -- providers/tcpip`); `--name=<regular expression>` selects tests.
 */

import { join } from 'node:path';
import { Readable } from 'node:stream';
import { run } from 'node:test';
import { spec, type TestEvent } from 'node:test/reporters';
import { filesBelow, repositoryRoot } from './source/files.js';
import { Outcome } from './testing/outcome.js';
import { packagesFolder, preparePackages } from './testing/packages.js';

/** A file that takes longer is killed: it hangs. */
const fileTimeoutMs = 600_000;
const filesAtOnce = 2;

const strict = process.env.SOCKETS_DIRECT_TEST_STRICT === '1';
const root = repositoryRoot();
const wanted = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
const names = process.argv.flatMap((argument) => (argument.startsWith('--name=') ? [argument.slice(7)] : []));

const files = filesBelow(root, 'build/test', '.test.js')
  .map((file) => file.path)
  .filter((path) => wanted.length === 0 || wanted.some((part) => path.includes(part)))
  .map((path) => join(root, path));

if (files.some((path) => path.includes(packagesFolder))) {
  const failure = preparePackages(root);
  if (failure !== null) console.error(`Tests with packages from npm will be skipped. ${failure}`);
}
if (files.length === 0) {
  console.error(`no test file${wanted.length > 0 ? ` with ${wanted.join(' or ')} in its path` : ''}`);
  process.exitCode = 1;
} else {
  const outcome = new Outcome(strict, () => {
    process.exitCode = 1;
  });
  const options = names.length > 0 ? { testNamePatterns: names } : {};
  const events: AsyncIterable<unknown> = run({ files, concurrency: filesAtOnce, timeout: fileTimeoutMs, ...options });
  Readable.from(outcome.watch(events as AsyncIterable<TestEvent>))
    .pipe(new spec())
    .pipe(process.stdout);
}
