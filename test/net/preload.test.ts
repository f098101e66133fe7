/** Ways into a program, and runtimes that withhold something. Each runs in a process of its own. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const execute = promisify(execFile);
const build = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const url = (path: string): string => JSON.stringify(new URL(`../../${path}`, import.meta.url));
const fake = build('test/support/register-fake.js');

/** Connects once and prints what carries it. */
const program = `
const { connectionInfo } = await import(${url('src/net/index.js')});
const net = await import('node:net');
const server = net.createServer((socket) => socket.end('x')).listen(0, '127.0.0.1', () => {
  const client = net.connect(server.address().port, '127.0.0.1', () => {
    console.log(JSON.stringify(connectionInfo(client)));
  });
  client.resume().on('close', () => server.close());
});
`;

async function run(flags: string[], code = program, env: NodeJS.ProcessEnv = {}): Promise<string> {
  const args = [...flags, '--input-type=module', '--eval', code];
  const { stdout, stderr } = await execute(process.execPath, args, {
    timeout: 20_000,
    env: { ...process.env, NODE_DEBUG: '', ...env },
  });
  assert.equal(stderr, '');
  return stdout.trim();
}

const carried = '{"provider":"fake","reason":"accelerated"}';

test('--import', async () => {
  assert.equal(await run(['--import', fake]), carried);
});

test('--require', async () => {
  assert.equal(await run(['--require', fake]), carried);
});

test('twice', async () => {
  assert.equal(await run(['--require', fake, '--import', fake]), carried);
});

test('in a worker', async () => {
  const code = `
import { Worker } from 'node:worker_threads';
new Worker(new URL('data:text/javascript,' + encodeURIComponent(${JSON.stringify(program)})));
`;
  assert.equal(await run(['--import', fake], code), carried);
});

test('where private bindings would warn', async () => {
  assert.equal(await run(['--pending-deprecation', '--import', fake]), carried);
});

test('SOCKETS_DIRECT=off', async () => {
  const off = await run(['--import', build('src/register/index.js')], program, { SOCKETS_DIRECT: 'off' });
  assert.equal(off, '{"provider":"tcpip","reason":"off-by-environment"}');
});

test('without a private member that is needed', async () => {
  const code = `delete process._tickCallback; await import(${url('test/support/register-fake.js')});${program}`;
  assert.equal(await run([], code), '{"provider":"tcpip","reason":"internals-unavailable"}');
});

test('on a version that nobody has tested', async () => {
  const code = `
Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '21.0.0' } });
await import(${url('test/support/register-fake.js')});${program}`;
  assert.equal(await run([], code), '{"provider":"tcpip","reason":"runtime-untested"}');
});

test('the permission model', async (t) => {
  const flag = Number.parseInt(process.versions.node, 10) >= 24 ? '--permission' : '--experimental-permission';
  const flags = [flag, '--allow-fs-read=*', '--no-warnings', '--import', fake];
  if (process.allowedNodeEnvironmentFlags.has('--allow-net')) flags.unshift('--allow-net');
  if (!process.allowedNodeEnvironmentFlags.has(flag)) t.skip('not known here');
  else assert.equal(await run(flags), carried);
});

test('a switch that cannot be made leaves everything on TCP/IP', async () => {
  const code = `
const { installNet } = await import(${url('src/net/index.js')});
installNet({ getSwitch() { throw new Error('broken'); } });${program}`;
  assert.equal(await run([], code), '{"provider":"tcpip","reason":"no-provider"}');
});
