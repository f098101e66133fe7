import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { ftruncateSync, openSync, readdirSync, renameSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import type { PlatformError } from '../../src/platform/index.js';
import { loadLibc } from '../../src/platform/libc.js';
import {
  decodeMessage,
  encodeMessage,
  type Message,
  MessageType,
  messageLength,
} from '../../src/providers/shared-memory/handshake.js';
import type { Rendezvous } from '../../src/providers/shared-memory/rendezvous.js';
import { arenaSize, Bench, closeOf, openDescriptors, platform, until } from './support.js';

const libc = loadLibc();
const MFD_ALLOW_SEALING = 3;
const MFD_HUGETLB = 4;
const F_ADD_SEALS = 1033;

let bench: Bench;
beforeEach(() => {
  bench = new Bench();
});
afterEach(() => bench.close());

const greeting = (changes: Partial<Message>): Message => ({
  type: MessageType.hello,
  lowestVersion: 1,
  highestVersion: 1,
  arenaSize,
  token: '0123456789abcdef01234567',
  networkNamespace: platform.networkNamespaceCookie(),
  probe: null,
  refusal: null,
  ...changes,
});

function memory(size: number, seals: number, flags = MFD_ALLOW_SEALING): number {
  const descriptor = libc.memfdCreate('hostile', flags);
  assert.ok(descriptor >= 0);
  assert.equal(libc.ftruncate(descriptor, size), 0);
  if (seals !== 0) assert.equal(libc.fcntl(descriptor, F_ADD_SEALS, seals), 0);
  return descriptor;
}

const descriptorOf = (socket: net.Socket): number => (socket as unknown as { _handle: { fd: number } })._handle.fd;

/** A server that is found like any other, and does `misbehave` with each connection, once HELLO is there. */
function hostileServer(rendezvous: Rendezvous, misbehave: (descriptor: number, socket: net.Socket) => void): void {
  const server = net.createServer({ pauseOnConnect: true }, async (socket) => {
    socket.on('error', () => {});
    const descriptor = descriptorOf(socket);
    await platform.waitReadable(descriptor).promise;
    platform.receiveMessage(descriptor, messageLength);
    misbehave(descriptor, socket);
    bench.cleanup(() => socket.destroy());
  });
  rendezvous.publish((path) => server.listen(path));
  bench.cleanup(() => server.close());
}

interface Evil {
  name: string;
  expected: string;
  /** Descriptors to send with WELCOME; they are closed afterwards. */
  descriptors: () => number[];
  welcome?: Partial<Message>;
}

const evils: Evil[] = [
  { name: 'memory without seals', expected: 'arena-unsafe', descriptors: () => [memory(arenaSize, 0)] },
  { name: 'memory that can grow', expected: 'arena-unsafe', descriptors: () => [memory(arenaSize, 1 | 2)] },
  { name: 'seals that can be added to', expected: 'arena-unsafe', descriptors: () => [memory(arenaSize, 2 | 4)] },
  { name: 'memory sealed against writing', expected: 'arena-unsafe', descriptors: () => [memory(arenaSize, 15)] },
  { name: 'memory sealed against later writing', expected: 'arena-unsafe', descriptors: () => [memory(arenaSize, 23)] },
  { name: 'memory shorter than said', expected: 'arena-unsafe', descriptors: () => [memory(4096, 7)] },
  { name: 'memory longer than said', expected: 'arena-unsafe', descriptors: () => [memory(2 * arenaSize, 7)] },
  { name: 'a file', expected: 'arena-unsafe', descriptors: () => [file()] },
  { name: 'a directory', expected: 'arena-unsafe', descriptors: () => [openSync('/', 'r')] },
  { name: 'a read-only descriptor', expected: 'arena-unsafe', descriptors: () => [readOnly()] },
  { name: 'no descriptor', expected: 'peer-protocol', descriptors: () => [] },
  {
    name: 'two descriptors',
    expected: 'peer-protocol',
    descriptors: () => [memory(arenaSize, 7), memory(arenaSize, 7)],
  },
  {
    name: 'an arena larger than asked for',
    expected: 'peer-protocol',
    descriptors: () => [memory(2 * arenaSize, 7)],
    welcome: { arenaSize: 2 * arenaSize },
  },
  {
    name: 'an arena of half a page',
    expected: 'peer-protocol',
    descriptors: () => [memory(arenaSize, 7)],
    welcome: { arenaSize: arenaSize - 2048 },
  },
  {
    name: 'the token of somebody else',
    expected: 'peer-protocol',
    descriptors: () => [memory(arenaSize, 7)],
    welcome: { token: 'f'.repeat(24) },
  },
  {
    name: 'another version',
    expected: 'peer-version',
    descriptors: () => [memory(arenaSize, 7)],
    welcome: { lowestVersion: 2, highestVersion: 9 },
  },
  {
    name: 'another namespace',
    expected: 'peer-other-namespace',
    descriptors: () => [memory(arenaSize, 7)],
    welcome: { networkNamespace: 1n },
  },
  {
    name: 'HELLO as the answer',
    expected: 'peer-protocol',
    descriptors: () => [],
    welcome: { type: MessageType.hello },
  },
  {
    name: 'a refusal for an unheard-of reason',
    expected: 'peer-protocol',
    descriptors: () => [],
    welcome: { type: MessageType.refuse, refusal: 'ipv6-scoped' },
  },
  {
    name: 'a refusal with descriptors',
    expected: 'peer-busy',
    descriptors: () => [memory(arenaSize, 7)],
    welcome: { type: MessageType.refuse, refusal: 'peer-busy' },
  },
];

function file(): number {
  const descriptor = openSync(join(bench.directory, 'file'), 'w+');
  ftruncateSync(descriptor, arenaSize);
  return descriptor;
}

function readOnly(): number {
  const writable = memory(arenaSize, 7);
  const descriptor = openSync(`/proc/self/fd/${writable}`, 'r');
  libc.close(writable);
  return descriptor;
}

for (const evil of evils) {
  test(`a server that offers ${evil.name} is refused with ${evil.expected}`, async () => {
    const rendezvous = bench.rendezvous();
    hostileServer(rendezvous, (descriptor) => {
      const descriptors = evil.descriptors();
      const welcome = greeting({ type: MessageType.welcome, token: rendezvous.token, ...evil.welcome });
      platform.sendMessage(descriptor, encodeMessage(welcome), descriptors);
      for (const sent of descriptors) libc.close(sent);
    });
    const client = bench.party();
    const before = openDescriptors();
    await assert.rejects(client.dial(rendezvous.token), (error: PlatformError) => {
      assert.equal(error.reason, evil.expected);
      return true;
    });
    const leaked = openDescriptors().filter((target) => !before.includes(target) && !target.startsWith('socket:'));
    assert.deepEqual(leaked, []);
  });
}

test('a server that offers huge pages is refused', async (t) => {
  const descriptor = libc.memfdCreate('huge', MFD_ALLOW_SEALING | MFD_HUGETLB);
  if (descriptor < 0) return t.skip(`this kernel has no huge pages: ${libc.errorName()}`);
  try {
    assert.equal(libc.ftruncate(descriptor, 2 << 20), 0);
    assert.equal(libc.fcntl(descriptor, F_ADD_SEALS, 7), 0);
    assert.throws(
      () => platform.checkSealedMemory(descriptor, 2 << 20),
      (error: PlatformError) => error.reason === 'arena-unsafe',
    );
  } finally {
    libc.close(descriptor);
  }
});

const rudenesses: [string, string, (descriptor: number, socket: net.Socket) => void][] = [
  ['closes', 'peer-gone', (_, socket) => socket.destroy()],
  ['never answers', 'connect-timeout', () => {}],
  ['sends half a message', 'peer-protocol', (descriptor) => platform.sendMessage(descriptor, Buffer.alloc(32, 1))],
  ['sends rubbish', 'peer-protocol', (descriptor) => platform.sendMessage(descriptor, Buffer.alloc(4096, 1))],
];
for (const [name, expected, act] of rudenesses) {
  test(`a server that ${name}: ${expected}`, async () => {
    const rendezvous = bench.rendezvous();
    hostileServer(rendezvous, act);
    const client = bench.party({ establishTimeoutMs: 100 });
    await assert.rejects(client.dial(rendezvous.token), (error: PlatformError) => error.reason === expected);
  });
}

test('a socket that is not the one of the name is refused', async () => {
  const real = bench.party();
  const other = bench.party();
  real.endpoint.publish();
  other.endpoint.publish();
  renameSync(other.rendezvous.findSocket(other.token)!, real.rendezvous.findSocket(real.token)!);
  await assert.rejects(bench.party().dial(real.token), (error: PlatformError) => error.reason === 'peer-protocol');
});

/** Connects to an endpoint by hand. */
async function intruder(rendezvous: Rendezvous): Promise<{ socket: net.Socket; descriptor: number }> {
  const socket = new net.Socket();
  socket.on('error', () => {});
  socket.pause();
  socket.connect({ path: rendezvous.findSocket(rendezvous.token)! });
  await once(socket, 'connect');
  bench.cleanup(() => socket.destroy());
  return { socket, descriptor: descriptorOf(socket) };
}

async function answer(descriptor: number): Promise<Message> {
  for (;;) {
    const received = platform.receiveMessage(descriptor, messageLength);
    assert.notEqual(received, 'end');
    if (received !== null && received !== 'end') {
      for (const one of received.descriptors) platform.closeDescriptor(one);
      return decodeMessage(received.data);
    }
    await platform.waitReadable(descriptor).promise;
  }
}

const intrusions: [string, string, Buffer, number][] = [
  ['rubbish', 'peer-protocol', Buffer.from('GET / HTTP/1.1\r\n\r\n'), 0],
  ['a short message', 'peer-protocol', encodeMessage(greeting({})).subarray(0, 63), 0],
  ['another magic number', 'peer-protocol', Buffer.from(encodeMessage(greeting({})).fill(7, 0, 4)), 0],
  ['READY first', 'peer-protocol', encodeMessage(greeting({ type: MessageType.ready })), 0],
  ['an absurd arena', 'peer-protocol', encodeMessage(greeting({ arenaSize: 77 })), 0],
  ['no arena', 'peer-protocol', encodeMessage(greeting({ arenaSize: 0 })), 0],
  ['a later version', 'peer-version', encodeMessage(greeting({ lowestVersion: 9, highestVersion: 9 })), 0],
  ['another namespace', 'peer-other-namespace', encodeMessage(greeting({ networkNamespace: 2n })), 0],
  ['8 descriptors', 'peer-protocol', encodeMessage(greeting({})), 8],
];
for (const [name, expected, bytes, count] of intrusions) {
  test(`a client that sends ${name} is refused with ${expected}, and nothing leaks`, async () => {
    const server = bench.party();
    server.endpoint.publish();
    const before = openDescriptors();
    const { socket, descriptor } = await intruder(server.rendezvous);
    const descriptors = Array.from({ length: count }, () => memory(4096, 0));
    platform.sendMessage(descriptor, bytes, descriptors);
    for (const one of descriptors) libc.close(one);
    const said = await answer(descriptor);
    assert.deepEqual([said.type, said.refusal], [MessageType.refuse, expected]);
    socket.destroy();
    await until(() => openDescriptors().every((target) => before.includes(target)), 'descriptors closed');
    assert.equal(server.links.length, 0);
  });
}

test('a client that claims to be the server itself is refused', async () => {
  const server = bench.party();
  server.endpoint.publish();
  const { descriptor } = await intruder(server.rendezvous);
  platform.sendMessage(descriptor, encodeMessage(greeting({ token: server.token })));
  assert.equal((await answer(descriptor)).refusal, 'peer-protocol');
});

test('a client that leaves after HELLO, or after WELCOME, leaves nothing behind', async () => {
  const server = bench.party();
  server.endpoint.publish();
  const before = openDescriptors();
  for (const wait of [false, true]) {
    const { socket, descriptor } = await intruder(server.rendezvous);
    platform.sendMessage(descriptor, encodeMessage(greeting({})));
    if (wait) assert.equal((await answer(descriptor)).type, MessageType.welcome);
    socket.destroy();
  }
  await until(() => openDescriptors().every((target) => before.includes(target)), 'descriptors closed');
  assert.equal(server.links.length, 0);
});

test('silent clients are turned away at the deadline', async () => {
  const server = bench.party({ establishTimeoutMs: 50 });
  server.endpoint.publish();
  const { socket, descriptor } = await intruder(server.rendezvous);
  assert.equal((await answer(descriptor)).refusal, 'connect-timeout');
  const ended = closeOf(socket);
  socket.resume();
  await ended;
});

test('the number of handshakes is limited, and others go on once those are over', async () => {
  const server = bench.party({ halfOpenMax: 3 });
  server.endpoint.publish();
  const silent = [];
  for (let i = 0; i < 3; i++) silent.push(await intruder(server.rendezvous));
  const client = bench.party();
  await assert.rejects(client.dial(server.token), (error: PlatformError) => error.reason === 'peer-busy');
  for (const { socket } of silent) socket.destroy();
  const deadline = performance.now() + 5000;
  let links = 0;
  while (links === 0 && performance.now() < deadline) {
    await client.dial(server.token).then(
      () => links++,
      (error: PlatformError) => assert.equal(error.reason, 'peer-busy'),
    );
  }
  assert.equal(links, 1);
});

test('a peer that the kernel says is another user is refused, by either side', async () => {
  const credentials = (descriptor: number) => ({ ...platform.peerCredentials(descriptor), uid: 4242 });
  const mistaken = { platform: { ...platform, peerCredentials: credentials } };
  const otherUser = (error: PlatformError): boolean => error.reason === 'peer-other-user';
  const server = bench.party();
  server.endpoint.publish();
  await assert.rejects(bench.party(mistaken).dial(server.token), otherUser);
  const strict = bench.party(mistaken);
  strict.endpoint.publish();
  await assert.rejects(bench.party().dial(strict.token), otherUser);
  assert.equal(server.links.length + strict.links.length, 0);
});

test('a process of another user cannot link, even where the directory lets it in', async (t) => {
  if (process.getuid!() !== 0) return t.skip('needs root, to start a process of another user');
  const server = bench.party();
  server.endpoint.publish();
  // Opens everything, as an operator might by mistake, after the checks at the start.
  execFileSync('chmod', ['-R', 'a+rwX', bench.directory]);
  const partition = readdirSync(bench.directory)[0]!;
  const path = join(bench.directory, partition, 's', server.token);
  const script = `
    const socket = require('net').connect(process.argv[1]);
    let said = Buffer.alloc(0);
    socket.on('data', (data) => { said = Buffer.concat([said, data]); });
    socket.on('error', (error) => console.log(error.code));
    socket.on('close', () => console.log(said.toString('hex')));
  `;
  const child = spawn(process.execPath, ['-e', script, path], { uid: 4242, gid: 4242, cwd: '/' });
  let output = '';
  child.stdout.on('data', (data) => {
    output += String(data);
  });
  await once(child, 'close');
  const said = decodeMessage(Buffer.from(output.trim(), 'hex'));
  assert.deepEqual([said.type, said.refusal], [MessageType.refuse, 'peer-other-user']);
});
