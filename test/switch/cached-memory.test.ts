/** Memory that providers may have cached: every provider is told before it goes away. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { region } from '../../src/conformance/memory.js';
import {
  type ExtensionFunctions,
  MEM_READ,
  type MemoryRegion,
  type Out,
  SOCKET_ERROR,
  WSAEFAULT,
} from '../../src/spi/index.js';
import { CachedMemory, notedMax } from '../../src/switch/cached-memory.js';
import { Bench } from './stage.js';
import { assertSubsequence } from './support.js';

const socket = { spi: 'ProviderSocket' } as const;

/** A provider that caches, as far as the switch can tell. */
class Caching {
  readonly told: (readonly [buffer: ArrayBufferLike, size: number])[] = [];
  /** What it cannot let go of. */
  readonly inUse = new Set<ArrayBufferLike>();
  /** Registrations fail. */
  failing = false;
  readonly extensions: ExtensionFunctions;

  constructor(caches = true) {
    const callback = ({ bytes }: MemoryRegion, size: number, lpErrno: Out<number>): number => {
      this.told.push([bytes.buffer, size]);
      if (!this.inUse.has(bytes.buffer)) return 0;
      lpErrno.value = WSAEFAULT;
      return SOCKET_ERROR;
    };
    this.extensions = {
      WSPRegisterMemory: () => (this.failing ? null : { spi: 'MemoryHandle' }),
      WSPDeregisterMemory: () => 0,
      WSPRegisterRdmaMemory: () => (this.failing ? SOCKET_ERROR : 0),
      WSPDeregisterRdmaMemory: () => 0,
      WSPRdmaWrite: () => SOCKET_ERROR,
      WSPRdmaRead: null,
      WSPMemoryRegistrationCacheCallback: caches ? callback : null,
      providerMemory: null,
      diagnostics: null,
    };
  }

  get buffers(): ArrayBufferLike[] {
    return this.told.map(([buffer]) => buffer);
  }
}

function register(extensions: ExtensionFunctions, memory: MemoryRegion, rdma = false): void {
  const { length } = memory.bytes;
  const errno = { value: 0 };
  if (rdma) extensions.WSPRegisterRdmaMemory(socket, memory, 0, length, MEM_READ, null, errno, errno);
  else extensions.WSPRegisterMemory(socket, memory, 0, length, MEM_READ, errno);
}

function detach({ bytes }: MemoryRegion): void {
  structuredClone(bytes.buffer, { transfer: [bytes.buffer as ArrayBuffer] });
}

/** ECMAScript 2024, which Node.js has and the types of the oldest version have not. */
function resizable(size: number, maxByteLength: number): ArrayBuffer {
  const Resizable = ArrayBuffer as new (size: number, options: { maxByteLength: number }) => ArrayBuffer;
  return new Resizable(size, { maxByteLength });
}

test('WSD-CCH-6 every provider that caches is told of memory that goes away, whichever registered it', () => {
  const providers = [new Caching(), new Caching()] as const;
  const cached = new CachedMemory();
  const [first] = providers.map(({ extensions }) => cached.watch(extensions));
  const none = new Caching(false);
  assert.equal(cached.watch(none.extensions), none.extensions, 'one that does not cache is left alone');
  const memory = region(64);
  register(first!, memory);
  for (const { told } of providers) assert.deepEqual(told, []);
  cached.goesAway(memory);
  for (const { told } of providers) assert.deepEqual(told, [[memory.bytes.buffer, 64]]);
});

for (const rdma of [false, true]) {
  test(`WSD-CCH-6 a buffer that was detached or resized is told of with the next registration${rdma ? ' of RDMA memory' : ''}`, () => {
    const provider = new Caching();
    const extensions = new CachedMemory().watch(provider.extensions);
    const detached = region(4096);
    const memory = resizable(64, 128);
    const resized: MemoryRegion = { bytes: new Uint8Array(memory), words: new Int32Array(memory) };
    const same = region(64);
    for (const one of [detached, resized, same]) register(extensions, one, rdma);
    detach(detached);
    (memory as { resize?(size: number): void }).resize!(32);
    assert.deepEqual(provider.told, []);
    register(extensions, region(8), rdma);
    assert.deepEqual(provider.told, [
      [detached.bytes.buffer, 4096],
      [memory, 64],
    ]);
    register(extensions, same, rdma);
    assert.equal(provider.told.length, 2, 'each once');
  });
}

test('no more than some buffers stay cached, the oldest go first, and what is in use stays', () => {
  const provider = new Caching();
  const extensions = new CachedMemory().watch(provider.extensions);
  const all = Array.from({ length: notedMax + 3 }, () => region(64));
  provider.inUse.add(all[0]!.bytes.buffer);
  for (const one of all.slice(0, notedMax)) register(extensions, one);
  assert.deepEqual(provider.told, []);
  // Used again, so it is not among the oldest.
  register(extensions, all[1]!);
  for (const one of all.slice(notedMax)) register(extensions, one);
  const told = new Set(provider.buffers);
  assert.deepEqual(
    [0, 1, 2, 3, 4].map((i) => told.has(all[i]!.bytes.buffer)),
    [true, false, true, true, false],
  );
  provider.inUse.clear();
  provider.told.length = 0;
  register(extensions, region(8));
  assert.equal(provider.buffers[0], all[0]!.bytes.buffer, 'asked again');
});

test('what could not be registered is not noted', () => {
  const provider = new Caching();
  const extensions = new CachedMemory().watch(provider.extensions);
  provider.failing = true;
  const memories = [region(64), region(64)];
  register(extensions, memories[0]!);
  register(extensions, memories[1]!, true);
  provider.failing = false;
  for (const one of memories) detach(one);
  register(extensions, region(8));
  assert.deepEqual(provider.told, []);
});

test('WSD-CCH-6 WSD-CCH-11 memory of the switch leaves the caches when its connection ends [simulated]', () => {
  const bench = new Bench({ providerMemory: false, registrationCache: true });
  const { client, stage } = bench;
  const { mine } = bench.pair();
  mine.connection.write(Buffer.alloc(10_000, 1), () => {});
  stage.settle();
  const { clientSocket } = bench;
  const from = client.log.calls.length;
  mine.connection.reset();
  stage.settle();
  const calls = client.log.calls.slice(from);
  const names = calls.map(({ fn }) => fn);
  assertSubsequence(names, ['WSPDeregisterMemory', 'WSPMemoryRegistrationCacheCallback', 'WSPCloseSocket']);
  const [told] = calls.filter(({ fn }) => fn === 'WSPMemoryRegistrationCacheCallback');
  assert.equal(told?.result, 0, 'it was cached');
  const { bytes } = told.args[0] as MemoryRegion;
  const registered = client.log.of('WSPRegisterMemory').filter((call) => call.socket === clientSocket);
  assert.ok(registered.some(({ args }) => (args[1] as MemoryRegion).bytes.buffer === bytes.buffer));
  const marks = ['NIC: memory registered', 'NIC: memory deregistered'].map((mark) => stage.world.marks.get(mark));
  assert.ok(marks[0]! > 0);
  assert.equal(marks[1], marks[0], 'nothing stays with the NIC');
});
