/** What only RDMA of shared memory has: two ways of reading, and a table of what may be read without asking. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { buffer, notify, poll, region } from '../../src/conformance/memory.js';
import { EXPOSURES } from '../../src/providers/shared-memory/exposures.js';
import type { SharedMemoryProvider } from '../../src/providers/shared-memory/provider.js';
import {
  MEM_READ,
  type MemoryRegion,
  type ProviderSocket,
  WSAECONNRESET,
  WSAEFAULT,
  WSAEINVAL,
  type WSAOVERLAPPED,
  type WSPRdmaRead,
  WSPRdmaReadGuid,
  WSS_OPERATION_IN_PROGRESS,
} from '../../src/spi/index.js';
import { until } from '../link/support.js';
import { connectedOn, type Node, type ProviderBench } from '../provider/support.js';
import { join } from './link-support.js';

const allowed = process.env.SOCKETS_DIRECT_PEER_MEMORY !== 'off';
const ways = allowed ? ([true, false] as const) : ([false] as const);

function expose(node: Node, socket: ProviderSocket, memory: MemoryRegion): Uint8Array {
  const descriptor = new Uint8Array(16);
  const { length } = memory.bytes;
  assert.equal(node.registerRdma(socket, memory, 0, length, MEM_READ, descriptor, { value: 16 }, node.errno), 0);
  return descriptor;
}

function read(
  node: Node,
  socket: ProviderSocket,
  list: Parameters<WSPRdmaRead>[1],
  descriptor: Uint8Array,
  overlapped: WSAOVERLAPPED,
): number {
  const rdmaRead = node.extension<WSPRdmaRead>(WSPRdmaReadGuid);
  return rdmaRead(socket, list, list.length, descriptor, 16, 0, null, 0, overlapped, null, null, node.errno);
}

const isOver = (overlapped: WSAOVERLAPPED) => (): boolean => overlapped.Internal !== WSS_OPERATION_IN_PROGRESS;

/** Bytes that are sent to the ring for a reader do not come this way. */
function messages({ client }: ProviderBench): number {
  const { links } = client.party.provider as SharedMemoryProvider;
  return [...links!.all].reduce((sum, { counters }) => sum + counters.messages, 0);
}

const filled = (size: number, value: number): MemoryRegion => {
  const memory = region(size);
  memory.bytes.fill(value);
  return memory;
};

for (const direct of ways) {
  const way = direct ? 'direct' : 'over the ring';
  const options = { peerMemory: direct };

  test(
    `[shared-memory] more registrations than the table has are read all the same (${way})`,
    connectedOn(
      'shared-memory',
      async (bench, mine, theirs) => {
        const { client, server } = bench;
        const memories = Array.from({ length: EXPOSURES + 8 }, (_, i) => filled(256, i + 1));
        const descriptors = memories.map((memory) => expose(server, theirs, memory));
        const target = client.memory(mine, 256);
        const before = messages(bench);
        for (const [i, descriptor] of descriptors.entries()) {
          const overlapped = poll();
          read(client, mine, [buffer(target)], descriptor, overlapped);
          await bench.until(isOver(overlapped), 'it is read');
          assert.deepEqual(client.result(mine, overlapped), [true, 256, 0]);
          assert.ok(
            target.memory.bytes.every((byte) => byte === i + 1),
            `registration ${i}: ${target.memory.bytes.slice(0, 4)}`,
          );
        }
        assert.equal(messages(bench) - before, direct ? 8 : EXPOSURES + 8, 'bytes that came by records');
        for (const descriptor of descriptors)
          assert.equal(server.deregisterRdma(theirs, descriptor, 16, server.errno), 0);
        // The places in the table are free again.
        const again = expose(server, theirs, memories[0]!);
        read(client, mine, [buffer(target)], again, poll());
        assert.equal(messages(bench) - before, direct ? 8 : EXPOSURES + 8);
      },
      options,
    ),
  );

  test(
    `[shared-memory] WSD-MEM-26 a read that takes several turns keeps its memory registered until it is done (${way})`,
    connectedOn(
      'shared-memory',
      async (bench, mine, theirs) => {
        const { client, server } = bench;
        const size = 8 << 20;
        const memory = filled(size, 3);
        const descriptor = expose(server, theirs, memory);
        const target = client.memory(mine, size);
        const overlapped = poll();
        assert.notEqual(read(client, mine, [buffer(target)], descriptor, overlapped), 0);
        const deregister = (): number => server.deregisterRdma(theirs, descriptor, 16, server.errno);
        const before = messages(bench);
        let refused = 0;
        await bench.until(() => {
          if (isOver(overlapped)()) return true;
          // Before its first bytes come the peer knows nothing of the read.
          if (!direct && messages(bench) === before) return false;
          if (deregister() === 0) return isOver(overlapped)();
          assert.equal(server.errno.value, WSAEINVAL);
          refused++;
          return false;
        }, 'it is read');
        assert.ok(refused > 0);
        assert.deepEqual(client.result(mine, overlapped), [true, size, 0]);
        assert.ok(target.memory.bytes.every((byte) => byte === 3));
      },
      options,
    ),
  );

  test(
    `[shared-memory] memory that is detached though it is registered ends the operation, on either side (${way})`,
    connectedOn(
      'shared-memory',
      async (bench, mine, theirs) => {
        const { client, server } = bench;
        const size = 8 << 20;
        const detach = ({ bytes }: MemoryRegion): void => {
          structuredClone(bytes.buffer, { transfer: [bytes.buffer as ArrayBuffer] });
        };
        const descriptor = expose(server, theirs, filled(size, 3));
        const target = client.memory(mine, size);
        const overlapped = poll();
        read(client, mine, [buffer(target)], descriptor, overlapped);
        detach(target.memory);
        await bench.until(isOver(overlapped), 'it has ended');
        assert.equal(overlapped.Internal, direct ? WSAEFAULT : WSAECONNRESET);
        if (direct) return;
        const second = await bench.connected();
        const theirMemory = filled(size, 4);
        const other = expose(server, second.theirs, theirMemory);
        const reading = poll();
        read(client, second.mine, [buffer(client.memory(second.mine, size))], other, reading);
        detach(theirMemory);
        await bench.until(isOver(reading), 'that one has ended');
        assert.equal(reading.Internal, WSAECONNRESET);
      },
      options,
    ),
  );

  test(
    `[shared-memory] WSD-MEM-32 registered memory stays where it is, and is there as long as it is registered (${way})`,
    connectedOn(
      'shared-memory',
      async (bench, mine, theirs) => {
        const { client, server } = bench;
        setFlagsFromString('--expose-gc');
        const collect = runInNewContext('gc') as () => void;
        let gone = 0;
        const registry = new FinalizationRegistry(() => gone++);
        const exposeUnheld = (value: number): Uint8Array => {
          const memory = filled(1 << 20, value);
          registry.register(memory.bytes.buffer, null);
          return expose(server, theirs, memory);
        };
        const descriptor = exposeUnheld(9);
        const passing = exposeUnheld(8);
        assert.equal(server.deregisterRdma(theirs, passing, 16, server.errno), 0);
        await bench.until(() => {
          collect();
          return gone === 1;
        }, 'what is cached only is collected');
        const target = client.memory(mine, 1 << 20);
        const overlapped = poll();
        read(client, mine, [buffer(target)], descriptor, overlapped);
        await bench.until(isOver(overlapped), 'it is read');
        assert.ok(target.memory.bytes.every((byte) => byte === 9));
        assert.equal(gone, 1);
      },
      options,
    ),
  );
}

test('whoever is told of the end of an operation may throw, and the next one goes on', async () => {
  const { a, b, connected } = join();
  const [reader, owner] = connected();
  const memory = filled(1000, 5);
  const descriptor = new Uint8Array(16);
  assert.equal(owner.rdma.register(memory, 0, 1000, MEM_READ, descriptor), 0);
  const into = [filled(1000, 0), filled(1000, 0)];
  for (const buf of into) {
    reader.connection.transfers.start(true, [{ buf, offset: 0, len: 1000 }], descriptor, 0, notify());
  }
  reader.onCompletion = () => {
    reader.onCompletion = null;
    throw new Error('from the program');
  };
  let thrown = 0;
  const turns = (): void => {
    for (const loop of [a, b, a]) {
      try {
        loop.turn();
      } catch {
        thrown++;
      }
    }
  };
  await until(() => {
    turns();
    return reader.completions.length === 2;
  }, 'both are told');
  assert.equal(thrown, 1);
  assert.ok(into.every(({ bytes }) => bytes.every((byte) => byte === 5)));
});
