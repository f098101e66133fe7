/** `sockets-direct doctor` on machines where something is missing: each is really made so. */

import assert from 'node:assert/strict';
import { chmodSync, cpSync, mkdirSync, realpathSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { dist } from '../support/preload.js';
import { needsRoot } from '../support/stage.js';
import { CommandLine, commandPath } from './command.js';

interface Check {
  readonly name: string;
  readonly state: string;
  readonly detail: string;
  readonly reason?: string;
  readonly advice?: string;
}

interface Report {
  readonly accelerated: boolean;
  readonly checks: readonly Check[];
  readonly roundTrip: { readonly sharedMemory: number | null; readonly tcpip: number | null };
}

const limit = { timeout: 60_000 };

async function examine(line: CommandLine, env: NodeJS.ProcessEnv = {}, command = [process.execPath, commandPath]) {
  const [program, ...args] = command;
  const { code, stdout, stderr } = await line.spawn(program, [...args, 'doctor', '--json'], env).ended();
  assert.equal(stderr, '');
  const report = JSON.parse(stdout) as Report;
  const find = (name: string): Check => {
    const found = report.checks.find((check) => check.name === name);
    assert.ok(found, `${name} in ${stdout}`);
    return found;
  };
  return { code, report, find };
}

type Examined = Awaited<ReturnType<typeof examine>>;

/** Everything that an unaccelerated machine has to say: exit code, the check that is to blame, and the self-test. */
function assertProblem({ code, report, find }: Examined, name: string, reason: string): void {
  assert.deepEqual([code, report.accelerated], [1, false]);
  const check = find(name);
  assert.deepEqual([check.state, check.reason], ['problem', reason]);
  assert.ok(check.advice !== undefined && check.advice.length > 10);
  const selfTest = find('self-test');
  assert.deepEqual([selfTest.state, selfTest.reason], ['problem', reason]);
  assert.equal(report.roundTrip.sharedMemory, null);
  assert.ok(report.roundTrip.tcpip! > 0);
}

test('doctor finds nothing wrong where everything is there, and measures both ways', limit, async (t) => {
  const { code, report } = await examine(new CommandLine(t));
  assert.equal(code, 0, JSON.stringify(report));
  assert.deepEqual(
    report.checks.filter(({ state }) => state !== 'ok'),
    [],
  );
  assert.ok(report.accelerated);
  assert.ok(report.roundTrip.sharedMemory! > 0 && report.roundTrip.tcpip! > 0);
});

test('doctor writes for people what it writes for programs', limit, async (t) => {
  const { code, stdout, stderr } = await new CommandLine(t).run(['doctor']);
  assert.deepEqual([code, stderr], [0, '']);
  assert.match(stdout, /^ok +koffi +\d+\.\d+\.\d+/m);
  assert.match(stdout, /^ok +self-test +64 bytes there and back: [\d.]+ us by shared memory, [\d.]+ us by TCP\/IP$/m);
  assert.match(stdout, /\n\nConnections .* are accelerated if both run Sockets Direct\.\n$/);
});

test('doctor tells whether memory of a peer can be read, which nothing depends on', limit, async (t) => {
  const line = new CommandLine(t);
  const usual = await examine(line);
  assert.match(usual.find('peer memory').detail, /\[(direct|not-permitted|call-blocked)\]$/);
  const { code, find } = await examine(line, { SOCKETS_DIRECT_PEER_MEMORY: 'off' });
  assert.equal(code, 0);
  assert.deepEqual(find('peer memory'), {
    name: 'peer memory',
    state: 'ok',
    detail: 'RDMA reads go over the ring: SOCKETS_DIRECT_PEER_MEMORY=off [off-by-environment]',
  });
});

test('doctor: SOCKETS_DIRECT=off', limit, async (t) => {
  assertProblem(await examine(new CommandLine(t), { SOCKETS_DIRECT: 'off' }), 'switch', 'off-by-environment');
});

test('doctor: a directory that is open to others', limit, async (t) => {
  const line = new CommandLine(t);
  const directory = join(line.directory, 'open');
  mkdirSync(directory);
  chmodSync(directory, 0o755);
  const examined = await examine(line, { SOCKETS_DIRECT_DIR: directory });
  assertProblem(examined, 'rendezvous directory', 'rendezvous-unsafe');
  assert.ok(examined.find('rendezvous directory').detail.includes('open to others'));
});

test('doctor: a directory that cannot be', limit, async (t) => {
  const line = new CommandLine(t);
  const absent = await examine(line, { SOCKETS_DIRECT_DIR: join(line.directory, 'not/there') });
  assertProblem(absent, 'rendezvous directory', 'rendezvous-absent');
  const relative = await examine(line, { SOCKETS_DIRECT_DIR: 'here' });
  assertProblem(relative, 'rendezvous directory', 'rendezvous-unavailable');
});

test('doctor: koffi is not installed', limit, async (t) => {
  const line = new CommandLine(t);
  const copy = join(line.directory, 'package');
  const modules = realpathSync(fileURLToPath(new URL('../../../node_modules', import.meta.url)));
  cpSync(dist, join(copy, 'dist'), { recursive: true });
  cpSync(join(dist, '../package.json'), join(copy, 'package.json'));
  mkdirSync(join(copy, 'node_modules'));
  for (const name of ['commander', 'cli-table3']) symlinkSync(join(modules, name), join(copy, 'node_modules', name));
  const command = [process.execPath, join(copy, 'dist/cli/main.js')];
  assertProblem(await examine(line, {}, command), 'koffi', 'ffi-unavailable');
});

test('doctor: a policy that cannot be understood, and one that forbids everything', limit, async (t) => {
  const line = new CommandLine(t);
  const wrong = await examine(line, { SOCKETS_DIRECT_DENY: 'port=many' });
  assert.deepEqual([wrong.code, wrong.find('policy').reason], [1, 'policy-invalid']);
  assert.match(wrong.find('policy').detail, /port/);
  const denied = await examine(line, { SOCKETS_DIRECT_DENY: '127.0.0.1' });
  assert.equal(denied.code, 1);
  assert.deepEqual([denied.find('policy').state, denied.find('self-test').reason], ['ok', 'denied-by-policy']);
});

test('doctor: few descriptors are a warning, and no more', limit, async (t) => {
  const command = ['sh', '-c', 'ulimit -n 200; exec "$@"', 'sh', process.execPath, commandPath];
  const { code, find } = await examine(new CommandLine(t), {}, command);
  assert.equal(code, 0);
  assert.deepEqual([find('open files').state, find('open files').detail.includes('200')], ['warning', true]);
});

test('doctor tells which variables are in force', limit, async (t) => {
  const line = new CommandLine(t);
  const { find } = await examine(line, { SOCKETS_DIRECT_REQUIRE: 'shared-memory', NODE_OPTIONS: '' });
  assert.ok(find('environment').detail.includes('SOCKETS_DIRECT_REQUIRE=shared-memory'));
  const nested = await line.run(['run', process.execPath, commandPath, 'doctor', '--json']);
  assert.match(nested.stdout, /NODE_OPTIONS has the preload/);
  assert.equal(nested.code, 0, nested.stdout);
});

test('doctor: a user whom the namespace does not know', limit, async (t) => {
  if (!needsRoot(t)) return;
  const line = new CommandLine(t);
  // In a new namespace nobody has a mapping.
  const command = ['unshare', '--user', process.execPath, commandPath];
  const { code, find } = await examine(line, {}, command);
  assert.deepEqual([code, find('rendezvous directory').reason], [1, 'user-unknown']);
});
