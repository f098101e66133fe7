import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, ftruncateSync, mkdtempSync, openSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadPlatform, type PlatformError } from '../../src/platform/index.js';

const platform = loadPlatform();
const size = 64 * 1024;
const descriptorCount = (): number => readdirSync('/proc/self/fd').length;
const descriptorOf = (socket: net.Socket): number => (socket as unknown as { _handle: { fd: number } })._handle.fd;

/** Two connected sockets that nobody reads, and what closes them. */
async function pair(): Promise<{ a: net.Socket; b: net.Socket; close: () => void }> {
  const directory = mkdtempSync(join(tmpdir(), 'sockets-direct-test-'));
  const server = net.createServer({ pauseOnConnect: true });
  server.listen(join(directory, 's'));
  await once(server, 'listening');
  const a = new net.Socket();
  a.pause();
  a.connect(join(directory, 's'));
  const [b] = (await once(server, 'connection')) as [net.Socket];
  if (a.connecting) await once(a, 'connect');
  for (const socket of [a, b]) socket.on('error', () => {});
  const close = (): void => {
    a.destroy();
    b.destroy();
    server.close();
    rmSync(directory, { recursive: true });
  };
  return { a, b, close };
}

test('sealed memory cannot change its size and is shared by its mappings', () => {
  const descriptor = platform.createSealedMemory(size);
  platform.checkSealedMemory(descriptor, size);
  for (const other of [0, 4096, 2 * size]) assert.throws(() => ftruncateSync(descriptor, other), { code: 'EPERM' });
  const one = platform.mapShared(descriptor, size);
  const two = platform.mapShared(descriptor, size);
  platform.closeDescriptor(descriptor);
  const words = new Int32Array(one);
  assert.equal(
    words.every((word) => word === 0),
    true,
  );
  Atomics.store(words, 100, 7);
  assert.equal(Atomics.load(new Int32Array(two), 100), 7);
});

test('memory of another size is not safe', () => {
  const descriptor = platform.createSealedMemory(size);
  const unsafe = (error: PlatformError): boolean => error.reason === 'arena-unsafe';
  assert.throws(() => platform.checkSealedMemory(descriptor, 2 * size), unsafe);
  platform.closeDescriptor(descriptor);
  assert.throws(() => platform.checkSealedMemory(descriptor, size), unsafe);
  for (const wrong of [0, -4096, 100, Number.NaN]) assert.throws(() => platform.createSealedMemory(wrong), RangeError);
});

test('a process with a mapping ends as any other', () => {
  const script = `
    const { loadPlatform } = await import(${JSON.stringify(new URL('../../src/platform/index.js', import.meta.url).href)});
    const platform = loadPlatform();
    globalThis.kept = platform.mapShared(platform.createSealedMemory(65536), 65536);
  `;
  const child = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  assert.deepEqual([child.stderr, child.status, child.signal], ['', 0, null]);
});

test('a mapping goes when nothing can reach it, and not before', () => {
  const script = `
    import { readFileSync } from 'node:fs';
    const { loadPlatform } = await import(${JSON.stringify(new URL('../../src/platform/index.js', import.meta.url).href)});
    const platform = loadPlatform();
    const mapped = () => readFileSync('/proc/self/maps', 'utf8').split('memfd:sockets-direct').length - 1;
    const map = () => {
      const descriptor = platform.createSealedMemory(65536);
      const view = new Uint8Array(platform.mapShared(descriptor, 65536), 4096, 16);
      platform.closeDescriptor(descriptor);
      return view;
    };
    globalThis.kept = map();
    for (let i = 0; i < 20; i++) map();
    for (let i = 0; i < 50 && mapped() > 1; i++) {
      gc();
      await new Promise((resolve) => setImmediate(resolve));
    }
    kept[3] = 1;
    console.log(mapped());
  `;
  const child = spawnSync(process.execPath, ['--expose-gc', '--input-type=module', '-e', script], { encoding: 'utf8' });
  assert.equal(child.stderr, '');
  assert.equal(child.stdout.trim(), '1');
});

test('messages carry data and descriptors', async () => {
  const { a, b, close } = await pair();
  const before = descriptorCount();
  const memory = platform.createSealedMemory(4096);
  assert.equal(platform.receiveMessage(descriptorOf(b), 64), null);
  assert.equal(platform.sendMessage(descriptorOf(a), Buffer.alloc(64, 5), [memory, memory]), 64);
  assert.equal(platform.sendMessage(descriptorOf(a), Buffer.from('more')), 4);
  platform.closeDescriptor(memory);
  const first = platform.receiveMessage(descriptorOf(b), 64);
  assert.ok(first !== null && first !== 'end');
  assert.deepEqual([first.data.equals(Buffer.alloc(64, 5)), first.truncated], [true, false]);
  assert.equal(first.descriptors.length, 2);
  for (const descriptor of first.descriptors) {
    assert.match(readlinkSync(`/proc/self/fd/${descriptor}`), /memfd:sockets-direct/);
    platform.closeDescriptor(descriptor);
  }
  const second = platform.receiveMessage(descriptorOf(b), 64);
  assert.ok(second !== null && second !== 'end');
  assert.deepEqual([second.data.toString(), second.descriptors], ['more', []]);
  assert.equal(descriptorCount(), before);
  close();
});

test('what was sent before the end is received, even after a reset', async () => {
  const { a, b, close } = await pair();
  platform.sendMessage(descriptorOf(a), Buffer.from('never read'));
  platform.sendMessage(descriptorOf(b), Buffer.from('last words'));
  assert.equal(platform.peerHungUp(descriptorOf(a)), false);
  b.destroy();
  assert.equal(platform.peerHungUp(descriptorOf(a)), true);
  const received = platform.receiveMessage(descriptorOf(a), 64);
  assert.ok(received !== null && received !== 'end');
  assert.equal(received.data.toString(), 'last words');
  assert.equal(platform.receiveMessage(descriptorOf(a), 64), 'end');
  assert.throws(
    () => platform.sendMessage(descriptorOf(a), Buffer.from('x')),
    (error: PlatformError) => error.reason === 'peer-gone',
  );
  assert.equal(platform.ringDoorbell(descriptorOf(a)), false);
  close();
});

test('any number of bells fits', async () => {
  const { a, close } = await pair();
  for (let i = 0; i < 5000; i++) assert.equal(platform.ringDoorbell(descriptorOf(a)), true);
  close();
});

test('waiting ends with data, with the peer, and on request', async () => {
  const { a, b, close } = await pair();
  const descriptor = descriptorOf(b);
  const data = platform.waitReadable(descriptor);
  assert.throws(() => platform.waitReadable(descriptor), /being waited for/);
  platform.ringDoorbell(descriptorOf(a));
  assert.equal(await data.promise, true);
  data.cancel();
  platform.receiveMessage(descriptor, 64);
  const cancelled = platform.waitReadable(descriptor);
  cancelled.cancel();
  cancelled.cancel();
  assert.equal(await cancelled.promise, false);
  const end = platform.waitReadable(descriptor);
  a.destroy();
  assert.equal(await end.promise, true);
  assert.equal(platform.receiveMessage(descriptor, 64), 'end');
  close();
});

test('what cannot be waited for is an exception, not the end of the process', () => {
  const file = openSync(process.execPath, 'r');
  assert.throws(() => platform.waitReadable(file), /not a socket/);
  closeSync(file);
  assert.throws(() => platform.waitReadable(file), { code: 'EBADF' });
});

test('waits that nobody holds are not forgotten', () => {
  const script = `
    import net from 'node:net';
    import { once } from 'node:events';
    const { loadPlatform } = await import(${JSON.stringify(new URL('../../src/platform/index.js', import.meta.url).href)});
    const platform = loadPlatform();
    const path = process.argv[1];
    const server = net.createServer({ pauseOnConnect: true }).listen(path);
    const a = net.connect(path);
    const [b] = await once(server, 'connection');
    platform.waitReadable(b._handle.fd).promise.then(() => process.exit(7));
    for (let i = 0; i < 5; i++) {
      gc();
      await new Promise((resolve) => setImmediate(resolve));
    }
    a.write('x');
  `;
  const directory = mkdtempSync(join(tmpdir(), 'sockets-direct-test-'));
  const child = spawnSync(
    process.execPath,
    ['--expose-gc', '--input-type=module', '-e', script, join(directory, 's')],
    { encoding: 'utf8', timeout: 10_000 },
  );
  rmSync(directory, { recursive: true });
  assert.deepEqual([child.stderr, child.status], ['', 7]);
});

test('the peer of a socket is the process that made it', async () => {
  const { a, close } = await pair();
  assert.deepEqual(platform.peerCredentials(descriptorOf(a)), {
    pid: process.pid,
    uid: process.geteuid!(),
    gid: process.getegid!(),
  });
  close();
});

test('a reserved port is taken until it is closed, whatever TCP has there', async () => {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  const reserved = platform.reservePort('127.0.0.1', port);
  assert.notEqual(reserved, null);
  assert.equal(platform.reservePort('127.0.0.1', port), null);
  platform.closeDescriptor(reserved!);
  const again = platform.reservePort('127.0.0.1', port);
  assert.notEqual(again, null);
  platform.closeDescriptor(again!);
  server.close();
  assert.equal(platform.reservePort('203.0.113.7', port), null, 'not an address of this host');
  assert.throws(() => platform.reservePort('::1', port), RangeError);
  assert.throws(() => platform.reservePort('127.0.0.1', 70_000), RangeError);
});

test('names in a directory, locks, and the namespace', () => {
  const directory = openSync(tmpdir(), 'r');
  platform.lockSharedDirectory(directory);
  assert.equal(platform.nameExists(directory, '.'), true);
  assert.equal(platform.nameExists(directory, 'certainly-not-there'), false);
  closeSync(directory);
  assert.equal(platform.networkNamespaceCookie(), platform.networkNamespaceCookie());
  assert.ok(platform.networkNamespaceCookie() > 0n);
  assert.equal(platform.ownUser(), process.geteuid!());
  platform.schedYield();
});

for (const [name, prelude, reason] of [
  ['Bun', "Object.defineProperty(process.versions, 'bun', { value: '1' })", 'runtime-untested'],
  ['Electron', "Object.defineProperty(process.versions, 'electron', { value: '1' })", 'runtime-untested'],
  ['another processor', "Object.defineProperty(process, 'arch', { value: 'arm64' })", 'platform-unsupported'],
  ['another system', "Object.defineProperty(process, 'platform', { value: 'darwin' })", 'platform-unsupported'],
  [
    'a missing koffi',
    "const M = (await import('node:module')).default; const load = M._load; M._load = (id, ...more) => { if (id === 'koffi') throw new Error('Cannot find module'); return load(id, ...more); }",
    'ffi-unavailable',
  ],
] as const) {
  test(`the platform is refused on ${name}: ${reason}`, () => {
    const script = `
      Object.defineProperty(process, 'versions', { value: { ...process.versions } });
      ${prelude};
      const { loadPlatform } = await import(${JSON.stringify(new URL('../../src/platform/index.js', import.meta.url).href)});
      for (let i = 0; i < 2; i++) try { loadPlatform(); } catch (error) { console.log(error.reason); }
    `;
    const child = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
    assert.equal(child.stderr, '');
    assert.equal(child.stdout, `${reason}\n${reason}\n`);
  });
}
