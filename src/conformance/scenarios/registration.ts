/** Registered memory, and RDMA into and out of it. */

import assert from 'node:assert/strict';
import {
  MEM_READ,
  MEM_READWRITE,
  MEM_WRITE,
  type MemoryRegion,
  type ProviderSocket,
  WSA_IO_PENDING,
  WSA_OPERATION_ABORTED,
  type WSABUF,
  WSAECONNRESET,
  WSAEFAULT,
  WSAEINVAL,
  WSAENOTCONN,
  type WSAOVERLAPPED,
  WSS_OPERATION_IN_PROGRESS,
} from '../../spi/index.js';
import { buffer, notify, poll, region, text } from '../memory.js';
import type { Node } from '../node.js';
import { connectedScenario, type Scenario } from '../scenario.js';

interface Exposed {
  readonly memory: MemoryRegion;
  readonly descriptor: Uint8Array;
}

/** RDMA memory of a node: 32 bytes in the middle of 64, and their descriptor. */
function expose(node: Node, socket: ProviderSocket, flags = MEM_WRITE): Exposed {
  const memory = region(64);
  const descriptor = new Uint8Array(64);
  const length = { value: 64 };
  assert.equal(node.registerRdma(socket, memory, 16, 32, flags, descriptor, length, node.errno), 0);
  return { memory, descriptor: descriptor.slice(0, length.value) };
}

/** Writes the text into RDMA memory of the peer; done or pending. */
function write(
  node: Node,
  socket: ProviderSocket,
  descriptor: Uint8Array,
  offset: number,
  bytes: string,
  overlapped: WSAOVERLAPPED = poll(),
): void {
  const source = node.memory(socket, 64);
  source.memory.bytes.set(Buffer.from(bytes));
  const list = [buffer(source, 0, bytes.length)];
  const { length } = descriptor;
  const { errno } = node;
  const result = node.rdmaWrite(socket, list, 1, descriptor, length, offset, null, 0, overlapped, null, null, errno);
  if (result !== 0) assert.equal(node.failure(result), WSA_IO_PENDING);
}

export const registration: readonly Scenario[] = [
  connectedScenario(
    'WSD-MEM-12 WSD-MEM-13 WSD-MEM-4 a registration allows its own access on its own socket only',
    async (bench, mine) => {
      const { client } = bench;
      const memory = region(64);
      const at: WSABUF = { len: 64, buf: memory, offset: 0 };
      client.registerMemory(mine, memory, 0, 64, MEM_READ, client.errno);
      assert.equal(client.failure(client.recv(mine, at, notify())), WSAEFAULT, 'for sending only');
      const other = region(64);
      client.registerMemory(mine, other, 0, 64, MEM_WRITE, client.errno);
      assert.equal(client.failure(client.send(mine, { ...at, buf: other }, notify())), WSAEFAULT, 'for receiving only');
      const second = await bench.connected();
      assert.equal(client.failure(client.send(second.mine, at, notify())), WSAEFAULT, 'of another socket');
      client.started(client.send(mine, at, poll()));
    },
  ),

  connectedScenario('WSD-MEM-15 WSD-MEM-16 registration errors', (bench, mine) => {
    const { client } = bench;
    const memory = region(64);
    const register = (socket: ProviderSocket, offset: number, length: number, flags: number): number =>
      client.failure(client.registerMemory(socket, memory, offset, length, flags, client.errno));
    for (const flags of [0, 4, 7, -1]) assert.equal(register(mine, 0, 64, flags), WSAEINVAL);
    for (const [offset, length] of [
      [0, 65],
      [64, 1],
      [-8, 16],
      [0, 0],
      [0, -1],
      [1e9, 1],
    ] as const) {
      assert.equal(register(mine, offset, length, MEM_READ), WSAEFAULT);
    }
    assert.equal(register(client.socket(), 0, 64, MEM_READ), WSAENOTCONN);
  }),

  connectedScenario(
    'WSD-MEM-17 WSD-MEM-18 WSD-MEM-21 deregistration: unknown, of another socket, in use, counted',
    async (bench, mine, theirs) => {
      const { server } = bench;
      const { deregisterMemory, errno } = server;
      const memory = server.memory(theirs, 64);
      const second = server.registerMemory(theirs, memory.memory, 0, 64, MEM_READWRITE, errno);
      assert.equal(deregisterMemory(theirs, second!, errno), 0, 'registered twice, so still registered');
      assert.equal(server.failure(server.recv(theirs, buffer(memory), notify())), WSA_IO_PENDING);
      assert.equal(server.failure(deregisterMemory(theirs, memory.handle, errno)), WSAEINVAL, 'in use');
      const other = await bench.connected();
      assert.equal(server.failure(deregisterMemory(other.theirs, memory.handle, errno)), WSAEINVAL);
      bench.client.say(mine, 'x');
      await bench.received(1);
      assert.equal(deregisterMemory(theirs, memory.handle, errno), 0, 'no longer in use');
      assert.equal(server.failure(deregisterMemory(theirs, memory.handle, errno)), WSAEINVAL);
      assert.equal(server.failure(server.recv(theirs, buffer(memory), notify())), WSAEFAULT);
    },
  ),

  connectedScenario(
    'WSD-MEM-22 WSD-MEM-23 WSD-MEM-24 the descriptor goes into the memory of the switch, whose size can be probed',
    (bench, _mine, theirs) => {
      const { server } = bench;
      const { registerRdma, errno } = server;
      const memory = region(64);
      const length = { value: 0 };
      assert.equal(server.failure(registerRdma(theirs, memory, 0, 64, MEM_WRITE, null, length, errno)), WSAEFAULT);
      const needed = length.value;
      assert.ok(needed > 0);
      length.value = needed - 1;
      const descriptor = new Uint8Array(needed + 8);
      const short = registerRdma(theirs, memory, 0, 64, MEM_WRITE, descriptor, length, errno);
      assert.equal(server.failure(short), WSAEFAULT);
      assert.equal(length.value, needed);
      assert.ok(descriptor.every((byte) => byte === 0));
      length.value = needed + 8;
      assert.equal(registerRdma(theirs, memory, 0, 64, MEM_WRITE, descriptor, length, errno), 0);
      assert.equal(length.value, needed);
    },
  ),

  connectedScenario(
    'WSD-MEM-25 WSD-MEM-26 RDMA registration errors, and deregistration of what is not registered',
    (bench, _mine, theirs) => {
      const { server } = bench;
      const { errno } = server;
      const memory = region(64);
      const descriptor = new Uint8Array(64);
      const register = (socket: ProviderSocket, offset: number, length: number, flags: number): number => {
        const size = { value: 64 };
        return server.failure(server.registerRdma(socket, memory, offset, length, flags, descriptor, size, errno));
      };
      for (const flags of [0, 4, -1]) assert.equal(register(theirs, 0, 64, flags), WSAEINVAL);
      for (const [offset, length] of [
        [0, 65],
        [-1, 8],
        [64, 1],
      ] as const) {
        assert.equal(register(theirs, offset, length, MEM_READ), WSAEFAULT);
      }
      assert.equal(register(server.socket(), 0, 64, MEM_READ), WSAENOTCONN);
      const exposed = expose(server, theirs).descriptor;
      const deregister = (bytes: Uint8Array, length = bytes.length): number =>
        server.deregisterRdma(theirs, bytes, length, errno);
      const strange = exposed.slice();
      strange[0] = (strange[0] ?? 0) ^ 1;
      assert.equal(server.failure(deregister(strange)), WSAEINVAL);
      assert.equal(server.failure(deregister(exposed, exposed.length - 1)), WSAEINVAL);
      assert.equal(deregister(exposed), 0);
      assert.equal(server.failure(deregister(exposed)), WSAEINVAL);
    },
  ),

  connectedScenario(
    'WSD-XFR-31 WSD-XFR-32 a write goes into the RDMA memory of the peer, before the next message, and asks nobody there',
    async (bench, mine, theirs) => {
      const { server, client } = bench;
      const { memory, descriptor } = expose(server, theirs);
      const { at } = bench.posted(theirs);
      write(client, mine, descriptor, 4, 'written');
      client.say(mine, 'after', poll());
      await bench.received(1);
      assert.equal(Buffer.from(memory.bytes.subarray(20, 27)).toString(), 'written');
      assert.ok(memory.bytes.every((byte, i) => byte === 0 || (i >= 20 && i < 27)));
      assert.equal(text(at, 5), 'after');
      assert.equal(server.completions.length, 1);
    },
    { needs: ['rdmaWrite'] },
  ),

  connectedScenario(
    'WSD-XFR-32 WSD-OVL-21 an RDMA write has its result from WSPGetOverlappedResult, and the peer is not told',
    async (bench, mine, theirs) => {
      const { server, client } = bench;
      const to = expose(server, theirs);
      const overlapped = poll();
      write(client, mine, to.descriptor, 0, 'written', overlapped);
      await bench.until(() => overlapped.Internal !== WSS_OPERATION_IN_PROGRESS, 'it is written');
      assert.deepEqual(client.result(mine, overlapped), [true, 7, 0]);
      assert.deepEqual(server.completions, []);
    },
    { needs: ['rdmaWrite'] },
  ),

  connectedScenario(
    'WSD-MEM-31 WSD-MEM-12 WSD-MEM-10 a write out of bounds, to read-only or deregistered memory changes nothing and ends the connection',
    async (bench) => {
      const { server, client } = bench;
      const attempts: Readonly<Record<string, (theirs: ProviderSocket) => Exposed & { offset: number }>> = {
        bounds: (theirs) => ({ ...expose(server, theirs), offset: 28 }),
        'before the start': (theirs) => ({ ...expose(server, theirs), offset: -4 }),
        'read-only': (theirs) => ({ ...expose(server, theirs, MEM_READ), offset: 0 }),
        deregistered: (theirs) => {
          const exposed = expose(server, theirs);
          const { descriptor } = exposed;
          assert.equal(server.deregisterRdma(theirs, descriptor, descriptor.length, server.errno), 0);
          return { ...exposed, offset: 0 };
        },
      };
      for (const [what, attempt] of Object.entries(attempts)) {
        const { mine, theirs } = await bench.connected();
        server.completions.length = 0;
        bench.posted(theirs);
        const { memory, descriptor, offset } = attempt(theirs);
        write(client, mine, descriptor, offset, 'written');
        await bench.received(1);
        assert.equal(server.completions[0]?.error, WSAECONNRESET, what);
        assert.ok(
          memory.bytes.every((byte) => byte === 0),
          what,
        );
      }
    },
    { needs: ['rdmaWrite'] },
  ),

  connectedScenario(
    'WSD-MEM-6 WSD-MEM-9 a descriptor is good on the connection of its own socket only',
    async (bench, mine, theirs) => {
      const { server, client } = bench;
      const { memory, descriptor } = expose(server, theirs);
      const other = await bench.connected();
      const { overlapped } = bench.posted(other.theirs);
      write(client, other.mine, descriptor, 0, 'written');
      await bench.until(() => overlapped.Internal !== WSS_OPERATION_IN_PROGRESS, 'that connection ends');
      assert.equal(overlapped.Internal, WSAECONNRESET);
      assert.ok(memory.bytes.every((byte) => byte === 0));
      bench.posted(theirs);
      write(client, mine, descriptor, 0, 'written');
      client.say(mine, 'x', poll());
      await bench.until(() => memory.bytes.some((byte) => byte !== 0), 'on its own it works');
    },
    { needs: ['rdmaWrite'] },
  ),

  connectedScenario(
    'WSD-MEM-10 WSD-MEM-30 a close releases all memory: what is pending ends, and the peer reaches nothing any more',
    async (bench, mine, theirs) => {
      const { server, client } = bench;
      const { memory, descriptor } = expose(server, theirs);
      const { overlapped } = bench.posted(theirs);
      server.close(theirs);
      assert.equal(overlapped.Internal, WSA_OPERATION_ABORTED);
      // The client has not been told yet, so its write is on the way.
      write(client, mine, descriptor, 0, 'written');
      await bench.settle();
      assert.ok(memory.bytes.every((byte) => byte === 0));
    },
    { needs: ['rdmaWrite'] },
  ),

  connectedScenario(
    'WSD-MEM-3 WSD-MEM-4 WSD-XFR-30 a handle is good on its own socket of its own process, for the memory that it names',
    async (bench, mine, theirs) => {
      const { server, client } = bench;
      const { descriptor } = expose(server, theirs);
      const own = client.memory(mine, 64);
      const second = await bench.connected();
      const elsewhere = client.memory(second.mine, 64);
      const foreign = server.memory(theirs, 64);
      const { length } = descriptor;
      const attempt = (list: Parameters<Node['rdmaWrite']>[1]): number => {
        const { errno } = client;
        return client.rdmaWrite(mine, list, 1, descriptor, length, 0, null, 0, poll(), null, null, errno);
      };
      for (const [what, handle] of Object.entries({ 'of another socket': elsewhere, 'of another process': foreign })) {
        assert.equal(client.failure(attempt([buffer(handle, 0, 8)])), WSAEFAULT, what);
        const disguised = [{ ...buffer(own, 0, 8), handle: handle.handle }];
        assert.equal(client.failure(attempt(disguised)), WSAEFAULT, what);
        assert.equal(client.failure(client.deregisterMemory(mine, handle.handle, client.errno)), WSAEINVAL, what);
      }
      const result = attempt([buffer(own, 0, 8)]);
      if (result !== 0) assert.equal(client.failure(result), WSA_IO_PENDING);
    },
    { needs: ['rdmaWrite'] },
  ),

  connectedScenario(
    'WSD-MEM-7 WSD-MEM-8 WSD-MEM-11 a peer that invents descriptors reaches nothing, neither RDMA memory nor what is registered for local use',
    async (bench) => {
      const { server, client } = bench;
      for (let at = 0; at < 12; at++) {
        const { mine, theirs } = await bench.connected();
        const { memory, descriptor } = expose(server, theirs);
        const local = server.memory(theirs, 64);
        const invented = descriptor.slice();
        const i = at % invented.length;
        invented[i] = (invented[i] ?? 0) ^ (1 << (at % 8));
        server.completions.length = 0;
        const { overlapped } = bench.posted(theirs);
        write(client, mine, invented, 0, 'written');
        await bench.until(() => overlapped.Internal !== WSS_OPERATION_IN_PROGRESS, 'the connection ends');
        assert.equal(overlapped.Internal, WSAECONNRESET);
        assert.ok([...memory.bytes, ...local.memory.bytes].every((byte) => byte === 0));
      }
    },
    { needs: ['rdmaWrite'] },
  ),
];
