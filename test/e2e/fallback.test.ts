/** Whatever is missing or different: TCP/IP carries the connection, the reason tells why, and nothing is left behind. */

import assert from 'node:assert/strict';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { dist, modules } from '../support/preload.js';
import { needsRoot, type Program, Stage, type StartOptions } from '../support/stage.js';

interface Outcome {
  /** What the server says of its listening, and of the connection. */
  listening: string | null;
  accepted: string | null;
  provider: string | null;
  reason: string | null;
}

const limit = { timeout: 30_000 };

async function listening(server: Program): Promise<{ port: number; reason: string | null }> {
  return await server.next('listening');
}

async function connect(stage: Stage, port: number, options: StartOptions): Promise<Record<string, unknown>> {
  const client = stage.start('echo-client', [JSON.stringify({ port, host: '127.0.0.1' })], {
    require: false,
    ...options,
  });
  const echo = await client.next<Record<string, unknown>>('echo');
  assert.ok(echo.same, 'the bytes went through');
  assert.equal((await client.ended()).code, 0);
  return echo;
}

/** One connection between two programs; both end by themselves. */
async function run(stage: Stage, server: StartOptions, client: StartOptions): Promise<Outcome> {
  const program = stage.start('echo-server', [], { require: false, ...server });
  const { port, reason: listeningReason } = await listening(program);
  const echo = await connect(stage, port, client);
  const { provider: accepted } = await program.next<{ provider: string | null }>('connection');
  program.tell({ kind: 'close' });
  assert.equal((await program.ended()).code, 0);
  assert.deepEqual(stage.leftovers(), []);
  return { listening: listeningReason, accepted, provider: echo.provider as string, reason: echo.reason as string };
}

/** The rejection that a client gets where a SAN is required. */
async function failure(stage: Stage, port: number, options: StartOptions): Promise<unknown[]> {
  const client = stage.start('echo-client', [JSON.stringify({ port, host: '127.0.0.1' })], options);
  const { code, reason } = await client.next<{ code: string; reason: string }>('failed');
  assert.equal((await client.ended()).code, 0);
  return [code, reason];
}

/** A copy of the package, with or without what it depends on. */
function copyOfPackage(stage: Stage, name: string, dependencies: boolean, from = dist): string {
  const root = join(stage.directory, name);
  mkdirSync(root);
  writeFileSync(join(root, 'package.json'), '{"type":"module"}');
  cpSync(from, join(root, 'dist'), { recursive: true });
  if (dependencies) symlinkSync(realpathSync(join(dist, '../node_modules')), join(root, 'node_modules'));
  return join(root, 'dist');
}

test('as a check of these tests: nothing is missing', limit, async (t) => {
  assert.deepEqual(await run(new Stage(t), {}, {}), {
    listening: 'accelerated',
    accepted: 'shared-memory',
    provider: 'shared-memory',
    reason: 'accelerated',
  });
});

test('koffi is not installed', limit, async (t) => {
  const stage = new Stage(t);
  const preload = copyOfPackage(stage, 'without-koffi', false);
  const nothing = { listening: 'ffi-unavailable', accepted: 'tcpip', provider: 'tcpip', reason: 'ffi-unavailable' };
  assert.deepEqual(await run(stage, { preload }, { preload }), nothing);
  assert.deepEqual(await run(stage, {}, { preload }), { ...nothing, listening: 'accelerated' });
  assert.deepEqual(await run(stage, { preload }, {}), { ...nothing, reason: 'no-listener' });
  assert.deepEqual(await failure(stage, 1, { preload }), ['ENETUNREACH', 'ffi-unavailable']);
});

test('SOCKETS_DIRECT=off on either side', limit, async (t) => {
  const stage = new Stage(t);
  const off = { env: { SOCKETS_DIRECT: 'off' } };
  assert.deepEqual(await run(stage, off, {}), {
    listening: 'off-by-environment',
    accepted: 'tcpip',
    provider: 'tcpip',
    reason: 'no-listener',
  });
  assert.deepEqual(await run(stage, {}, off), {
    listening: 'accelerated',
    accepted: 'tcpip',
    provider: 'tcpip',
    reason: 'off-by-environment',
  });
});

test('a peer without Sockets Direct, on either side', limit, async (t) => {
  const stage = new Stage(t);
  assert.deepEqual(await run(stage, { preload: null }, {}), {
    listening: null,
    accepted: null,
    provider: 'tcpip',
    reason: 'no-listener',
  });
  assert.deepEqual(await run(stage, {}, { preload: null }), {
    listening: 'accelerated',
    accepted: 'tcpip',
    provider: null,
    reason: null,
  });
});

test('rendezvous directories that cannot be used', limit, async (t) => {
  const stage = new Stage(t);
  const open = join(stage.directory, 'open');
  mkdirSync(open);
  chmodSync(open, 0o777);
  const link = join(stage.directory, 'link');
  symlinkSync(stage.directory, link);
  for (const [directory, reason] of [
    [open, 'rendezvous-unsafe'],
    [link, 'rendezvous-unsafe'],
    [join(stage.directory, 'absent/rendezvous'), 'rendezvous-absent'],
    ['/proc/sockets-direct', 'rendezvous-unavailable'],
    ['relative', 'rendezvous-unavailable'],
  ]) {
    const there = { env: { SOCKETS_DIRECT_DIR: directory } };
    assert.deepEqual(
      await run(stage, there, there),
      { listening: reason, accepted: 'tcpip', provider: 'tcpip', reason },
      directory,
    );
  }
});

test('a peer of another protocol version', limit, async (t) => {
  const stage = new Stage(t);
  const preload = copyOfPackage(stage, 'other-version', true, modules);
  const path = join(preload, 'providers/shared-memory/endpoint.js');
  const source = readFileSync(path, 'utf8');
  const patched = source.replace('options.protocolVersion ?? 1', 'options.protocolVersion ?? 2');
  assert.notEqual(patched, source);
  writeFileSync(path, patched);
  const other = { listening: 'accelerated', accepted: 'tcpip', provider: 'tcpip', reason: 'peer-version' };
  assert.deepEqual(await run(stage, { preload }, {}), other);
  assert.deepEqual(await run(stage, {}, { preload }), other);
});

/** A user that is nobody, and not the one that stands for unmapped users. */
const otherUser = 54_321;

test('another user', limit, async (t) => {
  if (!needsRoot(t)) return;
  const stage = new Stage(t);
  stage.open();
  const program = fileURLToPath(new URL('programs/echo-client.js', import.meta.url));
  if (![program, dist, process.execPath].every(readableByAll)) {
    t.skip('another user cannot read Node.js, the program or the package where they are');
    return;
  }
  const own = join(stage.directory, 'own');
  mkdirSync(own);
  chmodSync(own, 0o777);
  const outcome = { listening: 'accelerated', accepted: 'tcpip', provider: 'tcpip' };
  // The directory of somebody else is not used, and in one's own there is nobody.
  assert.deepEqual(await run(stage, {}, { uid: otherUser }), { ...outcome, reason: 'rendezvous-unsafe' });
  const there = { uid: otherUser, env: { SOCKETS_DIRECT_DIR: join(own, 'rendezvous') } };
  assert.deepEqual(await run(stage, {}, there), { ...outcome, reason: 'no-listener' });
});

function readableByAll(path: string): boolean {
  const parts = realpathSync(path).split('/');
  return parts.every((_, i) => (statSync(parts.slice(0, i + 1).join('/') || '/').mode & 0o5) !== 0);
}

test('another network namespace', limit, async (t) => {
  if (!needsRoot(t)) return;
  const stage = new Stage(t);
  const wrapper = ['unshare', '--net'];
  const inside = stage.start('echo-server', [JSON.stringify({ port: 0, host: '0.0.0.0' })], {
    require: false,
    wrapper,
  });
  const { port, reason } = await listening(inside);
  assert.equal(reason, 'accelerated');
  const args = [JSON.stringify({ port, host: '127.0.0.1' })];
  const failed = stage.start('echo-client', args, { require: false });
  const error = await failed.next<{ code: string; reason: string }>('failed');
  assert.deepEqual([error.code, error.reason], ['ECONNREFUSED', 'no-listener']);
  // The same address in this namespace is somebody else.
  const outside = stage.start('echo-server', [JSON.stringify({ port, host: '127.0.0.1' })]);
  await listening(outside);
  const echo = await connect(stage, port, {});
  assert.equal(echo.provider, 'shared-memory');
  await outside.next('connection');
  await assert.rejects(inside.next('connection', 100));
});
