import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { once } from 'node:events';
import { afterEach, beforeEach, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import type { PlatformError } from '../../src/platform/index.js';
import type { EstablishedLink } from '../../src/providers/shared-memory/endpoint.js';
import { arenaSize, Bench, closeOf, openDescriptors, platform, until } from './support.js';

let bench: Bench;
beforeEach(() => {
  bench = new Bench();
});
afterEach(() => bench.close());

function assertShared(a: EstablishedLink, b: EstablishedLink): void {
  const words = [new Int32Array(a.arena), new Int32Array(b.arena)] as const;
  assert.equal(
    words[0].every((word) => word === 0),
    true,
    'a fresh arena is zero',
  );
  Atomics.store(words[0], 5, 4711);
  assert.equal(Atomics.load(words[1], 5), 4711);
  Atomics.store(words[1], 6, 4712);
  assert.equal(Atomics.load(words[0], 6), 4712);
}

test('two endpoints link, share an arena, and wake each other', async () => {
  const server = bench.party();
  const client = bench.party();
  server.endpoint.publish();
  const incoming = server.nextLink();
  const mine = await client.dial(server.token);
  const theirs = await incoming;
  assert.deepEqual([mine.side, theirs.side], [0, 1]);
  assert.deepEqual([mine.peerToken, theirs.peerToken], [server.token, client.token]);
  assert.equal(mine.arena.byteLength, arenaSize);
  assert.deepEqual(mine.peer, { pid: process.pid, uid: process.geteuid!(), gid: process.getegid!() });
  assert.deepEqual(theirs.peer, mine.peer);
  assertShared(mine, theirs);

  theirs.socket.resume();
  assert.equal(platform.ringDoorbell(mine.descriptor), true);
  await once(theirs.socket, 'data');
  mine.socket.destroy();
  await closeOf(theirs.socket);
});

test('a bell before the owner resumes is not lost', async () => {
  const server = bench.party();
  const client = bench.party();
  server.endpoint.publish();
  const incoming = server.nextLink();
  const mine = await client.dial(server.token);
  platform.ringDoorbell(mine.descriptor);
  const theirs = await incoming;
  const bell = once(theirs.socket, 'data');
  theirs.socket.resume();
  assert.equal(((await bell) as [Buffer])[0].length, 1);
});

test('concurrent and later dials of one peer give one link', async () => {
  const server = bench.party();
  const client = bench.party();
  server.endpoint.publish();
  const incoming = server.nextLink();
  const links = await Promise.all([1, 2, 3].map(() => client.dial(server.token)));
  const theirs = await incoming;
  links.push(await client.dial(server.token));
  assert.equal(new Set(links).size, 1);
  assert.equal(await server.dial(client.token), theirs, 'the server has that link as well');
  assert.equal(server.links.length, 1);
});

test('after the end of a link a dial makes another one', async () => {
  const server = bench.party();
  const client = bench.party();
  server.endpoint.publish();
  const first = await client.dial(server.token);
  first.socket.destroy();
  const second = await client.dial(server.token);
  assert.notEqual(second, first);
  assert.notEqual(second.arena, first.arena);
});

test('the smaller of two wishes is the size of the arena', async () => {
  const server = bench.party({ arenaSize: 64 * 1024 });
  const client = bench.party();
  server.endpoint.publish();
  assert.equal((await client.dial(server.token)).arena.byteLength, 64 * 1024);
  const other = bench.party({ arenaSize: 128 * 1024 });
  const big = bench.party({ arenaSize: 1 << 20 });
  big.endpoint.publish();
  assert.equal((await other.dial(big.token)).arena.byteLength, 128 * 1024);
});

test('an event loop can dial itself', async () => {
  const party = bench.party();
  party.endpoint.publish();
  const incoming = party.nextLink();
  const mine = await party.dial(party.token);
  const theirs = await incoming;
  assert.deepEqual([mine.side, theirs.side], [0, 1]);
  assert.deepEqual([mine.peerToken, theirs.peerToken], [party.token, party.token]);
  assertShared(mine, theirs);
  assert.equal(await party.dial(party.token), mine);
});

test('two that dial each other at the same time get one link', async () => {
  for (let round = 0; round < 20; round++) {
    const a = bench.party();
    const b = bench.party();
    a.endpoint.publish();
    b.endpoint.publish();
    const [fromA, fromB] = await Promise.all([a.dial(b.token), b.dial(a.token)]);
    assert.deepEqual([fromA.side, fromB.side].sort(), [0, 1]);
    assert.equal(fromA.side, a.token < b.token ? 0 : 1, 'the smaller token goes on dialling');
    assertShared(fromA, fromB);
    assert.deepEqual([a.links.length, b.links.length], [1, 1]);
    a.close();
    b.close();
  }
});

test('a dial during the handshake of the other side waits for it', async () => {
  const a = bench.party();
  const b = bench.party();
  a.endpoint.publish();
  b.endpoint.publish();
  const dialled = a.dial(b.token);
  for (let turn = 0; turn < 3; turn++) {
    await new Promise((resolve) => setImmediate(resolve));
    b.dial(a.token);
  }
  assertShared(await dialled, await b.dial(a.token));
  assert.deepEqual([a.links.length, b.links.length], [1, 1]);
});

test('many pairs that dial each other at random moments have one link each', async () => {
  const parties = Array.from({ length: 8 }, () => bench.party({ establishTimeoutMs: 5000 }));
  for (const party of parties) party.endpoint.publish();
  await Promise.all(
    parties.flatMap((from, i) =>
      parties.map(async (to, j) => {
        if (i === j) return;
        for (let turn = 0; turn < (i * 7 + j * 3) % 5; turn++) await new Promise((resolve) => setImmediate(resolve));
        await from.dial(to.token);
      }),
    ),
  );
  for (const party of parties) assert.equal(party.links.length, parties.length - 1);
});

test('links between processes, in both directions', async () => {
  const { child, token } = await bench.process('serve');
  const party = bench.party();
  party.endpoint.publish();
  const link = await party.dial(token);
  assert.equal(link.peer.pid, child.pid);
  link.socket.resume();
  await once(link.socket, 'data');
  assert.equal(Atomics.load(new Int32Array(link.arena), 0), child.pid);

  link.socket.destroy();
  const [closed] = (await once(child, 'message')) as [{ closed: string }];
  assert.equal(closed.closed, party.token);
  const incoming = party.nextLink();
  child.send({ dial: party.token });
  assert.equal((await incoming).peer.pid, child.pid);
});

test('the death of a process is the end of the link, and its name is cleaned up', async () => {
  const { child, token } = await bench.process('serve', '5000');
  const party = bench.party();
  const link = await party.dial(token);
  link.socket.resume();
  // The kernel closes a dying process's sockets one by one; only after its exit the listening one is surely closed.
  const closed = Promise.all([closeOf(link.socket), once(child, 'exit')]);
  child.kill('SIGKILL');
  await closed;
  await assert.rejects(party.dial(token), (error: PlatformError) => error.reason === 'no-listener');
  assert.equal(party.rendezvous.has(5000), false);
  assert.equal(party.rendezvous.findSocket(token), null);
  await assert.rejects(party.dial(token), (error: PlatformError) => error.reason === 'no-listener');
});

test('a stopped process: the dial times out, an established link stays', async () => {
  const { child, token } = await bench.process('serve');
  const linked = bench.party();
  const link = await linked.dial(token);
  child.kill('SIGSTOP');
  const party = bench.party({ establishTimeoutMs: 100 });
  await assert.rejects(party.dial(token), (error: PlatformError) => error.reason === 'connect-timeout');
  assert.equal(link.socket.destroyed, false);
  child.kill('SIGCONT');
  assert.equal((await party.dial(token)).peer.pid, child.pid);
});

test('a worker thread is a peer of its own, and its termination is the end of the link', async () => {
  const worker = new Worker(new URL('worker.js', import.meta.url), { workerData: { directory: bench.directory } });
  bench.cleanup(() => void worker.terminate());
  const [{ token }] = (await once(worker, 'message')) as [{ token: string }];
  const party = bench.party();
  party.endpoint.publish();
  const link = await party.dial(token);
  assert.equal(link.peer.pid, process.pid);
  link.socket.resume();
  const closed = closeOf(link.socket);
  await worker.terminate();
  await closed;
  await assert.rejects(party.dial(token), (error: PlatformError) => error.reason === 'no-listener');
});

test('a thread of another process can be terminated during a handshake', async () => {
  const { child, token } = await bench.process('threads');
  const path = bench.rendezvous().findSocket(token)!;
  const net = await import('node:net');
  const silent = net.connect(path);
  await once(silent, 'connect');
  // A dial after the silent connection shows that the worker is in the middle of the silent handshake.
  await bench.party().dial(token);
  child.send('terminate');
  await Promise.all([once(silent.resume(), 'close'), once(child, 'message')]);
  assert.equal(child.exitCode, null, 'the process lives');
});

test('nothing is left open', async () => {
  const before = openDescriptors();
  const inner = new Bench();
  const server = inner.party();
  const client = inner.party();
  server.endpoint.publish();
  client.endpoint.publish();
  const incoming = server.nextLink();
  await client.dial(server.token);
  await incoming;
  await client.dial(client.token);
  inner.close();
  await until(() => openDescriptors().every((target) => before.includes(target)), 'descriptors closed');
});

test('links do not keep a process alive, and leave no names behind at exit', async () => {
  const { child } = await bench.process('serve', '5001');
  const rendezvous = bench.rendezvous();
  assert.equal(rendezvous.has(5001), true);
  child.send('exit');
  await once(child, 'exit');
  assert.equal(rendezvous.has(5001), false);
});

test('the asynchronous context of the first caller is not that of the link', async () => {
  const storage = new AsyncLocalStorage<string>();
  const seen: (string | undefined)[] = [];
  const server = bench.party({ onLink: () => seen.push(storage.getStore()) });
  const client = bench.party();
  storage.run('publisher', () => server.endpoint.publish());
  const link = await storage.run('dialler', () => client.dial(server.token));
  await until(() => seen.length === 1, 'link seen by the server');
  link.socket.on('close', () => seen.push(storage.getStore()));
  link.socket.destroy();
  await closeOf(link.socket);
  assert.deepEqual(seen, [undefined, undefined]);
  await storage.run('dialler', async () => {
    await client.dial(server.token);
    assert.equal(storage.getStore(), 'dialler');
  });
});

test('a closed endpoint refuses, and its own dials fail', async () => {
  const server = bench.party();
  const client = bench.party();
  server.endpoint.publish();
  const { token } = server;
  const pending = client.dial(token);
  client.endpoint.close();
  await assert.rejects(pending, (error: PlatformError) => error.reason === 'peer-closing');
  await assert.rejects(client.dial(token), (error: PlatformError) => error.reason === 'peer-closing');
  server.endpoint.close();
  await assert.rejects(bench.party().dial(token), (error: PlatformError) => error.reason === 'no-listener');
});
