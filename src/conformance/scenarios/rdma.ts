/** RDMA reads and large RDMA: on every provider that offers WSPRdmaRead. */

import assert from 'node:assert/strict';
import {
  MEM_READ,
  MEM_WRITE,
  type MemoryRegion,
  type ProviderSocket,
  WSA_IO_PENDING,
  WSA_OPERATION_ABORTED,
  type WSABUFEX,
  WSAECONNABORTED,
  WSAECONNRESET,
  WSAEFAULT,
  WSAEINVAL,
  type WSAOVERLAPPED,
  type WSPRdmaRead,
  WSPRdmaReadGuid,
  WSS_OPERATION_IN_PROGRESS,
} from '../../spi/index.js';
import { buffer, notify, numbers, poll, region, text } from '../memory.js';
import type { Node } from '../node.js';
import { connectedScenario, type Scenario } from '../scenario.js';

interface Exposed {
  readonly memory: MemoryRegion;
  readonly descriptor: Uint8Array;
}

/** RDMA memory for the peer: all of a region but 8 bytes at either end, filled with a pattern. */
function expose(node: Node, socket: ProviderSocket, size: number, flags = MEM_READ): Exposed {
  const memory = region(size + 16);
  const next = numbers(size);
  for (let i = 0; i < memory.bytes.length; i++) memory.bytes[i] = next(256);
  const descriptor = new Uint8Array(64);
  const length = { value: 64 };
  assert.equal(node.registerRdma(socket, memory, 8, size, flags, descriptor, length, node.errno), 0);
  return { memory, descriptor: descriptor.slice(0, length.value) };
}

function deregister(node: Node, socket: ProviderSocket, { descriptor }: Exposed): number {
  return node.deregisterRdma(socket, descriptor, descriptor.length, node.errno);
}

/** Starts a read; true: it is done. */
function read(
  node: Node,
  socket: ProviderSocket,
  list: readonly WSABUFEX[],
  { descriptor }: Exposed,
  offset: number,
  overlapped: WSAOVERLAPPED,
): boolean {
  const rdmaRead = node.extension<WSPRdmaRead>(WSPRdmaReadGuid);
  const { length } = descriptor;
  const { errno } = node;
  const result = rdmaRead(
    socket,
    list,
    list.length,
    descriptor,
    length,
    offset,
    null,
    0,
    overlapped,
    null,
    null,
    errno,
  );
  if (result === 0) return true;
  assert.equal(node.failure(result), WSA_IO_PENDING);
  return false;
}

const isOver = (overlapped: WSAOVERLAPPED) => (): boolean => overlapped.Internal !== WSS_OPERATION_IN_PROGRESS;

export const rdma: readonly Scenario[] = [
  connectedScenario(
    'WSD-XFR-32 WSD-OVL-21 an RDMA read moves bytes the other way, has its result from WSPGetOverlappedResult, and asks nobody',
    async (bench, mine, theirs) => {
      const { server, client } = bench;
      const memory = region(64);
      memory.bytes.set(Buffer.from('to be read'), 16);
      const descriptor = new Uint8Array(64);
      const length = { value: 64 };
      assert.equal(server.registerRdma(theirs, memory, 16, 32, MEM_READ, descriptor, length, server.errno), 0);
      const read = client.extension<WSPRdmaRead>(WSPRdmaReadGuid);
      const target = client.memory(mine, 16);
      const reading = notify();
      const list = [buffer(target, 8, 4)];
      const result = read(mine, list, 1, descriptor, length.value, 6, null, 0, reading, null, null, client.errno);
      client.started(result);
      await bench.until(() => client.completions.some((one) => one.overlapped === reading), 'it is read');
      assert.deepEqual(client.result(mine, reading), [true, 4, 0]);
      assert.equal(Buffer.from(target.memory.bytes).toString('latin1'), '\0\0\0\0\0\0\0\0read\0\0\0\0');
      assert.deepEqual(server.completions, []);
    },
    { needs: ['rdmaRead'] },
  ),

  connectedScenario(
    'WSD-XFR-32 a read of any size goes into several buffers, and the switch of the peer is told nothing',
    async (bench, mine, theirs) => {
      const { client, server } = bench;
      for (const size of [1, 8, 4097, 65_536, 300_001, 1_048_576]) {
        const from = expose(server, theirs, size);
        const target = client.memory(mine, size + 64);
        const first = Math.ceil(size / 3);
        const overlapped = poll();
        read(client, mine, [buffer(target, 0, first), buffer(target, first + 64, size - first)], from, 0, overlapped);
        await bench.until(isOver(overlapped), `${size} bytes are read`);
        assert.deepEqual(client.result(mine, overlapped), [true, size, 0]);
        const got = Buffer.concat([
          target.memory.bytes.subarray(0, first),
          target.memory.bytes.subarray(first + 64, size + 64),
        ]);
        assert.ok(got.equals(from.memory.bytes.subarray(8, size + 8)), `${size} bytes`);
        assert.ok(target.memory.bytes.subarray(first, first + 64).every((byte) => byte === 0));
        assert.equal(deregister(server, theirs, from), 0);
      }
      assert.deepEqual([server.completions, server.log], [[], []]);
    },
    { needs: ['rdmaRead'] },
  ),

  connectedScenario(
    'WSD-XFR-34 a message does not overtake the read before it, and reads end in their order',
    async (bench, mine, theirs) => {
      const { client, server } = bench;
      const size = 1_000_000;
      const from = expose(server, theirs, size);
      const target = client.memory(mine, 2 * size);
      const reads = [notify(), notify()];
      const { at, overlapped: received } = bench.posted(theirs);
      for (const [i, overlapped] of reads.entries()) {
        read(client, mine, [buffer(target, i * size, size)], from, 0, overlapped);
      }
      client.say(mine, 'after', poll());
      // Whoever gets the message may use the memory for something else.
      await bench.until(isOver(received), 'the message has come');
      from.memory.bytes.fill(0xee);
      await bench.until(() => reads.every((one) => isOver(one)()), 'both are read');
      assert.equal(text(at, 5), 'after');
      const told = client.completions.map(({ overlapped }) => reads.indexOf(overlapped)).filter((i) => i >= 0);
      assert.deepEqual(
        told,
        [...told].sort((a, b) => a - b),
      );
      const bytes = Buffer.from(target.memory.bytes);
      assert.ok(!bytes.subarray(0, size).equals(Buffer.alloc(size, 0xee)));
      assert.ok(bytes.subarray(0, size).equals(bytes.subarray(size)), 'both are what was there before the message');
    },
    // Where the peer is read directly these are done before the message is sent.
    { needs: ['rdmaRead'], peerMemory: false },
  ),

  connectedScenario(
    'WSD-MEM-31 WSD-MEM-13 WSD-MEM-10 a read out of bounds, of write-only or deregistered memory gives nothing and ends the connection',
    async (bench) => {
      const { server, client } = bench;
      const attempts: Readonly<Record<string, (theirs: ProviderSocket) => Exposed & { offset: number }>> = {
        bounds: (theirs) => ({ ...expose(server, theirs, 32), offset: 28 }),
        'before the start': (theirs) => ({ ...expose(server, theirs, 32), offset: -4 }),
        'far behind': (theirs) => ({ ...expose(server, theirs, 32), offset: 0x7fffffff }),
        'write-only': (theirs) => ({ ...expose(server, theirs, 32, MEM_WRITE), offset: 0 }),
        deregistered: (theirs) => {
          const exposed = expose(server, theirs, 32);
          assert.equal(deregister(server, theirs, exposed), 0);
          return { ...exposed, offset: 0 };
        },
        'registered again': (theirs) => {
          const exposed = expose(server, theirs, 32);
          assert.equal(deregister(server, theirs, exposed), 0);
          const { memory } = exposed;
          const size = { value: 64 };
          assert.equal(server.registerRdma(theirs, memory, 8, 32, MEM_READ, new Uint8Array(64), size, server.errno), 0);
          return { ...exposed, offset: 0 };
        },
      };
      for (const [what, attempt] of Object.entries(attempts)) {
        const { mine, theirs } = await bench.connected();
        const { overlapped: posted } = bench.posted(theirs);
        const { offset, ...exposed } = attempt(theirs);
        const target = client.memory(mine, 8);
        const overlapped = notify();
        assert.equal(read(client, mine, [buffer(target)], exposed, offset, overlapped), false, what);
        await bench.until(isOver(overlapped), `${what}: the read has ended`);
        assert.equal(overlapped.Internal, WSAECONNRESET, what);
        await bench.until(isOver(posted), `${what}: the connection has ended`);
        assert.equal(posted.Internal, WSAECONNRESET, what);
        assert.ok(
          target.memory.bytes.every((byte) => byte === 0),
          what,
        );
      }
    },
    { needs: ['rdmaRead'] },
  ),

  connectedScenario(
    'WSD-MEM-6 WSD-MEM-9 WSD-MEM-7 a read by the descriptor of another connection, or by one that was invented, reaches nothing',
    async (bench, mine, theirs) => {
      const { server, client } = bench;
      const own = expose(server, theirs, 64);
      const attempts: Exposed[] = [own];
      for (let bit = 0; bit < 8 * own.descriptor.length; bit += 7) {
        const descriptor = own.descriptor.slice();
        descriptor[bit >> 3] = (descriptor[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        attempts.push({ ...own, descriptor });
      }
      for (const [i, exposed] of attempts.entries()) {
        const other = await bench.connected();
        const target = client.memory(other.mine, 8);
        const overlapped = poll();
        read(client, other.mine, [buffer(target)], exposed, 0, overlapped);
        await bench.until(isOver(overlapped), 'that read has ended');
        assert.equal(overlapped.Internal, WSAECONNRESET, `attempt ${i}`);
        assert.ok(target.memory.bytes.every((byte) => byte === 0));
      }
      const target = client.memory(mine, 64);
      const overlapped = poll();
      read(client, mine, [buffer(target)], own, 0, overlapped);
      await bench.until(isOver(overlapped), 'on its own it works');
      assert.deepEqual(client.result(mine, overlapped), [true, 64, 0]);
    },
    { needs: ['rdmaRead'] },
  ),

  connectedScenario(
    'WSD-MEM-12 WSD-XFR-30 WSD-XFR-29 a read goes only into memory that is registered for it, on that socket',
    async (bench, mine, theirs) => {
      const { server, client } = bench;
      const from = expose(server, theirs, 64);
      const other = await bench.connected();
      const rdmaRead = client.extension<WSPRdmaRead>(WSPRdmaReadGuid);
      const { errno } = client;
      const attempt = (list: readonly WSABUFEX[], length = from.descriptor.length): number =>
        client.failure(
          rdmaRead(mine, list, list.length, from.descriptor, length, 0, null, 0, poll(), null, null, errno),
        );
      const memory = region(64);
      const handle = client.registerMemory(mine, memory, 0, 32, MEM_READ, errno);
      assert.equal(attempt([{ buf: memory, offset: 0, len: 8, handle: handle! }]), WSAEFAULT, 'for sending only');
      assert.equal(attempt([buffer(client.memory(other.mine, 64))]), WSAEFAULT, 'of another socket');
      const good = client.memory(mine, 64);
      assert.equal(attempt([{ ...buffer(good), len: 65 }]), WSAEFAULT, 'beyond its end');
      assert.equal(attempt([{ ...buffer(good), len: -8 }]), WSAEFAULT, 'less than nothing');
      assert.equal(attempt([buffer(good)], 3), WSAEFAULT, 'no descriptor');
      assert.ok([...memory.bytes, ...good.memory.bytes].every((byte) => byte === 0));
    },
    { needs: ['rdmaRead'] },
  ),

  connectedScenario(
    'WSD-MEM-17 WSD-MEM-26 memory that RDMA is using cannot be deregistered, on either side',
    async (bench) => {
      const { server, client } = bench;
      const size = 1_048_576;
      let pending = 0;
      let refused = 0;
      const isVirtual = bench.rig.until !== undefined;
      for (let turns = 1; turns <= 12; turns++) {
        const { mine, theirs } = await bench.connected();
        const from = expose(server, theirs, size);
        const target = client.memory(mine, size);
        const overlapped = poll();
        if (!read(client, mine, [buffer(target)], from, 0, overlapped)) {
          assert.equal(client.failure(client.deregisterMemory(mine, target.handle, client.errno)), WSAEINVAL);
        }
        // Bytes have come where they come one after the other; else some time later, which is virtual.
        let looked = 0;
        const begun = (): boolean =>
          isVirtual ? ++looked > turns : target.memory.bytes.subarray(0, 16).some((byte) => byte !== 0);
        await bench.until(() => begun() || isOver(overlapped)(), 'it has begun');
        const going = !isOver(overlapped)();
        const result = deregister(server, theirs, from);
        if (going) pending++;
        if (going && result !== 0) {
          assert.equal(server.failure(result), WSAEINVAL);
          refused++;
        }
        await bench.until(isOver(overlapped), 'the read has ended');
        // Where it could be deregistered, the peer's provider had not begun, or it had ended.
        if (going && result === 0 && overlapped.Internal !== 0) assert.equal(overlapped.Internal, WSAECONNRESET);
        else assert.deepEqual(client.result(mine, overlapped), [true, size, 0]);
        if (overlapped.Internal !== 0) continue;
        assert.equal(client.deregisterMemory(mine, target.handle, client.errno), 0);
        if (result !== 0) await bench.until(() => deregister(server, theirs, from) === 0, 'nothing uses it any more');
      }
      assert.ok(refused > 0 || pending === 0, `${refused} of ${pending}`);
    },
    { needs: ['rdmaRead'] },
  ),

  connectedScenario(
    'WSD-MEM-30 WSD-CLS-10 operations that are pending at a close end with it, and those of the peer with the connection',
    async (bench, mine, theirs) => {
      const { server, client } = bench;
      const size = 900_000;
      const from = expose(server, theirs, size);
      const back = expose(client, mine, size);
      const target = client.memory(mine, 4 * size);
      const other = server.memory(theirs, size);
      const reads = [0, 1, 2, 3].map((i) => {
        const overlapped = poll();
        return { overlapped, done: read(client, mine, [buffer(target, i * size, size)], from, 0, overlapped) };
      });
      const theirRead = poll();
      const theirDone = read(server, theirs, [buffer(other)], back, 0, theirRead);
      client.close(mine);
      for (const { overlapped, done } of reads) {
        assert.equal(overlapped.Internal, done ? 0 : WSA_OPERATION_ABORTED);
      }
      await bench.until(isOver(theirRead), 'the peer has been told');
      assert.ok(theirDone || [0, WSAECONNRESET, WSAECONNABORTED].includes(theirRead.Internal));
      await bench.settle();
      for (const { overlapped, done } of reads) assert.equal(overlapped.Internal, done ? 0 : WSA_OPERATION_ABORTED);
    },
    { needs: ['rdmaRead'] },
  ),

  connectedScenario(
    'WSD-XFR-31 WSD-XFR-26 a large write goes out in the background, in order with the messages around it',
    async (bench, mine, theirs) => {
      const { server, client } = bench;
      const size = 1_048_576;
      const to = expose(server, theirs, size, MEM_WRITE);
      const source = client.memory(mine, size);
      const next = numbers(7);
      for (let i = 0; i < size; i++) source.memory.bytes[i] = next(256);
      const posts = [bench.posted(theirs), bench.posted(theirs)];
      const overlapped = poll();
      client.say(mine, 'before', poll());
      const { descriptor } = to;
      const list = [buffer(source, 0, 1000), buffer(source, 1000, size - 1000)];
      const { errno } = client;
      const result = client.rdmaWrite(
        mine,
        list,
        2,
        descriptor,
        descriptor.length,
        0,
        null,
        0,
        overlapped,
        null,
        null,
        errno,
      );
      if (result !== 0) assert.equal(client.failure(result), WSA_IO_PENDING);
      client.say(mine, 'after', poll());
      await bench.until(isOver(posts[1]!.overlapped), 'the message behind it has come');
      assert.ok(Buffer.from(to.memory.bytes.subarray(8, size + 8)).equals(source.memory.bytes));
      await bench.until(isOver(overlapped), 'it is written');
      assert.deepEqual(client.result(mine, overlapped), [true, size, 0]);
      assert.deepEqual([text(posts[0]!.at, 6), text(posts[1]!.at, 5)], ['before', 'after']);
      assert.equal(client.deregisterMemory(mine, source.handle, client.errno), 0);
    },
    { needs: ['rdmaWrite'] },
  ),
];
