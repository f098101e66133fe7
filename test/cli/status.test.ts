/** `sockets-direct status` sees what real processes do. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import type { SystemStatus } from '../../src/status/reader.js';
import { Stage, until } from '../support/stage.js';
import {
  command,
  connectTo,
  find,
  findWhen,
  gist,
  look,
  run,
  start,
  startListening,
  threadOf,
} from './status-support.js';

const limit = { timeout: 60_000 };

test('nobody runs: that is no error', limit, async (t) => {
  const stage = new Stage(t);
  assert.deepEqual(await look(stage), { version: 1, processes: [], problems: [] });
  assert.deepEqual(await run(stage, []), {
    code: 0,
    stdout: 'No process of this user runs Sockets Direct, or none has used a socket yet.\n',
    stderr: '',
  });
});

test('[shared-memory] listeners and connections at both ends', limit, async (t) => {
  const stage = new Stage(t);
  const { program: server, port } = await startListening(stage);
  const client = await start(stage);
  await connectTo(client, port);

  const accepted = await findWhen(stage, server, ({ threads }) => threads[0]?.connections[0]?.bytesRead === 5, 'read');
  const { listeners, connections, connectionsTotal, peers, polling, counters, ...rest } = threadOf(accepted);
  assert.equal(accepted.state, 'running');
  assert.deepEqual(listeners, [{ address: { address: '127.0.0.1', port }, reason: 'accelerated', connections: 1 }]);
  assert.deepEqual(connections.map(gist), [['shared-memory', 'accelerated', 'accept', client.pid, 5, 0]]);
  assert.equal(connectionsTotal, 1);
  assert.deepEqual(peers, [{ pid: client.pid, connections: 1, memory: 'not-tried' }]);
  assert.ok(polling !== null && polling.time > 0 && polling.fruitless >= 0 && polling.fruitless <= polling.time);
  assert.deepEqual(counters, { accelerated: 1 });
  assert.deepEqual([rest.pid, rest.threadId, rest.unavailable], [server.pid, 0, null]);
  assert.match(rest.program, /holder\.js$/);
  assert.ok(rest.age > 0);

  const connected = await findWhen(stage, client, ({ threads }) => threads.length === 1, 'client');
  const [one] = threadOf(connected).connections;
  assert.deepEqual(gist(one!), ['shared-memory', 'accelerated', 'connect', server.pid, 0, 5]);
  assert.deepEqual(one!.peerAddress, { address: '127.0.0.1', port });
  assert.deepEqual(one!.localAddress, connections[0]!.peerAddress);
  assert.ok(one!.credits! > 0 && one!.age! >= 0);

  const { stdout } = await run(stage, []);
  assert.match(stdout, new RegExp(`^${server.pid}  .*holder\\.js$`, 'm'));
  assert.match(stdout, new RegExp(`listens at 127\\.0\\.0\\.1:${port}, 1 connection$`, 'm'));
  assert.match(
    stdout,
    new RegExp(`shared-memory +connect +127\\.0\\.0\\.1:\\d+ +127\\.0\\.0\\.1:${port} +${server.pid} `),
  );
});

test(
  '[tcpip] what has fallen back is listed with its reason, also sockets that hold no event loop',
  limit,
  async (t) => {
    const stage = new Stage(t);
    const plain = await startListening(stage, { preload: null });
    const { program: server, port } = await startListening(stage, { require: false });
    const client = await start(stage, { require: false, env: { SOCKETS_DIRECT_DENY: `port=${port}` } });
    await connectTo(client, plain.port, true);
    await connectTo(client, port);

    const found = await findWhen(stage, client, ({ threads }) => threads[0]?.connections.length === 2, 'client');
    assert.deepEqual(threadOf(found).connections.map(gist), [
      ['tcpip', 'no-listener', 'connect', null, 0, 5],
      ['tcpip', 'denied-by-policy', 'connect', null, 0, 5],
    ]);
    assert.deepEqual(threadOf(found).counters, { 'no-listener': 1, 'denied-by-policy': 1 });
    const accepting = await findWhen(
      stage,
      server,
      ({ threads }) => threads[0]?.connections[0]?.bytesRead === 5,
      'read',
    );
    assert.deepEqual(threadOf(accepting).connections.map(gist), [['tcpip', 'accepted-by-tcpip', 'accept', null, 5, 0]]);

    // What is closed is gone.
    client.tell({ kind: 'leave' });
    assert.equal((await client.ended()).code, 0);
    await findWhen(stage, server, ({ threads }) => threads[0]?.connectionsTotal === 0, 'end');
  },
);

test('a listener that has no SAN says why', limit, async (t) => {
  const stage = new Stage(t);
  const { program, port } = await startListening(stage, {
    require: false,
    env: { SOCKETS_DIRECT_DENY: 'role=listen' },
  });
  const found = await findWhen(stage, program, ({ threads }) => threads.length === 1, 'server');
  assert.equal(threadOf(found).listeners[0]?.reason, 'denied-by-policy');
  const { stdout } = await run(stage, []);
  assert.match(
    stdout,
    new RegExp(`listens at 127\\.0\\.0\\.1:${port}, 0 connections, by TCP/IP only: SOCKETS_DIRECT_POLICY or `),
  );
});

test('a stopped process and a busy one hold nobody up', limit, async (t) => {
  const stage = new Stage(t);
  const { program: stopped } = await startListening(stage);
  const { program: busy } = await startListening(stage);
  const { program: well } = await startListening(stage);
  for (const program of [stopped, busy, well]) {
    await findWhen(stage, program, ({ state }) => state === 'running', 'running');
  }
  stopped.kill('SIGSTOP');
  busy.tell({ kind: 'block', milliseconds: 30_000 });
  await busy.next('blocking');
  assert.equal((await findWhen(stage, well, ({ state }) => state === 'running', 'well')).silent.length, 0);
  const { processes } = await look(stage);
  const states = new Map(processes.map(({ pid, state }) => [pid, state]));
  assert.equal(states.get(stopped.pid), 'stopped');
  assert.equal(states.get(busy.pid), 'busy');
  assert.match(processes.find(({ pid }) => pid === stopped.pid)!.program, /holder\.js/);
  const { stdout } = await run(stage, []);
  assert.match(stdout, new RegExp(`^${stopped.pid} .*\\(stopped by a signal or a debugger\\)$`, 'm'));
  stopped.kill('SIGCONT');
  await findWhen(stage, stopped, ({ state }) => state === 'running', 'goes on');
});

test('a killed process is not shown, and its socket is taken away', limit, async (t) => {
  const stage = new Stage(t);
  const { program } = await startListening(stage);
  await findWhen(stage, program, () => true, 'running');
  assert.equal(stage.statusSockets().length, 1);
  program.kill();
  await program.ended();
  assert.equal(stage.statusSockets().length, 1, 'it could not do so itself');
  assert.equal(await find(stage, program), undefined);
  assert.deepEqual(stage.statusSockets(), []);
});

test('[shared-memory] a worker is a thread with connections of its own; a terminated one is gone', limit, async (t) => {
  const stage = new Stage(t);
  const { program } = await startListening(stage);
  program.tell({ kind: 'worker' });
  const { port, threadId } = await program.next<{ port: number; threadId: number }>('worker');
  const client = await start(stage);
  await connectTo(client, port);
  const found = await findWhen(stage, program, ({ threads }) => threads[1]?.connections.length === 1, 'worker');
  assert.deepEqual(
    found.threads.map((thread) => thread.threadId),
    [0, threadId],
  );
  assert.equal(threadOf(found, threadId).listeners[0]?.address.port, port);
  assert.equal(threadOf(found, threadId).connections[0]?.peerPid, client.pid);
  assert.equal(threadOf(found, 0).connections.length, 0);
  assert.match((await run(stage, [])).stdout, new RegExp(`^  worker ${threadId}: Node\\.js v`, 'm'));
  program.tell({ kind: 'terminate' });
  await program.next('terminated');
  const { threads, silent } = (await find(stage, program))!;
  assert.deepEqual([threads.length, silent], [1, []]);
  program.tell({ kind: 'leave' });
  client.tell({ kind: 'exit' });
  for (const one of [program, client]) assert.equal((await one.ended()).code, 0, one.output);
  assert.deepEqual(stage.statusSockets(), []);
});

test('--json --watch is a document a second, and ends when nobody reads', limit, async (t) => {
  const stage = new Stage(t);
  const { program } = await startListening(stage);
  await findWhen(stage, program, () => true, 'running');
  const watching = spawn(process.execPath, [command, 'status', '--json', '--watch'], {
    env: { ...process.env, SOCKETS_DIRECT_DIR: stage.rendezvous },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => watching.kill());
  const lines = createInterface({ input: watching.stdout });
  let last = 0;
  for (let i = 0; i < 2; i++) {
    const [line] = (await once(lines, 'line')) as [string];
    const [one] = (JSON.parse(line) as SystemStatus).processes;
    assert.equal(one?.pid, program.pid);
    assert.ok(one.threads[0]!.age >= last + (i === 0 ? 0 : 900), 'a second later');
    last = one.threads[0]!.age;
  }
  const exited = once(watching, 'exit');
  lines.close();
  watching.stdout.destroy();
  assert.deepEqual(await exited, [0, null]);
});

test('--watch ends with Ctrl-C', limit, async (t) => {
  const stage = new Stage(t);
  const watching = spawn(process.execPath, [command, 'status', '--watch'], {
    env: { ...process.env, SOCKETS_DIRECT_DIR: stage.rendezvous },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => watching.kill());
  let text = '';
  watching.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  await until(() => text.split('No process of this user').length > 2, 'two looks');
  const exited = once(watching, 'exit');
  watching.kill('SIGINT');
  assert.deepEqual(await exited, [null, 'SIGINT']);
});
