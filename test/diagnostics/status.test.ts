/** The status socket of an event loop, and `status()`: right, and in nobody's way. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Status } from '../../src/diagnostics/status.js';
import { parseStatus } from '../../src/status/validate.js';
import { connectTo, find, findWhen, run, start, startListening, threadOf } from '../cli/status-support.js';
import { dist } from '../support/preload.js';
import { type Program, Stage, until } from '../support/stage.js';

const limit = { timeout: 60_000 };

async function statusOf(program: Program): Promise<Status> {
  program.tell({ kind: 'status' });
  return (await program.next<{ status: Status }>('status')).status;
}

/** A program that listens, once its status socket is there. */
async function withSocket(t: TestContext): Promise<{ stage: Stage; program: Program; port: number; path: string }> {
  const stage = new Stage(t);
  const { program, port } = await startListening(stage);
  await until(() => stage.statusSockets().length === 1, 'a status socket');
  return { stage, program, port, path: join(stage.rendezvous, 'status', stage.statusSockets()[0]!) };
}

test('[shared-memory] status() is the document that others get', limit, async (t) => {
  const { stage, program: server, port } = await withSocket(t);
  const client = await start(stage);
  await connectTo(client, port);
  const seen = threadOf(
    await findWhen(stage, server, ({ threads }) => threads[0]?.connections[0]?.bytesRead === 5, 'read'),
  );
  const told = await statusOf(server);
  assert.deepEqual(parseStatus(JSON.stringify(told)), told, 'nothing that a reader would refuse');
  const still = ({ listeners, connections, counters, pid, program, unavailable }: Status): object => ({
    listeners,
    connections: connections.map((one) => ({ ...one, age: 0 })),
    counters,
    pid,
    program,
    unavailable,
  });
  assert.deepEqual(still(told), still(seen));
  assert.ok(told.age >= seen.age);
});

test('status() before any socket, and where everything is off', limit, async (t) => {
  const stage = new Stage(t);
  const program = await start(stage);
  const { listeners, connections, polling, unavailable, counters } = await statusOf(program);
  assert.deepEqual(
    { listeners, connections, polling, unavailable, counters },
    {
      listeners: [],
      connections: [],
      polling: null,
      unavailable: null,
      counters: {},
    },
  );
  const off = await start(stage, { env: { SOCKETS_DIRECT: 'off' } });
  assert.deepEqual((await statusOf(off)).connections, []);
  off.tell({ kind: 'listen', options: { port: 0 } });
  await off.next('listening');
  assert.deepEqual((await statusOf(off)).listeners, []);
  assert.deepEqual(stage.statusSockets(), []);
});

test('a program without sockets makes no status socket, and neither does one that ends at once', limit, async (t) => {
  const stage = new Stage(t);
  const idle = await start(stage);
  const { port } = await startListening(stage);
  await until(() => stage.statusSockets().length === 1, 'that of the server');
  const brief = stage.start('echo-client', [JSON.stringify({ port: 1, host: '127.0.0.1' })], { require: false });
  assert.equal((await brief.ended()).code, 0);
  assert.ok(port > 0);
  assert.equal(stage.statusSockets().length, 1);
  idle.tell({ kind: 'leave' });
  assert.equal((await idle.ended()).code, 0);
});

test('the socket is no handle that the program sees, and does not keep it alive', limit, async (t) => {
  const { stage, program, path } = await withSocket(t);
  // There is a moment in which the socket has its name and does not listen yet.
  await findWhen(stage, program, ({ state }) => state === 'running', 'answers');
  // Somebody who asks and does not read.
  const reader = net.connect(path).on('error', () => {});
  t.after(() => reader.destroy());
  await once(reader, 'connect');
  assert.equal((await find(stage, program))?.state, 'running');
  program.tell({ kind: 'handles' });
  const { handles, resources } = await program.next<{ handles: string[]; resources: string[] }>('handles');
  assert.deepEqual(
    handles.filter((name) => name === 'Server'),
    ['Server'],
    'its own one',
  );
  assert.deepEqual(
    resources.filter((name) => name.startsWith('Pipe')).length,
    resources.filter((name) => name === 'PipeWrap').length,
    'no PipeServerWrap',
  );
  program.tell({ kind: 'leave' });
  assert.equal((await program.ended()).code, 0);
  assert.deepEqual(stage.statusSockets(), []);
});

for (const how of ['leave', 'exit'] as const) {
  test(`no socket file is left by a program that ends, with its worker: ${how}`, limit, async (t) => {
    const { stage, program } = await withSocket(t);
    program.tell({ kind: 'worker' });
    await program.next('worker');
    await until(() => stage.statusSockets().length === 2, 'both sockets');
    program.tell({ kind: how === 'leave' ? 'terminate' : 'exit' });
    if (how === 'leave') {
      await program.next('terminated');
      program.tell({ kind: 'leave' });
    }
    assert.equal((await program.ended()).code, 0);
    assert.deepEqual(stage.statusSockets(), []);
  });
}

test('whoever opens a socket takes away those of the dead', limit, async (t) => {
  const { stage, program } = await withSocket(t);
  const [name] = stage.statusSockets();
  program.kill();
  await program.ended();
  await startListening(stage);
  await until(() => !stage.statusSockets().includes(name!), 'the socket of the dead one is gone');
  assert.equal(stage.statusSockets().length, 1);
});

test('one that asks and goes at once, many times over, harms nobody', limit, async (t) => {
  const { stage, program, path } = await withSocket(t);
  const ask = (): Promise<void> =>
    new Promise((resolve) => {
      const socket = net.connect(path);
      socket.on('error', () => {});
      socket.on('connect', () => socket.destroy());
      socket.on('close', () => resolve());
    });
  for (let i = 0; i < 20; i++) await Promise.all(Array.from({ length: 20 }, ask));
  await findWhen(stage, program, ({ state }) => state === 'running', 'still answers');
});

test('without koffi, status works and tells so', limit, async (t) => {
  const stage = new Stage(t);
  const root = join(stage.directory, 'without-koffi');
  mkdirSync(root);
  writeFileSync(join(root, 'package.json'), '{"type":"module"}');
  cpSync(dist, join(root, 'dist'), { recursive: true });
  const { program, port } = await startListening(stage, { preload: join(root, 'dist'), require: false });
  const found = await findWhen(stage, program, ({ threads }) => threads.length === 1, 'an answer');
  const { unavailable, listeners, polling, counters } = threadOf(found);
  assert.deepEqual(
    { unavailable, polling, counters },
    {
      unavailable: 'ffi-unavailable',
      polling: null,
      counters: { 'ffi-unavailable': 1 },
    },
  );
  assert.deepEqual(listeners, [{ address: { address: '127.0.0.1', port }, reason: 'ffi-unavailable', connections: 0 }]);
  assert.match((await run(stage, [])).stdout, /^ +no SAN: the optional package koffi is not installed/m);
});

test('a cluster: primary and workers answer, and end as always', limit, async (t) => {
  const stage = new Stage(t);
  const primary = stage.start(new URL('./programs/cluster.js', import.meta.url), [], { require: false });
  const { workers } = await primary.next<{ workers: number[] }>('workers');
  for (const pid of workers) {
    await until(() => stage.statusSockets().some((name) => name.includes(`-${pid}-`)), `a socket of worker ${pid}`);
  }
  primary.tell({ kind: 'disconnect' });
  assert.equal((await primary.ended()).code, 0);
  assert.deepEqual(stage.statusSockets(), []);
});
