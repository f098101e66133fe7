/**
 * `npm run smoke -- --node 24`: a short part of the end-to-end tests and of those with packages from npm, on another version of
 * Node.js, which is fetched from npm. Several versions may be named: `--node 22,24,26`; without any, all that are supported
 * besides the oldest. `--quick` runs the few that find most of what another version breaks.
 */

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { repositoryRoot } from './source/files.js';

/** Bytes, ends and errors of plain sockets, every parser that sits on them, and what sits on TLS. */
const quick = ['e2e/streams', 'packages/http.test', 'packages/websocket.test'];
const others = ['e2e/exit', 'e2e/workers', 'net/preload', 'packages/'];

const root = repositoryRoot();
const { values } = parseArgs({
  options: { node: { type: 'string', default: '22,24,26' }, quick: { type: 'boolean', default: false } },
});

for (const version of values.node.split(',')) {
  const started = performance.now();
  const tests = values.quick ? quick : [...quick, ...others];
  const command = ['--yes', '--package', `node@${version}`, '--', 'node', join(root, 'build/tools/test.js'), ...tests];
  const { status, error } = spawnSync('npx', command, { cwd: root, stdio: 'inherit' });
  const seconds = Math.round((performance.now() - started) / 1000);
  const passed = status === 0;
  console.log(
    `smoke on Node.js ${version}: ${passed ? 'passed' : `FAILED${error ? `, ${error.message}` : ''}`} after ${seconds} s`,
  );
  if (!passed) process.exitCode = 1;
}
