/** What is the simulated provider's own: knobs of its NIC. The contract itself has tests for all providers. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buffer, type Memory, notify, poll, region, text } from '../../src/conformance/memory.js';
import { SimulatedProvider } from '../../src/providers/simulated/provider.js';
import {
  MEM_READ,
  MEM_READWRITE,
  MEM_WRITE,
  ProviderMemoryGuid,
  type ProviderSocket,
  WSA_IO_PENDING,
  WSAECONNRESET,
  WSAEINVAL,
  WSAEOPNOTSUPP,
  type WSAOVERLAPPED,
  type WSPRdmaRead,
  WSPRdmaReadGuid,
  type WSPRdmaWrite,
  WSPRdmaWriteGuid,
  WSS_OPERATION_IN_PROGRESS,
} from '../../src/spi/index.js';
import { connectedOn, type Node } from '../provider/support.js';

function simulatedOf(node: Node): SimulatedProvider {
  assert.ok(node.party.provider instanceof SimulatedProvider);
  return node.party.provider;
}

/** RDMA memory of a node with a text in it, and its descriptor. */
function exposed(node: Node, socket: ProviderSocket, access: number) {
  const memory = region(64);
  memory.bytes.set(Buffer.from('exposed'));
  const descriptor = new Uint8Array(16);
  assert.equal(node.registerRdma(socket, memory, 0, 64, access, descriptor, { value: 16 }, node.errno), 0);
  return { memory, descriptor };
}

/** WSPRdmaRead or WSPRdmaWrite of all of the local memory. */
function transfer(node: Node, socket: ProviderSocket, guid: string, local: Memory, descriptor: Uint8Array, offset = 0) {
  const overlapped = poll();
  const move = node.extension<WSPRdmaRead | WSPRdmaWrite>(guid);
  const list = [buffer(local)];
  const result = move(socket, list, 1, descriptor, 16, offset, null, 0, overlapped, null, null, node.errno);
  assert.equal(node.failure(result), WSA_IO_PENDING);
  return overlapped;
}

const isDone = ({ Internal }: WSAOVERLAPPED): boolean => Internal !== WSS_OPERATION_IN_PROGRESS;

test(
  '[simulated] WSD-NEG-12 with flow control messages wait for their buffers, and none is lost',
  connectedOn(
    'simulated',
    async (bench, mine, theirs) => {
      const sends = [bench.client.say(mine, 'one', poll()), bench.client.say(mine, 'two', poll())];
      await bench.settle();
      assert.ok(!sends.some(isDone));
      const [first, second] = [bench.posted(theirs), bench.posted(theirs)];
      await bench.until(() => sends.every(isDone), 'both are sent');
      await bench.received(2);
      assert.deepEqual([text(first.at, 3), text(second.at, 3)], ['one', 'two']);
    },
    { simulated: { flowControl: true, immediateSends: false } },
  ),
);

test(
  'a message without a buffer resets the connection, once buffers have been posted',
  connectedOn('simulated', async (bench, mine, theirs) => {
    const answer = bench.client.post(mine, 300);
    const first = bench.posted(theirs);
    bench.client.say(mine, 'one', poll());
    bench.client.say(mine, 'two', poll());
    await bench.until(() => isDone(answer.overlapped), 'the connection ends');
    assert.equal(answer.overlapped.Internal, WSAECONNRESET);
    assert.equal(first.overlapped.InternalHigh, 3);
  }),
);

test(
  'sends stay pending where the NIC is asked for that, and read their memory late',
  connectedOn(
    'simulated',
    async (bench, mine, theirs) => {
      const { client } = bench;
      const { at } = bench.posted(theirs);
      const { memory } = client.memory(mine, 5);
      memory.bytes.set(Buffer.from('first'));
      const overlapped = notify();
      const result = client.send(mine, { buf: memory, offset: 0, len: 5 }, overlapped);
      assert.equal(client.failure(result), WSA_IO_PENDING);
      // What a switch must not do.
      memory.bytes.set(Buffer.from('spoil'));
      await bench.until(() => isDone(overlapped), 'it is sent');
      assert.equal(text(at, 5), 'spoil');
      assert.equal(overlapped.Internal, 0);
    },
    { simulated: { immediateSends: false } },
  ),
);

test(
  '[simulated] WSD-INI-15 extensions that are switched off are refused',
  connectedOn(
    'simulated',
    ({ client }) => {
      for (const guid of [ProviderMemoryGuid, WSPRdmaReadGuid]) {
        assert.equal(client.failure(client.fetch(guid, { value: null })), WSAEOPNOTSUPP);
      }
    },
    { simulated: { providerMemory: false, rdmaRead: false } },
  ),
);

test(
  '[simulated] WSD-XFR-32 RDMA moves bytes both ways, and needs nothing of the peer',
  connectedOn('simulated', async (bench, mine, theirs) => {
    const { client, server } = bench;
    const { memory, descriptor } = exposed(server, theirs, MEM_READWRITE);
    const { process } = simulatedOf(server);
    process.stop();
    const local = client.memory(mine, 7);
    const reading = transfer(client, mine, WSPRdmaReadGuid, local, descriptor);
    await bench.until(() => isDone(reading), 'it is read');
    assert.equal(text(buffer(local), 7), 'exposed');
    const writing = transfer(client, mine, WSPRdmaWriteGuid, local, descriptor, 8);
    await bench.until(() => isDone(writing), 'it is written');
    assert.equal(Buffer.from(memory.bytes).toString('latin1', 8, 15), 'exposed');
    process.resume();
  }),
);

for (const [what, access, guid, offset] of [
  ['a write to what may be read', MEM_READ, WSPRdmaWriteGuid, 0],
  ['a read of what may be written', MEM_WRITE, WSPRdmaReadGuid, 0],
  ['a write beyond the end', MEM_READWRITE, WSPRdmaWriteGuid, 60],
  ['a read beyond the end', MEM_READWRITE, WSPRdmaReadGuid, 60],
] as const) {
  test(
    `[simulated] WSD-MEM-12 WSD-MEM-13 WSD-MEM-31 an RDMA operation that is not allowed moves nothing and ends the connection: ${what}`,
    connectedOn('simulated', async (bench, mine, theirs) => {
      const { client, server } = bench;
      const { memory, descriptor } = exposed(server, theirs, access);
      const before = Buffer.from(memory.bytes);
      const local = client.memory(mine, 8);
      const overlapped = transfer(client, mine, guid, local, descriptor, offset);
      await bench.until(() => isDone(overlapped), 'it has failed');
      assert.equal(overlapped.Internal, WSAECONNRESET);
      assert.deepEqual(Buffer.from(memory.bytes), before);
      assert.deepEqual(Buffer.from(local.memory.bytes), Buffer.alloc(8));
    }),
  );
}

test(
  '[simulated] WSD-MEM-26 RDMA memory that the peer is using cannot be released',
  connectedOn('simulated', async (bench, mine, theirs) => {
    const { client, server } = bench;
    const { memory, descriptor } = exposed(server, theirs, MEM_READWRITE);
    const local = client.memory(mine, 64);
    local.memory.bytes.fill(1);
    transfer(client, mine, WSPRdmaWriteGuid, local, descriptor);
    const release = (): number => server.deregisterRdma(theirs, descriptor, 16, server.errno);
    const { sockets } = simulatedOf(server);
    const isBusy = (): boolean =>
      [...sockets].some(({ rdma }) => rdma.find(descriptor, 0, 1, MEM_WRITE)?.transfers === 1);
    await bench.until(isBusy, 'bytes are moving');
    assert.equal(server.failure(release()), WSAEINVAL);
    await bench.until(() => memory.bytes[0] === 1, 'they have been moved');
    assert.equal(release(), 0);
  }),
);
