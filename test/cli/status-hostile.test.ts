/** What others put where processes are asked: the command bounds it, checks it, and shows it without its control characters. */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { chmodSync, linkSync, mkdirSync, readdirSync, readlinkSync, realpathSync, statSync, utimesSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type ProcessState, readAll } from '../../src/status/reader.js';
import { dist } from '../support/preload.js';
import { needsRoot, Stage } from '../support/stage.js';
import { find, findWhen, look, run, startListening } from './status-support.js';

const limit = { timeout: 60_000 };
const namespace = /\d+/.exec(readlinkSync('/proc/self/ns/pid'))![0];

function makeDirectory(stage: Stage): string {
  const directory = join(stage.rendezvous, 'status');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  return directory;
}

/** A socket of this process that stands where event loops are asked. */
async function plant(t: TestContext, stage: Stage, answer: (socket: net.Socket) => void): Promise<string> {
  const name = `${namespace}-${process.pid}-0-${randomBytes(4).toString('hex')}`;
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket.on('error', () => {}));
    answer(socket);
  });
  server.listen(join(makeDirectory(stage), name));
  await new Promise((resolve) => server.once('listening', resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return name;
}

const good = {
  version: 1,
  pid: process.pid,
  threadId: 0,
  program: 'planted',
  node: 'v20.0.0',
  age: 1,
  unavailable: null,
  listeners: [],
  connections: [],
  connectionsTotal: 0,
  polling: null,
  counters: {},
};
const connection = {
  provider: 'shared-memory',
  reason: 'accelerated',
  role: 'connect',
  state: 'open',
  localAddress: { address: '127.0.0.1', port: 1 },
  peerAddress: { address: '127.0.0.1', port: 2 },
  peerPid: null,
  age: null,
  bytesRead: 0,
  bytesWritten: 0,
  credits: null,
};

async function stateFor(t: TestContext, answer: (socket: net.Socket) => void): Promise<ProcessState | undefined> {
  const stage = new Stage(t);
  await plant(t, stage, answer);
  // The command's own reader, here without the command, which would take most of the time.
  const { processes } = await readAll({ environment: { SOCKETS_DIRECT_DIR: stage.rendezvous }, timeout: 2000 });
  assert.equal(processes.length, 1);
  assert.equal(processes[0]?.pid, process.pid);
  return processes[0].state;
}

test('as a check of these tests: a planted answer that is right is shown', limit, async (t) => {
  const document = { ...good, connections: [connection], connectionsTotal: 1 };
  assert.equal(await stateFor(t, (socket) => socket.end(JSON.stringify(document))), 'running');
});

for (const [title, text] of [
  ['nothing', ''],
  ['no JSON', '{"version":1'],
  ['an array', '[]'],
  ['null', 'null'],
  ['another version', JSON.stringify({ ...good, version: 2 })],
  ['another process', JSON.stringify({ ...good, pid: 1 })],
  ['another thread', JSON.stringify({ ...good, threadId: 7 })],
  ['a negative age', JSON.stringify({ ...good, age: -1 })],
  ['an age that is no number', JSON.stringify({ ...good, age: '1' })],
  ['no list of connections', JSON.stringify({ ...good, connections: { length: 1e9 } })],
  ['a connection that is none', JSON.stringify({ ...good, connections: [null] })],
  ['a role that is none', JSON.stringify({ ...good, connections: [{ ...connection, role: 'both' }] })],
  ['a reason that is none', JSON.stringify({ ...good, unavailable: 'a b' })],
  ['a counter that is none', JSON.stringify({ ...good, counters: { refused: 'many' } })],
  ['depth', '['.repeat(100_000)],
] as const) {
  test(`an answer of ${title} is unreadable`, limit, async (t) => {
    assert.equal(await stateFor(t, (socket) => socket.end(text)), 'unreadable');
  });
}

test('an answer without end is cut off', limit, async (t) => {
  const block = Buffer.alloc(65_536, ' ');
  const state = await stateFor(t, (socket) => {
    const more = (): void => {
      while (!socket.destroyed && socket.write(block));
    };
    socket.on('drain', more);
    more();
  });
  assert.equal(state, 'unreadable');
});

test('an answer that trickles is not waited for', limit, async (t) => {
  const state = await stateFor(t, (socket) => socket.write('{"version":'));
  assert.equal(state, 'busy');
});

test('control characters and those that turn lines round are not shown', limit, async (t) => {
  const stage = new Stage(t);
  const document = {
    ...good,
    program: '\x1b[2Jevil\u202e\u2028\u0085\x07',
    connections: [{ ...connection, provider: 'x\x1b]0;y\x07' }],
    counters: { '\x1b[31mred': 1 },
    unknown: '\x1b',
  };
  await plant(t, stage, (socket) => socket.end(JSON.stringify(document)));
  for (const args of [['--json'], []]) {
    const { stdout } = await run(stage, args);
    assert.match(stdout, /\ufffd\[2Jevil\ufffd\ufffd\ufffd\ufffd/);
    assert.match(stdout, /x\ufffd\]0;y\ufffd/);
    assert.doesNotMatch(stdout.replaceAll('\n', ''), /[\p{Cc}\p{Cf}\p{Zl}]/u);
  }
});

test('names that are not ours are left alone; sockets that nobody listens at are taken away', limit, async (t) => {
  const stage = new Stage(t);
  const directory = makeDirectory(stage);
  mkdirSync(join(directory, 'note'));
  const name = await plant(t, stage, () => {});
  // A socket file without a listener, which belongs to a process that lives: it may be just about to listen.
  const server = net.createServer().listen(join(directory, 'made'));
  await new Promise((resolve) => server.once('listening', resolve));
  const orphan = `${namespace}-${process.pid}-1-00000000`;
  linkSync(join(directory, 'made'), join(directory, orphan));
  await new Promise((resolve) => server.close(resolve));
  await look(stage);
  assert.deepEqual(readdirSync(directory).sort(), [name, orphan, 'note'].sort());
  const past = new Date(Date.now() - 60_000);
  utimesSync(join(directory, orphan), past, past);
  await look(stage);
  assert.deepEqual(readdirSync(directory).sort(), [name, 'note'].sort());
});

test('a directory that is open to others is not looked at, and said so', limit, async (t) => {
  const stage = new Stage(t);
  await plant(t, stage, (socket) => socket.end(JSON.stringify(good)));
  chmodSync(stage.rendezvous, 0o755);
  const { processes, problems } = await look(stage);
  assert.deepEqual(processes, []);
  assert.match(problems.join(), /open to others/);
  assert.match((await run(stage, [])).stdout, /^Not looked at: .*open to others/m);
});

function readableByAll(path: string): boolean {
  const parts = realpathSync(path).split('/');
  return parts.every((_, i) => (statSync(parts.slice(0, i + 1).join('/') || '/').mode & 0o5) !== 0);
}

const otherUser = 54_321;

test("another user's processes are not shown, and cannot be asked", limit, async (t) => {
  if (!needsRoot(t)) return;
  const stage = new Stage(t);
  stage.open();
  if (!readableByAll(dist) || !readableByAll(new URL('../diagnostics/programs/holder.js', import.meta.url).pathname)) {
    t.skip('another user cannot read the program or the package where they are');
    return;
  }
  const { program: mine } = await startListening(stage);
  await findWhen(stage, mine, ({ state }) => state === 'running', 'mine');
  const place = join(stage.directory, 'theirs');
  mkdirSync(place);
  chmodSync(place, 0o777);
  const directory = join(place, 'rendezvous');
  const { program: theirs } = await startListening(stage, { uid: otherUser, env: { SOCKETS_DIRECT_DIR: directory } });
  // Each sees its own, in its own directory.
  for (;;) {
    const { processes } = await look(stage, { uid: otherUser, directory });
    if (processes.length === 0) continue;
    assert.deepEqual([processes.length, processes[0]?.pid, processes[0]?.state], [1, theirs.pid, 'running']);
    break;
  }
  assert.equal(await find(stage, theirs), undefined);
  // Neither trusts the other's directory.
  const fromRoot = await look(stage, { directory });
  assert.deepEqual(fromRoot.processes, []);
  assert.match(fromRoot.problems.join(), /owned by uid 54321/);
  const fromThem = await look(stage, { uid: otherUser });
  assert.deepEqual(fromThem.processes, []);
  assert.match(fromThem.problems.join(), /EACCES|owned by uid 0/);
});
