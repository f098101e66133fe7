/** The registration cache, by what its callback says: on every provider that has one. */

import assert from 'node:assert/strict';
import {
  MEM_READ,
  MEM_READWRITE,
  MEM_WRITE,
  type MemoryRegion,
  type ProviderSocket,
  WSA_IO_PENDING,
  WSAECONNRESET,
  WSAEFAULT,
  WSAEINVAL,
  type WSPMemoryRegistrationCacheCallback,
  WSPMemoryRegistrationCacheCallbackGuid,
  WSS_OPERATION_IN_PROGRESS,
} from '../../spi/index.js';
import { buffer, notify, poll, region } from '../memory.js';
import type { Node } from '../node.js';
import { connectedScenario, type Scenario } from '../scenario.js';

const caching = { needs: ['registrationCache'], registrationCache: true } as const;

/** What the callback says of all of a region: 0 or an error. */
function invalidate(node: Node, memory: MemoryRegion): number {
  const callback = node.extension<WSPMemoryRegistrationCacheCallback>(WSPMemoryRegistrationCacheCallbackGuid);
  const { errno } = node;
  return callback(memory, memory.bytes.length, errno) === 0 ? 0 : node.failure(-1);
}

/** Registers and deregisters for local use. */
function registered(node: Node, socket: ProviderSocket, memory: MemoryRegion, flags = MEM_READWRITE): void {
  const handle = node.registerMemory(socket, memory, 0, memory.bytes.length, flags, node.errno);
  assert.ok(handle !== null);
  assert.equal(node.deregisterMemory(socket, handle, node.errno), 0);
}

function expose(node: Node, socket: ProviderSocket, memory: MemoryRegion, flags = MEM_WRITE): Uint8Array {
  const descriptor = new Uint8Array(64);
  const size = { value: 64 };
  const { length } = memory.bytes;
  assert.equal(node.registerRdma(socket, memory, 0, length, flags, descriptor, size, node.errno), 0);
  return descriptor.slice(0, size.value);
}

function hide(node: Node, socket: ProviderSocket, descriptor: Uint8Array): number {
  return node.deregisterRdma(socket, descriptor, descriptor.length, node.errno);
}

export const registrationCache: readonly Scenario[] = [
  connectedScenario(
    'WSD-CCH-9 WSD-CCH-1 WSD-CCH-2 deregistered memory stays in the cache until the callback takes it out',
    ({ client }, mine) => {
      const memory = region(4096);
      registered(client, mine, memory);
      assert.equal(invalidate(client, memory), 0);
      assert.equal(invalidate(client, memory), WSAEINVAL, 'it is no longer there');
      registered(client, mine, memory);
      assert.equal(invalidate(client, memory), 0, 'it can be cached again');
    },
    caching,
  ),

  connectedScenario(
    'WSD-CCH-10 WSD-CCH-7 the callback: WSAEINVAL for what was never cached, WSAEFAULT for what is registered, and every socket counts',
    async (bench, mine) => {
      const { client } = bench;
      const other = await bench.connected();
      const memory = region(4096);
      assert.equal(invalidate(client, memory), WSAEINVAL);
      registered(client, mine, memory);
      const handle = client.registerMemory(other.mine, memory, 0, 64, MEM_READ, client.errno);
      assert.equal(invalidate(client, memory), WSAEFAULT, 'in use on another socket');
      assert.equal(client.send(other.mine, { buf: memory, offset: 0, len: 64 }, poll()), 0, 'and stays so');
      assert.equal(client.deregisterMemory(other.mine, handle!, client.errno), 0);
      assert.equal(invalidate(client, memory), 0);
      assert.equal(invalidate(client, memory), WSAEINVAL);
    },
    caching,
  ),

  connectedScenario(
    'WSD-CCH-3 the key is where memory lies: other memory with the same bytes is not meant, another view of it is',
    ({ client }, mine) => {
      const memory = region(4096);
      registered(client, mine, memory);
      assert.equal(invalidate(client, region(4096)), WSAEINVAL);
      const view: MemoryRegion = {
        bytes: new Uint8Array(memory.bytes.buffer),
        words: new Int32Array(memory.bytes.buffer),
      };
      assert.equal(invalidate(client, view), 0);
    },
    caching,
  ),

  connectedScenario(
    'WSD-CCH-5 memory from the cache is as good as any: the same checks, and what is written there arrives',
    async (bench, mine, theirs) => {
      const { client, server } = bench;
      const memory = region(64);
      registered(client, mine, memory);
      const at = { buf: memory, offset: 0, len: 4 };
      assert.equal(client.failure(client.send(mine, at, notify())), WSAEFAULT, 'cached is not registered');
      const handle = client.registerMemory(mine, memory, 0, 64, MEM_WRITE, client.errno);
      assert.ok(handle !== null);
      assert.equal(client.failure(client.send(mine, at, notify())), WSAEFAULT, 'for receiving only');
      const readable = client.registerMemory(mine, memory, 0, 64, MEM_READ, client.errno);
      assert.ok(readable !== null);
      memory.bytes.set(Buffer.from('hits'));
      const { at: posted } = bench.posted(theirs);
      assert.equal(client.send(mine, at, poll()), 0);
      await bench.received(1);
      assert.equal(Buffer.from(posted.buf.bytes.subarray(0, 4)).toString(), 'hits');
      assert.equal(server.completions[0]?.error, 0);
    },
    caching,
  ),

  connectedScenario(
    'WSD-CCH-12 WSD-CCH-15 deregistered RDMA memory stays in the cache in the same way',
    ({ server }, _mine, theirs) => {
      const memory = region(4096);
      const descriptor = expose(server, theirs, memory);
      assert.equal(invalidate(server, memory), WSAEFAULT, 'in use');
      assert.equal(hide(server, theirs, descriptor), 0);
      assert.equal(invalidate(server, memory), 0);
      assert.equal(invalidate(server, memory), WSAEINVAL);
    },
    caching,
  ),

  ...[false, true].map((again) =>
    connectedScenario(
      `WSD-CCH-13 WSD-CCH-14 cached RDMA memory cannot be reached by the peer${again ? ', and registered again only by its new descriptor' : ''}`,
      async (bench, mine, theirs) => {
        const { client, server } = bench;
        const memory = region(64);
        const old = expose(server, theirs, memory);
        assert.equal(hide(server, theirs, old), 0);
        const fresh = again ? expose(server, theirs, memory) : old;
        const source = client.memory(mine, 64);
        source.memory.bytes.fill(7);
        const write = (descriptor: Uint8Array): void => {
          const list = [buffer(source)];
          const { errno } = client;
          const { length } = descriptor;
          const result = client.rdmaWrite(mine, list, 1, descriptor, length, 0, null, 0, poll(), null, null, errno);
          if (result !== 0) assert.equal(client.failure(result), WSA_IO_PENDING);
        };
        if (again) {
          assert.notDeepEqual(fresh, old);
          write(fresh);
          await bench.until(() => memory.bytes.every((byte) => byte === 7), 'it is exposed again');
          memory.bytes.fill(0);
        }
        const { overlapped } = bench.posted(theirs);
        write(old);
        await bench.until(() => overlapped.Internal !== WSS_OPERATION_IN_PROGRESS, 'the connection has ended');
        assert.equal(overlapped.Internal, WSAECONNRESET);
        assert.ok(memory.bytes.every((byte) => byte === 0));
      },
      caching,
    ),
  ),

  connectedScenario(
    'WSD-CCH-11 what is cached is released before the connection is closed',
    async (bench, mine, theirs) => {
      const { client, server } = bench;
      const memory = region(4096);
      registered(client, mine, memory);
      client.post(mine, 64);
      const found: number[] = [];
      // The first thing that the switch is told of the close is the end of the receive.
      client.onUpcall = (what) => {
        if (what.startsWith('complete')) found.push(invalidate(client, memory));
      };
      client.close(mine);
      client.onUpcall = null;
      assert.deepEqual(found, [WSAEINVAL]);
      assert.equal(invalidate(client, memory), WSAEINVAL);
      const late = region(64);
      hide(server, theirs, expose(server, theirs, late));
      server.close(theirs);
      assert.equal(invalidate(server, late), WSAEINVAL);
    },
    caching,
  ),
];
