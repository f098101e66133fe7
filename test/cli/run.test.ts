/** `sockets-direct run`, as somebody at a shell uses it. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { dist } from '../support/preload.js';
import { CommandLine, commandPath, programPath, type Started } from './command.js';

const node = process.execPath;
const limit = { timeout: 60_000 };

async function server(line: CommandLine, args: readonly string[] = [], where = 'here'): Promise<[Started, string]> {
  const started = line.start(['run', ...args, node, programPath('server'), where]);
  const [port] = await started.prints(/\d+(?=\n)/);
  return [started, port];
}

test('run ends with the exit code of its command', limit, async (t) => {
  const line = new CommandLine(t);
  assert.equal((await line.run(['run', 'sh', '-c', 'exit 7'])).code, 7);
  assert.equal((await line.run(['run', 'true'])).code, 0);
});

test('run ends by the signal that ended its command', limit, async (t) => {
  const line = new CommandLine(t);
  for (const signal of ['TERM', 'KILL', 'INT']) {
    assert.equal((await line.run(['run', 'sh', '-c', `kill -${signal} $$`])).signal, `SIG${signal}`);
  }
});

test('run says what it cannot start, with the exit codes of shells', limit, async (t) => {
  const line = new CommandLine(t);
  const missing = await line.run(['run', 'no-such-command']);
  assert.deepEqual([missing.code, missing.stderr], [127, 'sockets-direct: no-such-command: command not found\n']);
  const script = join(line.directory, 'script');
  writeFileSync(script, 'true\n');
  chmodSync(script, 0o644);
  const denied = await line.run(['run', script]);
  assert.deepEqual([denied.code, denied.stderr], [126, `sockets-direct: ${script}: permission denied\n`]);
});

test('run leaves the arguments of its command alone, with or without --', limit, async (t) => {
  const line = new CommandLine(t);
  const show = ['-e', 'console.log(JSON.stringify(process.argv.slice(1)))', 'a', '--summary', '--', '-h', '$x', ''];
  const expected = `${JSON.stringify(show.slice(2))}\n`;
  assert.equal((await line.run(['run', node, ...show])).stdout, expected);
  assert.equal((await line.run(['run', '--', node, ...show])).stdout, expected);
});

test('run without a command, and what is no command of ours, are errors with help', limit, async (t) => {
  const line = new CommandLine(t);
  for (const args of [['run'], ['run', '--no-such-option', 'true'], ['walk']]) {
    const { code, stdout, stderr } = await line.run(args);
    assert.deepEqual([code, stdout], [1, ''], args.join(' '));
    assert.match(stderr, /^error: /);
  }
  assert.match((await line.run(['run', '--help'])).stdout, /--summary/);
  assert.match((await line.run(['--version'])).stdout, /^\d+\.\d+\.\d+\n$/);
});

test('run works from a directory with any name', limit, async (t) => {
  const line = new CommandLine(t);
  const copy = join(line.directory, `a "b" c ä`);
  cpSync(dist, join(copy, 'dist'), { recursive: true });
  cpSync(join(dist, '../package.json'), join(copy, 'package.json'));
  symlinkSync(fileURLToPath(new URL('../../../node_modules', import.meta.url)), join(copy, 'node_modules'));
  const [, port] = await server(line);
  const command = [
    join(copy, 'dist/cli/main.js'),
    'run',
    '--require',
    'shared-memory',
    node,
    programPath('client'),
    port,
  ];
  const { stdout, stderr } = await line.spawn(node, command).ended();
  assert.deepEqual([stdout, stderr], ['hello 0\n', '']);
});

test('run keeps the NODE_OPTIONS that there are, and adds its own only once', limit, async (t) => {
  const line = new CommandLine(t);
  const folder = join(line.directory, 'mit Leerzeichen und ä');
  mkdirSync(folder);
  writeFileSync(join(folder, 'other.cjs'), "globalThis.other = 'loaded';\n");
  const existing = `--stack-trace-limit=17 --require "${join(folder, 'other.cjs')}"`;
  const show = ['-p', 'JSON.stringify([Error.stackTraceLimit, globalThis.other, process.env.NODE_OPTIONS])'];
  const nested = [node, commandPath, 'run', node, ...show];
  const { stdout, stderr } = await line.run(['run', ...nested], { NODE_OPTIONS: existing });
  assert.equal(stderr, '');
  const [traceLimit, other, ours] = JSON.parse(stdout) as [number, string, string];
  assert.deepEqual([traceLimit, other], [17, 'loaded']);
  assert.ok(ours.endsWith(` ${existing}`), ours);
  assert.equal(ours.split('register/index.js').length, 2, 'once');
});

for (const where of ['here', 'child', 'worker']) {
  test(`run carries sockets of a program over shared memory: ${where}`, limit, async (t) => {
    const line = new CommandLine(t);
    const [, port] = await server(line, [], where);
    const { stdout } = await line.run([
      'run',
      '--require',
      'shared-memory',
      'sh',
      '-c',
      `"$0" "$1" ${port}`,
      node,
      programPath('client'),
    ]);
    assert.equal(stdout, 'hello 0\n');
  });
}

test('run --require makes a fallback an error', limit, async (t) => {
  const line = new CommandLine(t);
  const plain = line.spawn(node, [programPath('server')]);
  const [port] = await plain.prints(/\d+(?=\n)/);
  assert.equal((await line.run(['run', node, programPath('client'), port])).stdout, 'hello 0\n');
  const required = ['run', '--require', 'shared-memory', node, programPath('client'), port];
  assert.equal((await line.run(required)).stdout, 'ENETUNREACH\n');
});

test('run --summary counts what the processes of the run have made and accepted', limit, async (t) => {
  const line = new CommandLine(t);
  const [accelerated, port] = await server(line, ['--summary']);
  const plain = line.spawn(node, [programPath('server')]);
  const [plainPort] = await plain.prints(/\d+(?=\n)/);
  const client = `"$0" "$1" ${port} 3; "$0" "$1" ${plainPort} 2`;
  const both = await line.run(['run', '--summary', 'sh', '-c', client, node, programPath('client')]);
  assert.equal(
    both.stderr,
    'sockets-direct: 3 of 5 connections accelerated; 2: no process with Sockets Direct listens at the destination\n',
  );
  await line.spawn(node, [programPath('client'), port]).ended();
  // Servers end by a signal, and have no last word.
  accelerated.child.kill('SIGTERM');
  const { signal, stderr } = await accelerated.ended();
  assert.equal(signal, 'SIGTERM');
  assert.equal(stderr, 'sockets-direct: accepted: 3 of 4 connections accelerated; 1: the peer connected by TCP/IP\n');
});

test('run --summary says so if there was no connection, and if nothing was hooked', limit, async (t) => {
  const line = new CommandLine(t);
  assert.equal((await line.run(['run', '--summary', 'true'])).stderr, 'sockets-direct: no connections\n');
  const plain = line.spawn(node, [programPath('server')]);
  const [port] = await plain.prints(/\d+(?=\n)/);
  const off = ['run', '--summary', node, programPath('client'), port];
  assert.equal(
    (await line.run(off, { SOCKETS_DIRECT: 'off' })).stderr,
    'sockets-direct: 0 of 1 connections accelerated; 1: SOCKETS_DIRECT=off\n',
  );
});

test('run passes on signals that are sent to it', limit, async (t) => {
  const line = new CommandLine(t);
  const started = line.start(['run', node, programPath('signals')]);
  await started.prints(/ready/);
  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT'] as const) {
    started.child.kill(signal);
    await started.prints(new RegExp(signal));
  }
  started.child.kill('SIGUSR2');
  const { code, stdout } = await started.ended();
  assert.equal(code, 3);
  assert.match(stdout, /\{"SIGINT":1,"SIGTERM":1,"SIGHUP":1\}/);
});

test('a Ctrl-C at the terminal reaches the command once', limit, async (t) => {
  if (!hasScript(t)) return;
  const line = new CommandLine(t);
  const inTerminal = `exec "${node}" "${commandPath}" run "${node}" "${programPath('signals')}"`;
  const started = line.spawn('script', ['-qec', inTerminal, '/dev/null']);
  const [, parent] = await started.prints(/ready (\d+)/);
  started.child.stdin!.write('\x03');
  await started.prints(/SIGINT/);
  // Passed on in any case, and after whatever was passed on before.
  process.kill(Number(parent), 'SIGUSR2');
  assert.match((await started.ended()).stdout, /"SIGINT":1,/);
});

/** util-linux has it: a terminal for a command. */
function hasScript(t: TestContext): boolean {
  if (spawnSync('script', ['--version']).status === 0) return true;
  t.skip('needs the command script, which makes a terminal');
  return false;
}
