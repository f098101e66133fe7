/** select and WSAPoll: waiting for states of several sockets. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MSG_OOB, SD_SEND, SO_LINGER, SOL_SOCKET } from '../../src/spi/index.js';
import {
  accept,
  closesocket,
  connect,
  ioctlsocket,
  recv,
  select,
  send,
  setsockopt,
  shutdown,
  WSAPoll,
} from '../../src/winsock/calls.js';
import {
  FIONBIO,
  POLLERR,
  POLLHUP,
  POLLIN,
  POLLNVAL,
  POLLRDBAND,
  POLLRDNORM,
  POLLWRNORM,
} from '../../src/winsock/constants.js';
import type { SOCKET } from '../../src/winsock/socket.js';
import { carriers, connected, fails, receive, turn, twoSides } from './support.js';

const limit = { timeout: 20_000 };
const now = { tv_sec: 0, tv_usec: 0 };
const soon = { tv_sec: 0, tv_usec: 50_000 };

for (const provider of carriers) {
  test(`select leaves the sockets that are ready in its sets [${provider}]`, limit, async (t) => {
    const { near, far, listening, client } = await connected(t, provider);
    const read = new Set<SOCKET>([near, far, listening.s]);
    assert.equal(await select(0, read, null, null, now), 0);
    assert.equal(read.size, 0);
    const write = new Set([near, far]);
    assert.equal(await select(0, null, write, null), 2);
    assert.deepEqual(write, new Set([near, far]));
    const both = new Set([near, far]);
    const waiting = select(0, both, null, null);
    await send(near, Buffer.from('x'));
    assert.equal(await waiting, 1);
    assert.deepEqual(both, new Set([far]));
    const except = new Set([far]);
    await send(near, Buffer.from('U'), MSG_OOB);
    assert.equal(await select(0, new Set(), null, except), 1);
    assert.deepEqual(except, new Set([far]));
    const arrivals = new Set([listening.s]);
    const accepting = select(0, arrivals, null, null);
    await connect(client.socket(), listening.name);
    assert.equal(await accepting, 1);
    await accept(listening.s);
    assert.equal(await select(0, arrivals, null, null, now), 0);
  });

  test(`select tells the end, a lost connection and room to send [${provider}]`, limit, async (t) => {
    const { near, far } = await connected(t, provider);
    ioctlsocket(near, FIONBIO, 1);
    let sent = 0;
    const flood = async (): Promise<void> => {
      for (;;) sent += await send(near, Buffer.alloc(1 << 20));
    };
    // Until nobody below takes any more.
    do await fails(flood(), 'WSAEWOULDBLOCK');
    while ((await select(0, null, new Set([near]), null, soon)) !== 0);
    const room = select(0, null, new Set([near]), null);
    assert.equal((await receive(far, sent)).length, sent);
    assert.equal(await room, 1);
    const ended = select(0, new Set([far]), null, null);
    shutdown(near, SD_SEND);
    assert.equal(await ended, 1);
    assert.equal(await recv(far, Buffer.alloc(1)), 0);
    const lost = select(0, new Set([near]), null, null);
    setsockopt(far, SOL_SOCKET, SO_LINGER, { l_onoff: true, l_linger: 0 });
    await closesocket(far);
    assert.equal(await lost, 1);
    await fails(recv(near, Buffer.alloc(1)), 'WSAECONNRESET');
  });

  test(
    `a nonblocking connect is writable when it is done, an exception when it has failed [${provider}]`,
    limit,
    async (t) => {
      const { server, client } = twoSides(t, provider, { client: { required: false } });
      const { s, name } = server.listening();
      const near = client.socket();
      ioctlsocket(near, FIONBIO, 1);
      await fails(connect(near, name), 'WSAEWOULDBLOCK');
      const write = new Set([near]);
      assert.equal(await select(0, null, write, new Set([near])), 1);
      assert.equal(write.size, 1);
      await closesocket(s);
      const other = client.socket();
      ioctlsocket(other, FIONBIO, 1);
      await fails(connect(other, name), 'WSAEWOULDBLOCK');
      const except = new Set([other]);
      assert.equal(await select(0, null, new Set([other]), except), 1);
      assert.equal(except.size, 1);
      await fails(connect(other, name), 'WSAECONNREFUSED');
    },
  );

  test(`select is cancelled by a signal, and ended by closing one of its sockets [${provider}]`, limit, async (t) => {
    const { near, far } = await connected(t, provider);
    const controller = new AbortController();
    const cancelled = select(0, new Set([near]), null, null, null, { signal: controller.signal });
    controller.abort();
    await fails(cancelled, 'WSA_OPERATION_ABORTED');
    const waiting = fails(select(0, new Set([near, far]), null, null), 'WSAENOTSOCK');
    await closesocket(near);
    await waiting;
    await fails(select(0, null), 'WSAEINVAL');
    await fails(select(0, new Set([near])), 'WSAENOTSOCK');
    await fails(select(0, [far] as unknown as Set<SOCKET>), 'WSAEFAULT');
  });

  test(`WSAPoll answers each socket [${provider}]`, limit, async (t) => {
    const { near, far, listening } = await connected(t, provider);
    const fds = [near, far, listening.s].map((fd) => ({ fd, events: POLLIN | POLLWRNORM, revents: -1 }));
    assert.equal(await WSAPoll(fds, 0), 2);
    assert.deepEqual(
      fds.map(({ revents }) => revents),
      [POLLWRNORM, POLLWRNORM, 0],
    );
    const read = [{ fd: far, events: POLLIN as number, revents: 0 as number }];
    assert.equal(await WSAPoll(read, 1), 0);
    const waiting = WSAPoll(read, -1);
    await send(near, Buffer.from('x'));
    assert.equal(await waiting, 1);
    assert.equal(read[0]!.revents, POLLRDNORM);
    await send(near, Buffer.from('U'), MSG_OOB);
    for (let all: number = 0; all !== (POLLRDNORM | POLLRDBAND); all = read[0]!.revents) {
      await turn();
      await WSAPoll(read, -1);
    }
    await recv(far, Buffer.alloc(1));
    await recv(far, Buffer.alloc(1), MSG_OOB);
    const hangUp = WSAPoll(read, -1);
    setsockopt(near, SOL_SOCKET, SO_LINGER, { l_onoff: true, l_linger: 0 });
    await closesocket(near);
    assert.equal(await hangUp, 1);
    assert.equal(read[0]!.revents, POLLHUP | POLLERR);
    assert.equal(await WSAPoll(fds, -1), 2);
    assert.deepEqual([fds[0]!.revents, fds[2]!.revents], [POLLNVAL, 0]);
    await fails(WSAPoll([{ fd: far, events: 0x8000, revents: 0 }], 0), 'WSAEINVAL');
  });
}
