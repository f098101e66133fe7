/** Urgent data: MSG_OOB, SO_OOBINLINE, SIOCATMARK, by a control message of the session or by TCP's own means. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { test } from 'node:test';
import { loadLibc } from '../../src/platform/libc.js';
import { MSG_OOB, MSG_PEEK, SD_SEND, SO_OOBINLINE, SOL_SOCKET, type WSABUF } from '../../src/spi/index.js';
import {
  closesocket,
  connect,
  ioctlsocket,
  recv,
  send,
  setsockopt,
  shutdown,
  WSARecv,
  WSASend,
} from '../../src/winsock/calls.js';
import { FIONBIO, FIONREAD, SIOCATMARK } from '../../src/winsock/constants.js';
import type { SOCKET } from '../../src/winsock/socket.js';
import {
  type Call,
  carriers,
  connected,
  fails,
  loopback,
  overSoon,
  receive,
  receiveText,
  turn,
  twoSides,
  until,
} from './support.js';

const limit = { timeout: 20_000 };

async function urgentText(s: SOCKET, flags = 0): Promise<string> {
  const buffer = Buffer.alloc(4);
  return buffer.toString('latin1', 0, await recv(s, buffer, MSG_OOB | flags));
}

/** One recv. */
async function received(s: SOCKET, flags = 0): Promise<string> {
  const buffer = Buffer.alloc(64);
  return buffer.toString('latin1', 0, await recv(s, buffer, flags));
}

/** All of a length has arrived. */
async function arrived(s: SOCKET, length: number): Promise<void> {
  await until(() => ioctlsocket(s, FIONREAD) === length, `${length} bytes have arrived`);
}

for (const provider of carriers) {
  test(
    `WSD-OOB-7: the last byte of a send with MSG_OOB is received by MSG_OOB, past the others [${provider}]`,
    limit,
    async (t) => {
      const { near, far } = await connected(t, provider);
      assert.equal(await send(near, Buffer.from('before')), 6);
      assert.equal(await send(near, Buffer.from('abU'), MSG_OOB), 3);
      assert.equal(await send(near, Buffer.from('after')), 5);
      assert.equal(await urgentText(far, MSG_PEEK), 'U');
      assert.equal(await urgentText(far), 'U');
      // No receive crosses the mark.
      await arrived(far, 8);
      assert.deepEqual([ioctlsocket(far, SIOCATMARK), ioctlsocket(far, FIONREAD)], [0, 8]);
      assert.equal(await received(far), 'beforeab');
      assert.equal(ioctlsocket(far, SIOCATMARK), 1);
      assert.equal(await received(far), 'after');
      assert.equal(ioctlsocket(far, SIOCATMARK), 1);
    },
  );

  test(
    `WSD-OOB-7: with SO_OOBINLINE it stands in the stream, and is never received with other bytes [${provider}]`,
    limit,
    async (t) => {
      const { near, far } = await connected(t, provider);
      setsockopt(far, SOL_SOCKET, SO_OOBINLINE, 1);
      await send(near, Buffer.from('before'));
      await send(near, Buffer.from('U'), MSG_OOB);
      await send(near, Buffer.from('after'));
      await arrived(far, 6);
      await until(() => ioctlsocket(far, SIOCATMARK) === 0, 'the mark is there');
      await fails(recv(far, Buffer.alloc(1), MSG_OOB), 'WSAEINVAL');
      assert.equal(await received(far, MSG_PEEK), 'before');
      assert.equal(await received(far), 'before');
      assert.equal(ioctlsocket(far, SIOCATMARK), 1);
      assert.equal(await received(far, MSG_PEEK), 'U');
      assert.equal(await received(far), 'U');
      assert.equal(await received(far), 'after');
    },
  );

  test(`WSD-OOB-7: an urgent byte alone is told at once, and not in the stream [${provider}]`, limit, async (t) => {
    const { near, far } = await connected(t, provider);
    const waiting = urgentText(far);
    const ordinary = received(far);
    await send(near, Buffer.from('!'), MSG_OOB);
    assert.equal(await waiting, '!');
    await send(near, Buffer.from('text'));
    assert.equal(await ordinary, 'text');
    ioctlsocket(far, FIONBIO, 1);
    await fails(recv(far, Buffer.alloc(1), MSG_OOB), 'WSAEWOULDBLOCK');
    await fails(recv(far, Buffer.alloc(0), MSG_OOB), 'WSAEINVAL');
  });

  test(
    `what is passed unread is still received by MSG_OOB, until other urgent data comes [${provider}]`,
    limit,
    async (t) => {
      const { near, far } = await connected(t, provider);
      await WSASend(near, [Buffer.from('a'), Buffer.from('1')], MSG_OOB);
      await send(near, Buffer.from('b'));
      assert.equal(await receiveText(far, 2), 'ab');
      assert.equal(await urgentText(far), '1');
      await send(near, Buffer.from('2'), MSG_OOB);
      await send(near, Buffer.from('c'));
      assert.equal(await receiveText(far, 1), 'c');
      await send(near, Buffer.from('d3'), MSG_OOB);
      assert.equal(await receiveText(far, 1), 'd');
      while ((await urgentText(far, MSG_PEEK)) !== '3') await turn();
    },
  );

  test(`there is one mark: a newer one makes the byte of the older an ordinary one [${provider}]`, limit, async (t) => {
    const { near, far } = await connected(t, provider);
    await send(near, Buffer.from('a1'), MSG_OOB);
    await send(near, Buffer.from('b2'), MSG_OOB);
    await send(near, Buffer.from('c'));
    await arrived(far, 3);
    assert.equal(await received(far), 'a1b');
    assert.equal(await urgentText(far), '2');
    assert.equal(await received(far), 'c');
    // One that was received already does not come again.
    await send(near, Buffer.from('d3'), MSG_OOB);
    assert.equal(await urgentText(far), '3');
    await send(near, Buffer.from('e4'), MSG_OOB);
    assert.equal(await urgentText(far), '4');
    await send(near, Buffer.from('f'));
    assert.equal(await receiveText(far, 3), 'def');
  });

  test(`urgent data keeps its place behind what waits, in both directions at once [${provider}]`, limit, async (t) => {
    const { near, far } = await connected(t, provider);
    const bulk = 6 << 20;
    const sending = Promise.all([
      send(near, Buffer.alloc(bulk, 1)),
      send(near, Buffer.concat([Buffer.alloc(9999, 1), Buffer.from('U')]), MSG_OOB),
      send(near, Buffer.alloc(bulk, 2)),
      send(far, Buffer.from('V'), MSG_OOB),
    ]);
    assert.equal(await urgentText(near), 'V');
    const first = await receive(far, bulk + 9999);
    assert.ok(first.every((byte) => byte === 1));
    assert.equal(await urgentText(far), 'U');
    const second = await receive(far, bulk);
    assert.ok(second.every((byte) => byte === 2));
    assert.deepEqual(await sending, [bulk, 10_000, bulk, 1]);
  });

  test(`nonblocking urgent sends count like others, and closing delivers them [${provider}]`, limit, async (t) => {
    const { near, far } = await connected(t, provider);
    ioctlsocket(near, FIONBIO, 1);
    const buffer = Buffer.from('xyU');
    assert.equal(await send(near, buffer, MSG_OOB), 3);
    buffer.fill(0);
    await closesocket(near);
    assert.equal(await receiveText(far), 'xy');
    assert.equal(await urgentText(far), 'U');
    assert.equal(await urgentText(far), '');
  });

  test(`the end of data ends a receive of urgent data [${provider}]`, limit, async (t) => {
    const { near, far } = await connected(t, provider);
    const waiting = urgentText(far);
    shutdown(near, SD_SEND);
    assert.equal(await waiting, '');
    await fails(send(near, Buffer.from('U'), MSG_OOB), 'WSAESHUTDOWN');
  });
}

test('where koffi is not to be had, TCP/IP has everything but urgent data [tcpip]', limit, async (t) => {
  const { near, far } = await connected(t, 'tcpip', {
    client: { kernelSockets: false },
    server: { kernelSockets: false },
  });
  await fails(send(near, Buffer.from('U'), MSG_OOB), 'WSAEOPNOTSUPP');
  await fails(recv(far, Buffer.alloc(1), MSG_OOB), 'WSAEOPNOTSUPP');
  const [bytes, sending] = [
    Buffer.alloc(2 << 20, 3),
    WSASend(near, [Buffer.alloc(1 << 20, 3), Buffer.alloc(1 << 20, 3)]),
  ];
  assert.ok((await receive(far, bytes.length)).equals(bytes));
  await sending;
  shutdown(near, SD_SEND);
  assert.equal(await recv(far, Buffer.alloc(1)), 0);
});

test(
  'WSD-OOB-7: on TCP/IP it is TCP’s own urgent data, which any other program has as well [tcpip]',
  limit,
  async (t) => {
    const { client } = twoSides(t, 'tcpip');
    const plain = net.createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1');
    t.after(() => plain.close());
    await once(plain, 'listening');
    const near = client.socket();
    const connecting = connect(near, loopback((plain.address() as net.AddressInfo).port));
    const [peer] = (await once(plain, 'connection')) as [net.Socket];
    t.after(() => peer.destroy());
    await connecting;
    const libc = loadLibc();
    const { fd } = (peer as unknown as { _handle: { fd: number } })._handle;
    const buffer = Buffer.alloc(8);
    await send(near, Buffer.from('abU'), MSG_OOB);
    // The kernel's receive with MSG_OOB, and one without.
    await until(() => libc.recv(fd, buffer, 1, 0x41) === 1, 'the urgent byte is there');
    assert.equal(buffer.toString('latin1', 0, 1), 'U');
    assert.equal(buffer.toString('latin1', 0, libc.recv(fd, buffer, 8, 0x40)), 'ab');
    assert.equal(libc.send(fd, Buffer.from('xy!'), 3, 0x1), 3);
    assert.equal(libc.send(fd, Buffer.from('z'), 1, 0), 1);
    assert.equal(await urgentText(near), '!');
    assert.equal(await receiveText(near, 3), 'xyz');
  },
);

/** Calls of a function since `from`, with a copy of the bytes that it was given. */
function sends(calls: readonly Call[], from: number): { length: number; flags: unknown }[] {
  return calls
    .slice(from)
    .filter(({ fn }) => fn === 'WSPSend')
    .map(({ args }) => ({ length: (args[1] as readonly WSABUF[])[0]!.len, flags: args[4] }));
}

const headerSize = 16;

test(
  'WSD-OOB-1, WSD-OOB-2, WSD-OOB-3: a send with MSG_OOB is a control message with the data, sent with flags 0 [shared-memory]',
  limit,
  async (t) => {
    const { near, far, client } = await connected(t, 'shared-memory');
    const from = client.san.length;
    await send(near, Buffer.from('abU'), MSG_OOB);
    assert.deepEqual(sends(client.san, from), [{ length: headerSize + 3, flags: 0 }]);
    assert.equal(await receiveText(far, 2), 'ab');
    assert.equal(await overSoon(urgentText(far)), 'U');
    assert.deepEqual(
      client.sanNames(from).filter((name) => name !== 'WSPSend' && name !== 'WSPRecv'),
      [],
    );
  },
);

test(
  'WSD-OOB-4, WSD-OOB-5, WSD-OOB-6: it comes in a posted buffer, which is posted again while the data waits [shared-memory]',
  limit,
  async (t) => {
    const { near, far, server } = await connected(t, 'shared-memory');
    const posted = server.san.filter(({ fn }) => fn === 'WSPRecv').map(({ args }) => args[5]);
    const from = server.san.length;
    // More often than there are buffers: who does not receive does not keep them.
    const rounds = 3 * posted.length;
    for (let i = 0; i < rounds; i++) {
      await send(near, Buffer.from(`${i % 10}U`), MSG_OOB);
      await until(() => server.count('san', 'WSPRecv') === posted.length + i + 1, 'posted again');
    }
    for (const { fn, args } of server.san.slice(from)) {
      if (fn === 'WSPRecv') assert.ok(posted.includes(args[5]), 'a buffer that was posted before');
    }
    assert.equal(await urgentText(far), 'U');
    const expected = Array.from({ length: rounds }, (_, i) => `${i % 10}${i < rounds - 1 ? 'U' : ''}`).join('');
    assert.equal(await receiveText(far, expected.length), expected);
  },
);

test('WSD-OOB-8: ordinary small sends take the same way, and are plain data [shared-memory]', limit, async (t) => {
  const { near, far, client, server } = await connected(t, 'shared-memory');
  const [from, of] = [client.san.length, server.san.length];
  await send(near, Buffer.from('abc'));
  assert.deepEqual(sends(client.san, from), [{ length: headerSize + 3, flags: 0 }]);
  await arrived(far, 3);
  assert.equal(server.sanNames(of).filter((name) => name === 'WSPRecv').length, 1);
  ioctlsocket(far, FIONBIO, 1);
  await fails(recv(far, Buffer.alloc(1), MSG_OOB), 'WSAEWOULDBLOCK');
  assert.equal(ioctlsocket(far, SIOCATMARK), 1);
  const one = Buffer.alloc(3);
  assert.equal(await WSARecv(far, one), 3);
});
