/** Sending, receiving, ending: the same on every carrier. */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { SD_BOTH, SD_RECEIVE, SD_SEND, SO_LINGER, SOL_SOCKET } from '../../src/spi/index.js';
import {
  closesocket,
  ioctlsocket,
  recv,
  send,
  setsockopt,
  shutdown,
  WSARecvDisconnect,
  WSASendDisconnect,
} from '../../src/winsock/calls.js';
import { FIONBIO, FIONREAD } from '../../src/winsock/constants.js';
import { carriers, connected, fails, ManualTimers, receive, receiveText, throws, turn, until } from './support.js';

const limit = { timeout: 20_000 };

for (const provider of carriers) {
  test(`bytes go both ways, in order [${provider}]`, limit, async (t) => {
    const { near, far } = await connected(t, provider);
    assert.equal(await send(near, Buffer.from('question')), 8);
    assert.equal(await receiveText(far, 8), 'question');
    assert.equal(await send(far, Buffer.from('answer')), 6);
    assert.equal(await receiveText(near, 6), 'answer');
  });

  test(`a MiB each way at the same time [${provider}]`, limit, async (t) => {
    const { near, far } = await connected(t, provider);
    const [up, down] = [randomBytes(1 << 20), randomBytes(1 << 20)];
    const [, , atFar, atNear] = await Promise.all([
      send(near, up),
      send(far, down),
      receive(far, up.length),
      receive(near, down.length),
    ]);
    assert.ok(atFar.equals(up) && atNear.equals(down));
  });

  test(`who does not receive holds the sender back, and takes little on account [${provider}]`, limit, async (t) => {
    const { near, far } = await connected(t, provider);
    const bytes = randomBytes(24 << 20);
    let sent = false;
    const sending = send(near, bytes).then(() => {
      sent = true;
    });
    await until(() => ioctlsocket(far, FIONREAD) > 0, 'something has arrived');
    for (let i = 0; i < 200; i++) await turn();
    assert.equal(sent, false);
    assert.ok(ioctlsocket(far, FIONREAD) <= 512 << 10, String(ioctlsocket(far, FIONREAD)));
    assert.ok((await receive(far, bytes.length)).equals(bytes));
    await sending;
  });

  test(`a recv takes what fits, and the rest stays [${provider}]`, limit, async (t) => {
    const { near, far } = await connected(t, provider);
    await send(near, Buffer.from('abcdef'));
    const small = Buffer.alloc(4);
    assert.equal(await recv(far, small), 4);
    assert.equal(small.toString(), 'abcd');
    assert.equal(await receiveText(far, 2), 'ef');
  });

  test(
    `shutdown(SD_SEND) is the peer's end of data, and the other direction goes on [${provider}]`,
    limit,
    async (t) => {
      const { near, far } = await connected(t, provider);
      await send(near, Buffer.from('last'));
      shutdown(near, SD_SEND);
      assert.equal(await receiveText(far), 'last');
      assert.equal(await recv(far, Buffer.alloc(1)), 0);
      await fails(send(near, Buffer.from('x')), 'WSAESHUTDOWN');
      await send(far, Buffer.from('still'));
      assert.equal(await receiveText(near, 5), 'still');
    },
  );

  test(`after shutdown(SD_RECEIVE) a recv fails, and data of the peer is a reset [${provider}]`, limit, async (t) => {
    const { near, far } = await connected(t, provider);
    const waiting = recv(far, Buffer.alloc(1));
    shutdown(far, SD_RECEIVE);
    await fails(waiting, 'WSAESHUTDOWN');
    await fails(recv(far, Buffer.alloc(1)), 'WSAESHUTDOWN');
    await send(near, Buffer.from('x'));
    await fails(recv(near, Buffer.alloc(1)), 'WSAECONNRESET');
  });

  test(`a socket that is shut down in both directions is closed for both [${provider}]`, limit, async (t) => {
    const { near, far } = await connected(t, provider);
    shutdown(near, SD_BOTH);
    await fails(send(near, Buffer.from('x')), 'WSAESHUTDOWN');
    await fails(recv(near, Buffer.alloc(1)), 'WSAESHUTDOWN');
    assert.equal(await recv(far, Buffer.alloc(1)), 0);
    throws(() => shutdown(near, 7), 'WSAEINVAL');
  });

  test(
    `WSD-CLS-4: closing delivers everything sent before, with no help of the provider [${provider}]`,
    limit,
    async (t) => {
      const { near, far, client } = await connected(t, provider);
      const bytes = randomBytes(3 << 20);
      const sent = send(near, bytes);
      await closesocket(near);
      const received = await receive(far);
      assert.ok(received.equals(bytes), `${received.length} bytes`);
      assert.equal(await sent, bytes.length);
      await fails(recv(near, Buffer.alloc(1)), 'WSAENOTSOCK');
      const closes = client.san.filter(({ fn }) => fn === 'WSPCloseSocket');
      for (const { result, error } of closes) assert.deepEqual([result, error], [0, '']);
      if (provider === 'tcpip') return;
      // The last message was sent before the companion was closed.
      await closesocket(far);
      const companion = client.san.find(({ fn }) => fn === 'WSPConnect')?.args[0];
      const names = (): string[] => client.san.filter(({ args }) => args[0] === companion).map(({ fn }) => fn);
      await until(() => names().includes('WSPCloseSocket'), 'the companion is closed');
      assert.ok(names().lastIndexOf('WSPSend') < names().indexOf('WSPCloseSocket'));
    },
  );

  test(`WSD-CLS-5: SO_LINGER with a time of 0 resets [${provider}]`, limit, async (t) => {
    const { near, far } = await connected(t, provider);
    setsockopt(near, SOL_SOCKET, SO_LINGER, { l_onoff: true, l_linger: 0 });
    await closesocket(near);
    await fails(recv(far, Buffer.alloc(1)), 'WSAECONNRESET');
    await fails(recv(far, Buffer.alloc(1)), 'WSAECONNRESET');
    await fails(send(far, Buffer.alloc(1)), 'WSAECONNRESET');
  });

  test(`WSD-CLS-5: SO_LINGER with a time waits for what is sent [${provider}]`, limit, async (t) => {
    const { near, far } = await connected(t, provider);
    setsockopt(near, SOL_SOCKET, SO_LINGER, { l_onoff: true, l_linger: 10 });
    const bytes = randomBytes(3 << 20);
    let sent = false;
    void send(near, bytes).then(() => {
      sent = true;
    });
    const closing = closesocket(near).then(() => sent);
    assert.ok((await receive(far)).equals(bytes));
    assert.equal(await closing, true);
  });

  test(
    `WSD-CLS-5: SO_LINGER ends the connection at its time, and never blocks a nonblocking socket [${provider}]`,
    limit,
    async (t) => {
      const timers = new ManualTimers();
      const { near, far } = await connected(t, provider, { client: { timers } });
      setsockopt(near, SOL_SOCKET, SO_LINGER, { l_onoff: true, l_linger: 10 });
      ioctlsocket(near, FIONBIO, 1);
      await fails(closesocket(near), 'WSAEWOULDBLOCK');
      assert.equal(await send(near, Buffer.from('x')), 1);
      assert.equal(await receiveText(far, 1), 'x');
      ioctlsocket(near, FIONBIO, 0);
      // More than anybody takes while the peer does not receive.
      const total = 24 << 20;
      const sending = fails(send(near, Buffer.alloc(total)), 'WSA_OPERATION_ABORTED');
      const closing = closesocket(near);
      await turn();
      assert.equal(timers.fire(10_000), 1);
      await Promise.all([closing, sending]);
      const got = await receive(far).then(
        ({ length }) => length,
        () => 0,
      );
      assert.ok(got < total);
    },
  );

  test(`unread bytes make closing a reset [${provider}]`, limit, async (t) => {
    const { near, far } = await connected(t, provider);
    await send(near, Buffer.from('nobody reads this'));
    await send(far, Buffer.from('x'));
    await receiveText(near, 1);
    const one = Buffer.alloc(1);
    assert.equal(await recv(far, one), 1);
    await closesocket(far);
    await fails(recv(near, one), 'WSAECONNRESET');
  });

  test(
    `WSD-CLS-2, WSD-CLS-3: shutting down and disconnect data never reach a provider [${provider}]`,
    limit,
    async (t) => {
      const { near, far, client, server } = await connected(t, provider);
      throws(() => WSASendDisconnect(near, Buffer.from('farewell')), 'WSAENOPROTOOPT');
      throws(() => WSARecvDisconnect(near, Buffer.alloc(8)), 'WSAENOPROTOOPT');
      const from = client.san.length;
      WSASendDisconnect(near);
      assert.equal(await recv(far, Buffer.alloc(1)), 0);
      const of = server.san.length;
      WSARecvDisconnect(far);
      await fails(recv(far, Buffer.alloc(1)), 'WSAESHUTDOWN');
      shutdown(far, SD_BOTH);
      await fails(send(far, Buffer.alloc(1)), 'WSAESHUTDOWN');
      // All that a SAN provider is asked for is sending and receiving the switch's own messages, and closing.
      const names = new Set([...client.sanNames(from), ...server.sanNames(of)]);
      for (const name of names) assert.ok(['WSPSend', 'WSPRecv', 'WSPCloseSocket'].includes(name), name);
      assert.equal(names.has('WSPSend'), provider === 'shared-memory');
      for (const side of [client, server]) {
        assert.deepEqual(
          [...side.asked].filter((name) => /shutdown|disconnect/i.test(name)),
          [],
        );
      }
    },
  );
}
