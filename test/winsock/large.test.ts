/** Large sends by RDMA through the Winsock face: the threshold is an option of the socket. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  MSG_OOB,
  MSG_WAITALL,
  SD_SEND,
  SO_LINGER,
  SO_RDMA_THRESHOLD_SIZE,
  SOL_SOCKET,
  WSA_IO_PENDING,
} from '../../src/spi/index.js';
import {
  closesocket,
  getsockopt,
  recv,
  send,
  setsockopt,
  shutdown,
  WSAGetOverlappedResult,
  WSASend,
} from '../../src/winsock/calls.js';
import { WSAOVERLAPPED } from '../../src/winsock/overlapped.js';
import { connected, fails, type Pair, receive } from './support.js';

const limit = { timeout: 30_000 };

function pattern(size: number, start = 0): Buffer {
  return Buffer.from(Uint8Array.from({ length: size }, (_, i) => (start + i) * 7 + ((start + i) >> 8)));
}

/** Outcomes of RDMA operations are asked for; those of messages in the provider's own memory are not. */
function operations({ client, server }: Pair): number {
  return client.count('san', 'WSPGetOverlappedResult') + server.count('san', 'WSPGetOverlappedResult');
}

test(
  'WSASend with several buffers, above and below the threshold, keeps their order [shared-memory]',
  limit,
  async (t) => {
    const pair = await connected(t, 'shared-memory');
    const { near, far } = pair;
    assert.equal(getsockopt(near, SOL_SOCKET, SO_RDMA_THRESHOLD_SIZE), 0x7fffffff);
    const all = pattern(1_000_000);
    const buffers = [100, 300_000, 16_384, 500_000, 1].map((size, i, sizes) => {
      const from = sizes.slice(0, i).reduce((sum, n) => sum + n, 0);
      return all.subarray(from, from + size);
    });
    const total = buffers.reduce((sum, { length }) => sum + length, 0);
    await Promise.all([WSASend(near, buffers, 0), receive(far, total)]);
    assert.equal(operations(pair), 0, 'nothing so far went by RDMA');
    setsockopt(near, SOL_SOCKET, SO_RDMA_THRESHOLD_SIZE, 100_000);
    const [sent, received] = await Promise.all([WSASend(near, buffers, 0), receive(far, total)]);
    assert.equal(sent, total);
    assert.ok(received.equals(all.subarray(0, total)));
    assert.ok(operations(pair) > 0);
  },
);

test(
  'an overlapped send above the threshold completes when the receiver has it all [shared-memory]',
  limit,
  async (t) => {
    const pair = await connected(t, 'shared-memory');
    const { near, far } = pair;
    setsockopt(near, SOL_SOCKET, SO_RDMA_THRESHOLD_SIZE, 20_000);
    const block = pattern(8_000_000);
    const operation = new WSAOVERLAPPED();
    assert.equal(WSASend(near, [block], 0, operation), WSA_IO_PENDING);
    const into = Buffer.alloc(block.length);
    assert.equal(await recv(far, into, MSG_WAITALL), block.length);
    assert.equal((await WSAGetOverlappedResult(near, operation, true)).cbTransfer, block.length);
    assert.ok(into.equals(block));
    assert.ok(operations(pair) > 0);
  },
);

test('urgent data after a large send comes after it, and the end after both [shared-memory]', limit, async (t) => {
  const { near, far } = await connected(t, 'shared-memory');
  setsockopt(near, SOL_SOCKET, SO_RDMA_THRESHOLD_SIZE, 20_000);
  const block = pattern(400_000);
  const sends = Promise.all([send(near, block), send(near, Buffer.from('ab!'), MSG_OOB), send(near, block)]);
  sends.then(() => shutdown(near, SD_SEND));
  const before = await receive(far, block.length + 2);
  assert.ok(before.subarray(0, block.length).equals(block));
  assert.equal(before.subarray(block.length).toString(), 'ab');
  const urgent = Buffer.alloc(1);
  assert.equal(await recv(far, urgent, MSG_OOB), 1);
  assert.equal(urgent.toString(), '!');
  assert.ok((await receive(far)).equals(block));
  await sends;
});

test(
  'closesocket sends a large block in the background; with SO_LINGER of 0 it is lost and its send fails [shared-memory]',
  limit,
  async (t) => {
    for (const abortive of [false, true]) {
      const { near, far } = await connected(t, 'shared-memory');
      setsockopt(near, SOL_SOCKET, SO_RDMA_THRESHOLD_SIZE, 20_000);
      const block = pattern(6_000_000);
      const sending = Promise.resolve(send(near, block));
      if (abortive) {
        setsockopt(near, SOL_SOCKET, SO_LINGER, { l_onoff: true, l_linger: 0 });
        closesocket(near);
        await fails(sending, 'WSA_OPERATION_ABORTED');
        await fails(receive(far), 'WSAECONNRESET');
      } else {
        closesocket(near);
        assert.ok((await receive(far)).equals(block));
        await sending;
      }
    }
  },
);
