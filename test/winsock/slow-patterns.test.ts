/**
 * The three patterns of sending that were slow with Winsock Direct (KB927620): sends that do not wait among overlapped ones,
 * a large send right after a small one, and several buffers. Each against its neighbour, in turns, by the shortest times.
 */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { MSG_WAITALL, SO_RDMA_THRESHOLD_SIZE, SOL_SOCKET, WSA_IO_PENDING } from '../../src/spi/index.js';
import { ioctlsocket, recv, send, setsockopt, WSAGetOverlappedResult, WSASend } from '../../src/winsock/calls.js';
import { FIONBIO } from '../../src/winsock/constants.js';
import { WSAOVERLAPPED } from '../../src/winsock/overlapped.js';
import type { SOCKET } from '../../src/winsock/socket.js';
import { connected } from './support.js';

const limit = { timeout: 60_000 };
/** Load on the machine can only lengthen times, so where the shortest ones differ there are more rounds, up to a limit. */
const rounds = 15;
const roundsMax = 90;
/**
 * What was slow then waited for timers, for each send: times longer by far. Processor time tells what other load on the machine
 * does not blur.
 */
const tolerance = 2;
const waitMax = 20;

type Pattern = (s: SOCKET) => Promise<void>;

async function overlapped(s: SOCKET, buffers: Buffer | readonly Buffer[]): Promise<void> {
  const operation = new WSAOVERLAPPED();
  if (WSASend(s, buffers, 0, operation) === WSA_IO_PENDING) await WSAGetOverlappedResult(s, operation, true);
}

interface Times {
  /** Milliseconds until the peer has everything. */
  elapsed: number;
  /** Milliseconds of processor time, of both ends together. */
  processor: number;
}

async function timesOf(near: SOCKET, far: SOCKET, pattern: Pattern, into: Buffer): Promise<Times> {
  const [start, used] = [performance.now(), process.cpuUsage()];
  const receiving = recv(far, into, MSG_WAITALL);
  await pattern(near);
  assert.equal(await receiving, into.length);
  const { user, system } = process.cpuUsage(used);
  return { elapsed: performance.now() - start, processor: (user + system) / 1000 };
}

/** The pattern is not slower than its neighbour, which sends as many bytes. Buffers above the threshold go by RDMA. */
async function compare(
  t: TestContext,
  bytes: number,
  pattern: Pattern,
  neighbour: Pattern,
  threshold?: number,
): Promise<void> {
  const { near, far } = await connected(t, 'shared-memory');
  ioctlsocket(near, FIONBIO, 1);
  if (threshold !== undefined) setsockopt(near, SOL_SOCKET, SO_RDMA_THRESHOLD_SIZE, threshold);
  const into = Buffer.alloc(bytes);
  const shortest = [pattern, neighbour].map(() => ({ elapsed: Infinity, processor: Infinity }));
  const [slow, fast] = shortest as [Times, Times];
  const isAsFast = (): boolean =>
    slow.processor <= tolerance * fast.processor && slow.elapsed <= tolerance * fast.elapsed + waitMax;
  for (let i = 0; i < rounds || (i < roundsMax && !isAsFast()); i++) {
    for (const [which, send] of [pattern, neighbour].entries()) {
      const { elapsed, processor } = await timesOf(near, far, send, into);
      const best = shortest[which]!;
      best.elapsed = Math.min(best.elapsed, elapsed);
      best.processor = Math.min(best.processor, processor);
    }
  }
  const figures = `${slow.elapsed.toFixed(2)} ms against ${fast.elapsed.toFixed(2)} ms, of processor time ${slow.processor.toFixed(2)} against ${fast.processor.toFixed(2)}`;
  t.diagnostic(figures);
  assert.ok(isAsFast(), figures);
}

const piece = Buffer.alloc(16_384, 1);
const pieces = 128;

test(
  'sends that do not wait among overlapped ones are no slower than overlapped ones alone [shared-memory]',
  limit,
  (t) =>
    compare(
      t,
      pieces * piece.length,
      async (s) => {
        for (let i = 0; i < pieces; i += 2) {
          await overlapped(s, piece);
          await send(s, piece);
        }
      },
      async (s) => {
        for (let i = 0; i < pieces; i++) await overlapped(s, piece);
      },
    ),
);

/** A MiB in two sends against one, four times. */
function checkSmallThenLarge(t: TestContext, threshold?: number): Promise<void> {
  const small = Buffer.alloc(64, 1);
  const large = Buffer.alloc((1 << 20) - small.length, 2);
  const whole = Buffer.concat([small, large]);
  return compare(
    t,
    4 * whole.length,
    async (s) => {
      for (let i = 0; i < 4; i++) {
        await overlapped(s, small);
        await overlapped(s, large);
      }
    },
    async (s) => {
      for (let i = 0; i < 4; i++) await overlapped(s, whole);
    },
    threshold,
  );
}

/** `count` buffers in one send against one buffer of their size, `sends` times. */
function checkSeveralBuffers(
  t: TestContext,
  count: number,
  size: number,
  sends: number,
  threshold?: number,
): Promise<void> {
  const whole = Buffer.alloc(count * size, 1);
  const parts = Array.from({ length: count }, (_, i) => whole.subarray(i * size, (i + 1) * size));
  const times =
    (data: Buffer | Buffer[]): Pattern =>
    async (s) => {
      for (let i = 0; i < sends; i++) await overlapped(s, data);
    };
  return compare(t, sends * whole.length, times(parts), times(whole), threshold);
}

test('a large send right after a small one is no slower than one large send [shared-memory]', limit, (t) =>
  checkSmallThenLarge(t),
);

test('several buffers are no slower than one of their size [shared-memory]', limit, (t) =>
  checkSeveralBuffers(t, 16, 8192, 32),
);

const byRdma = 100_000;

test('by RDMA: a large send right after a small one is no slower than one large send [shared-memory]', limit, (t) =>
  checkSmallThenLarge(t, byRdma),
);

test('by RDMA: several buffers are no slower than one of their size [shared-memory]', limit, (t) =>
  checkSeveralBuffers(t, 4, 524_288, 4, byRdma),
);
