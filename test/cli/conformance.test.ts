import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import type { ConformanceReport } from '../../src/conformance/index.js';
import { repositoryRoot } from '../../tools/source/files.js';
import { CommandLine, commandPath } from './command.js';

const example = join(repositoryRoot(), 'examples/unix-socket-provider/conformance.js');

test('command line: the provider of the documentation conforms, and runs all parts of the kit', {
  timeout: 120_000,
}, async (t) => {
  const { stdout, stderr } = await promisify(execFile)(
    process.execPath,
    [commandPath, 'conformance', example, '--json'],
    {
      maxBuffer: 1 << 24,
    },
  );
  const report = JSON.parse(stdout) as ConformanceReport;
  const failed = report.scenarios.filter(({ result }) => result === 'failed');
  assert.deepEqual(failed, []);
  assert.deepEqual([stderr, report.provider, report.conforms, report.complete], ['', 'unix-socket', true, true]);
  for (const part of ['contract', 'faults', 'malice'] as const) {
    assert.ok(
      report.scenarios.some((one) => one.part === part && one.result === 'passed'),
      part,
    );
  }
  t.diagnostic(`${report.counts.passed} rules hold, ${report.milliseconds} ms`);
  assert.ok(report.counts.passed > 130);
});

for (const provider of ['shared-memory', 'simulated', 'tcpip'] as const) {
  test(`command line: ${provider} is tested by its name`, async (t) => {
    const line = new CommandLine(t);
    const { code, stdout } = await line.run(['conformance', provider, '--only', 'WSD-LSN-6', '--all']);
    assert.equal(code, 0, stdout);
    assert.match(stdout, new RegExp(`^${provider}: conforms, as far as asked for$`, 'm'));
    assert.match(stdout, /ok\s+│ WSD-LSN-6 /);
    assert.match(stdout, provider === 'tcpip' ? /not applicable\s+│ WSD-MEM-7 / : /not tested\s+│ WSD-MEM-7 /);
  });
}

test('command line: a provider that breaks a rule is named with the rule, and the exit code tells', async (t) => {
  const line = new CommandLine(t);
  const broken = join(line.directory, 'broken.mjs');
  writeFileSync(
    broken,
    `import honest from ${JSON.stringify(example)};
    const breaking = (party) => ({
      ...party,
      provider: {
        name: 'broken',
        protocolInfo: party.provider.protocolInfo,
        WSPStartupEx: (...args) => {
          const result = party.provider.WSPStartupEx(...args);
          const table = args[4].value;
          if (table) args[4].value = { ...table, WSPListen: (s, backlog, errno) => table.WSPListen(s, 4000, errno) };
          return result;
        },
      },
    });
    export default {
      ...honest,
      name: 'broken',
      open: (options) => {
        const rig = honest.open(options);
        return { ...rig, server: breaking(rig.server), client: breaking(rig.client) };
      },
    };`,
  );
  const args = ['conformance', broken, '--only', 'WSD-LSN-(10|13)', '--patience', '1000'];
  const { code, stdout, stderr } = await line.run(args);
  assert.equal(code, 1);
  assert.match(stdout, /FAILED\s+│ WSD-LSN-10 /);
  assert.match(stdout, /^broken: does NOT conform/m);
  assert.match(stderr, /^failed: WSD-LSN-8 WSD-LSN-9 WSD-LSN-10/m);
});

test('command line: what is no provider is said to be none', async (t) => {
  const line = new CommandLine(t);
  const nothing = join(line.directory, 'nothing.mjs');
  writeFileSync(nothing, 'export default {};');
  for (const [what, pattern] of [
    [nothing, /no subject as its default export/],
    [join(line.directory, 'absent.mjs'), /Cannot find module/],
  ] as const) {
    const { code, stdout, stderr } = await line.run(['conformance', what]);
    assert.deepEqual([code, stdout], [2, '']);
    assert.match(stderr, pattern);
  }
});
