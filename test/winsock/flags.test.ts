/** Several buffers, and the flags of sends and receives: the same on every carrier. */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import {
  MSG_OOB,
  MSG_PARTIAL,
  MSG_PEEK,
  MSG_WAITALL,
  SD_SEND,
  SO_LINGER,
  SO_RCVBUF,
  SO_SNDBUF,
  SOL_SOCKET,
} from '../../src/spi/index.js';
import {
  closesocket,
  ioctlsocket,
  recv,
  send,
  setsockopt,
  shutdown,
  WSARecv,
  WSASend,
} from '../../src/winsock/calls.js';
import {
  FIONBIO,
  FIONREAD,
  MSG_DONTROUTE,
  MSG_PUSH_IMMEDIATE,
  SO_RCVTIMEO,
  SO_SNDTIMEO,
} from '../../src/winsock/constants.js';
import { carriers, connected, fails, ManualTimers, receive, receiveText, turn, until } from './support.js';

const limit = { timeout: 20_000 };
const texts = (...parts: string[]): Buffer[] => parts.map((part) => Buffer.from(part));

for (const provider of carriers) {
  test(`several buffers go out, and come in, in order [${provider}]`, limit, async (t) => {
    const { near, far } = await connected(t, provider);
    assert.equal(await WSASend(near, texts('ab', '', 'cdefg', 'h')), 8);
    const into = [Buffer.alloc(3), Buffer.alloc(0), Buffer.alloc(1), Buffer.alloc(9)];
    shutdown(near, SD_SEND);
    assert.equal(await WSARecv(far, into, MSG_WAITALL), 8);
    assert.equal(Buffer.concat(into).toString('latin1', 0, 8), 'abcdefgh');
  });

  test(`large buffers of many sizes arrive as one stream [${provider}]`, limit, async (t) => {
    const { near, far } = await connected(t, provider);
    const buffers = [1, 70_000, 4096, 0, 131_072, 5, 1 << 20].map((size) => randomBytes(size));
    const all = Buffer.concat(buffers);
    const [sent, received] = await Promise.all([WSASend(near, buffers), receive(far, all.length)]);
    assert.equal(sent, all.length);
    assert.ok(received.equals(all));
  });

  test(`MSG_PEEK leaves what it shows [${provider}]`, limit, async (t) => {
    const { near, far } = await connected(t, provider);
    const peeking = recv(far, Buffer.alloc(8), MSG_PEEK);
    await WSASend(near, texts('hello'));
    assert.equal(await peeking, 5);
    const two = [Buffer.alloc(2), Buffer.alloc(2)];
    assert.equal(await WSARecv(far, two, MSG_PEEK), 4);
    assert.equal(Buffer.concat(two).toString(), 'hell');
    assert.equal(ioctlsocket(far, FIONREAD), 5);
    assert.equal(await receiveText(far, 5), 'hello');
  });

  test(`MSG_WAITALL waits until the buffer is full, or the data ends [${provider}]`, limit, async (t) => {
    const { near, far } = await connected(t, provider);
    const buffer = Buffer.alloc(600_000);
    let done = false;
    const waiting = recv(far, buffer, MSG_WAITALL).then((count) => {
      done = true;
      return count;
    });
    const bytes = randomBytes(buffer.length);
    await send(near, bytes.subarray(0, 599_999));
    for (let i = 0; i < 50; i++) await turn();
    assert.equal(done, false);
    await send(near, bytes.subarray(599_999));
    assert.equal(await waiting, buffer.length);
    assert.ok(buffer.equals(bytes));
    const last = recv(far, buffer, MSG_WAITALL);
    await send(near, Buffer.from('end'));
    shutdown(near, SD_SEND);
    assert.equal(await last, 3);
    assert.equal(await recv(far, buffer, MSG_WAITALL), 0);
  });

  test(`a cancelled MSG_WAITALL leaves what it has got to the next one [${provider}]`, limit, async (t) => {
    const { near, far } = await connected(t, provider);
    const controller = new AbortController();
    const waiting = recv(far, Buffer.alloc(9), MSG_WAITALL, { signal: controller.signal });
    const next = recv(far, Buffer.alloc(9));
    await send(near, Buffer.from('part'));
    for (let i = 0; i < 50; i++) await turn();
    controller.abort();
    await fails(waiting, 'WSA_OPERATION_ABORTED');
    assert.equal(await next, 4);
  });

  test(
    `MSG_WAITALL gives what there was when the connection is lost, and then the error [${provider}]`,
    limit,
    async (t) => {
      const { near, far } = await connected(t, provider);
      const waiting = recv(far, Buffer.alloc(9), MSG_WAITALL);
      await send(near, Buffer.from('part'));
      await until(() => ioctlsocket(far, FIONREAD) === 0, 'taken');
      for (let i = 0; i < 50; i++) await turn();
      setsockopt(near, SOL_SOCKET, SO_LINGER, { l_onoff: true, l_linger: 0 });
      await closesocket(near);
      assert.equal(await waiting, 4);
      await fails(recv(far, Buffer.alloc(1)), 'WSAECONNRESET');
    },
  );

  test(`flags that stream sockets do not have are WSAEOPNOTSUPP, hints are taken [${provider}]`, limit, async (t) => {
    const { near, far } = await connected(t, provider);
    const one = Buffer.from('x');
    await fails(send(near, one, MSG_PARTIAL), 'WSAEOPNOTSUPP');
    await fails(send(near, one, MSG_PEEK), 'WSAEOPNOTSUPP');
    await fails(recv(near, one, MSG_WAITALL | MSG_PEEK), 'WSAEOPNOTSUPP');
    await fails(recv(near, one, MSG_WAITALL | MSG_OOB), 'WSAEOPNOTSUPP');
    await fails(recv(near, one, 0x4000), 'WSAEOPNOTSUPP');
    await fails(WSASend(near, []), 'WSAEINVAL');
    await fails(WSASend(near, ['x'] as unknown as Buffer[]), 'WSAEFAULT');
    await send(near, one, MSG_DONTROUTE);
    await send(near, one);
    const buffer = Buffer.alloc(1);
    assert.equal(await recv(far, buffer, MSG_PARTIAL), 1);
    assert.equal(await recv(far, buffer, MSG_PUSH_IMMEDIATE), 1);
    ioctlsocket(near, FIONBIO, 1);
    await fails(recv(near, one, MSG_WAITALL), 'WSAEOPNOTSUPP');
  });

  test(`SO_RCVTIMEO and SO_SNDTIMEO end blocking calls with WSAETIMEDOUT [${provider}]`, limit, async (t) => {
    const timers = new ManualTimers();
    const { near, far } = await connected(t, provider, { client: { timers } });
    setsockopt(near, SOL_SOCKET, SO_RCVTIMEO, 1234);
    setsockopt(near, SOL_SOCKET, SO_SNDTIMEO, 4321);
    const late = fails(recv(near, Buffer.alloc(1)), 'WSAETIMEDOUT');
    assert.equal(timers.fire(1234), 1);
    await late;
    const answered = recv(near, Buffer.alloc(1));
    await send(far, Buffer.from('x'));
    assert.equal(await answered, 1);
    assert.equal(timers.fire(1234), 0);
    const stuck = fails(send(near, Buffer.alloc(24 << 20)), 'WSAETIMEDOUT');
    await turn();
    assert.equal(timers.fire(4321), 1);
    await stuck;
    // How much has left is not known.
    await fails(send(near, Buffer.alloc(1)), 'WSAECONNABORTED');
  });

  test(
    `SO_RCVBUF bounds what is taken on account, SO_SNDBUF what a nonblocking send takes [${provider}]`,
    limit,
    async (t) => {
      const { near, far } = await connected(t, provider);
      setsockopt(far, SOL_SOCKET, SO_RCVBUF, 16_384);
      setsockopt(near, SOL_SOCKET, SO_SNDBUF, 0);
      const total = 8 << 20;
      const sending = send(near, Buffer.alloc(total));
      await until(() => ioctlsocket(far, FIONREAD) >= 16_384, 'held back');
      for (let i = 0; i < 50; i++) await turn();
      // What comes in one turn is taken.
      assert.ok(ioctlsocket(far, FIONREAD) <= 16_384 + (256 << 10), String(ioctlsocket(far, FIONREAD)));
      ioctlsocket(near, FIONBIO, 1);
      await fails(send(near, Buffer.alloc(1)), 'WSAEWOULDBLOCK');
      setsockopt(near, SOL_SOCKET, SO_SNDBUF, 100);
      assert.equal(await send(near, Buffer.alloc(1000)), 1000);
      await fails(send(near, Buffer.alloc(1)), 'WSAEWOULDBLOCK');
      assert.equal((await receive(far, total + 1000)).length, total + 1000);
      assert.equal(await sending, total);
    },
  );
}
