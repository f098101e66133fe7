/** A provider of the user's, in real processes: from the catalog file, installed by the program, and removed. */

import assert from 'node:assert/strict';
import { chmodSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { ProviderStatus, Status } from '../../src/diagnostics/status.js';
import { type Program, Stage, type StartOptions, until } from '../support/stage.js';
import { labAddress, labId } from './programs/lab-provider.js';

const limit = { timeout: 60_000 };
const module = new URL('./programs/lab-provider.js', import.meta.url);
const entry = `${labId} ${fileURLToPath(module)} # the lab\n`;

interface Carrier {
  provider: string;
  reason: string;
}

async function start(stage: Stage, options: StartOptions = {}): Promise<Program> {
  const program = stage.start('guest', [], options);
  await program.next('ready');
  return program;
}

async function listen(program: Program, options: object): Promise<{ port: number; reason: string }> {
  program.tell({ kind: 'listen', options });
  return program.next('listening');
}

async function connect(program: Program, host: string, port: number): Promise<Carrier> {
  program.tell({ kind: 'connect', options: { host, port } });
  return program.next('connected');
}

async function statusOf(program: Program): Promise<Status> {
  program.tell({ kind: 'status' });
  return (await program.next<{ status: Status }>('status')).status;
}

async function providersOf(program: Program): Promise<Record<string, ProviderStatus['state']>> {
  return Object.fromEntries((await statusOf(program)).providers.map(({ name, state }) => [name, state]));
}

async function echo(program: Program, socket: number, text: string): Promise<void> {
  program.tell({ kind: 'say', socket, text });
  assert.equal((await program.next<{ text: string }>('echo')).text, text);
}

test(
  'a provider comes with the catalog file while programs run, carries connections, and goes with it',
  limit,
  async (t) => {
    const stage = new Stage(t);
    const file = join(stage.directory, 'providers');
    const change = (text: string): void => {
      // As editors and installers do: nobody sees half of it.
      writeFileSync(`${file}.new`, text, { mode: 0o600 });
      renameSync(`${file}.new`, file);
    };
    change('# nobody yet\n');
    const options = { env: { SOCKETS_DIRECT_PROVIDERS: file } };
    const [server, client] = await Promise.all([start(stage, options), start(stage, options)]);
    const { port } = await listen(server, { port: 0, host: '0.0.0.0' });
    assert.equal((await connect(client, labAddress, port)).provider, 'shared-memory');
    assert.equal((await server.next<Carrier>('accepted')).provider, 'shared-memory');

    change(entry);
    const all = async (state: string | undefined): Promise<boolean> =>
      (await providersOf(server)).lab === state && (await providersOf(client)).lab === state;
    await until(() => all('started'), 'the provider is started in both');
    assert.equal((await connect(client, labAddress, port)).provider, 'lab');
    assert.equal((await server.next<Carrier>('accepted')).provider, 'lab');
    await echo(client, 1, 'over the lab');
    await echo(client, 0, 'as before');

    change('');
    await until(() => all('removed'), 'the provider is removed in both');
    assert.equal((await connect(client, labAddress, port)).provider, 'shared-memory');
    assert.equal((await server.next<Carrier>('accepted')).provider, 'shared-memory');
    await echo(client, 1, 'still over the lab');
    client.tell({ kind: 'end', socket: 1 });
    await until(() => all(undefined), 'and nothing of it is left');
  },
);

test('a program installs a provider, listens with it where it listens already, and removes it', limit, async (t) => {
  const stage = new Stage(t);
  const [server, client] = await Promise.all([start(stage), start(stage)]);
  const wildcard = await listen(server, { port: 0, host: '0.0.0.0' });
  for (const program of [server, client]) {
    program.tell({ kind: 'install', module: module.href });
    await program.next('installed');
  }
  assert.equal((await providersOf(server)).lab, 'started', 'at once, because the switch is in use');
  assert.equal((await providersOf(client)).lab, 'installed');
  assert.equal((await connect(client, labAddress, wildcard.port)).provider, 'lab');
  await echo(client, 0, 'hello');
  assert.equal((await connect(client, '127.0.0.1', wildcard.port)).provider, 'shared-memory');
  server.tell({ kind: 'remove', providerId: labId });
  assert.deepEqual(await server.next('removed'), { kind: 'removed', removed: true });
  client.tell({ kind: 'connect', options: { host: labAddress, port: wildcard.port } });
  // The client's own lab network has nobody, and falling back is an error here.
  assert.equal((await client.next<{ code: string }>('failed')).code, 'ENETUNREACH');
  await echo(client, 0, 'still there');
});

test('what is wrong with a catalog or a module is said once, and everything else works', limit, async (t) => {
  const stage = new Stage(t);
  const file = join(stage.directory, 'providers');
  const write = (name: string, text: string, mode = 0o644): void => {
    writeFileSync(join(stage.directory, name), text, { mode });
    chmodSync(join(stage.directory, name), mode);
  };
  const id = (n: number): string => `00000000-0000-0000-0000-00000000000${n}`;
  write('throws.mjs', 'throw new Error("on purpose");');
  write('nothing.mjs', 'export default { name: "nothing" };');
  write('open.mjs', 'export default 1;', 0o666);
  write(
    'fails.mjs',
    `export { default } from ${JSON.stringify(new URL('./programs/fails-to-start.js', import.meta.url).href)};`,
  );
  const lines = ['throws.mjs', 'nothing.mjs', 'open.mjs', 'absent.mjs', 'fails.mjs', fileURLToPath(module)];
  write('providers', lines.map((name, i) => `${id(i)} ${name.startsWith('/') ? name : `./${name}`}`).join('\n'));
  const options = { env: { SOCKETS_DIRECT_PROVIDERS: file } };
  const program = await start(stage, options);
  const { port } = await listen(program, { port: 0, host: '127.0.0.1' });
  assert.equal((await connect(program, '127.0.0.1', port)).provider, 'shared-memory');
  const { providers } = await statusOf(program);
  const reasons = providers.map(({ name, state, reason }) => [name, state, reason]);
  assert.deepEqual(reasons, [
    ['shared-memory', 'started', null],
    ['fails', 'left-out', 'provider-failed'],
    // Its GUID is another one than that of its line.
    ['lab', 'left-out', 'provider-invalid'],
    ['./throws.mjs', 'left-out', 'provider-invalid'],
    ['./nothing.mjs', 'left-out', 'provider-invalid'],
    ['./open.mjs', 'left-out', 'provider-untrusted'],
    ['./absent.mjs', 'left-out', 'provider-invalid'],
  ]);
  const complaints = program.output.split('\n').filter((line) => line.startsWith('sockets-direct: '));
  assert.equal(complaints.length, 6, program.output);
  assert.match(program.output, /throws\.mjs cannot be loaded: Error: on purpose/);
  assert.match(program.output, /the provider fails is left out: WSPStartupEx: WSAEPROVIDERFAILEDINIT/);
});

test('a catalog that others may write is not used', limit, async (t) => {
  const stage = new Stage(t);
  const file = join(stage.directory, 'providers');
  writeFileSync(file, entry);
  chmodSync(file, 0o666);
  const program = await start(stage, { env: { SOCKETS_DIRECT_PROVIDERS: file } });
  const { port } = await listen(program, { port: 0, host: '127.0.0.1' });
  assert.equal((await connect(program, '127.0.0.1', port)).provider, 'shared-memory');
  const { providers } = await statusOf(program);
  assert.deepEqual(
    providers.map(({ name, reason }) => [name, reason]),
    [
      ['shared-memory', null],
      [file, 'provider-untrusted'],
    ],
  );
  assert.match(program.output, /providers belongs to somebody else, or others may write it/);
});
