/** AcceptEx, its addresses, and cancelling an accept. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AF_INET6, CF_ACCEPT, SO_LINGER, SOL_SOCKET } from '../../src/spi/index.js';
import {
  AcceptEx,
  accept,
  bind,
  closesocket,
  connect,
  GetAcceptExSockaddrs,
  getpeername,
  getsockname,
  listen,
  recv,
  send,
  setsockopt,
  shutdown,
  WSAAccept,
} from '../../src/winsock/calls.js';
import type { SOCKET } from '../../src/winsock/socket.js';
import { carriers, fails, ManualTimers, receiveText, type Side, turn, twoSides, until } from './support.js';

const limit = { timeout: 20_000 };
const room = 32;

/** The companions that a side has accepted, and those of them that are closed. */
function accepted(side: Side): { sockets: unknown[]; closed: unknown[] } {
  const sockets = side.san.filter(({ fn, error }) => fn === 'WSPAccept' && error === '').map(({ result }) => result);
  const closed = side.san.filter(({ fn }) => fn === 'WSPCloseSocket').map(({ args }) => args[0]);
  return { sockets, closed: closed.filter((socket) => sockets.includes(socket)) };
}

/** The peer sees a reset, be it before or after its connect is complete. */
async function seesReset(near: SOCKET, connecting: Promise<void>): Promise<void> {
  await fails(
    connecting.then(() => recv(near, Buffer.alloc(1))),
    'WSAECONNRESET',
  );
}

for (const provider of carriers) {
  test(`AcceptEx without a receive buffer is done with the connection [${provider}]`, limit, async (t) => {
    const { server, client } = twoSides(t, provider);
    const { s, name } = server.listening();
    const [far, near] = [server.socket(), client.socket()];
    const output = Buffer.alloc(2 * room);
    const accepting = AcceptEx(s, far, output, 0, room, room);
    await fails(recv(far, Buffer.alloc(1)), 'WSAENOTCONN');
    await Promise.all([accepting, connect(near, name)]);
    assert.equal(await accepting, 0);
    const { local, remote } = GetAcceptExSockaddrs(output, 0, room, room);
    assert.deepEqual([local, remote], [name, getsockname(near)]);
    assert.deepEqual([getsockname(far), getpeername(far)], [local, remote]);
    await send(near, Buffer.from('x'));
    assert.equal(await receiveText(far, 1), 'x');
  });

  test(
    `WSD-ACC-27: AcceptEx with a receive buffer is done with the peer's first data [${provider}]`,
    limit,
    async (t) => {
      const { server, client } = twoSides(t, provider);
      const { s, name } = server.listening();
      const [far, near] = [server.socket(), client.socket()];
      const output = Buffer.alloc(100 + 2 * room);
      let received = -1;
      const accepting = AcceptEx(s, far, output, 100, room, room).then((count) => {
        received = count;
      });
      await connect(near, name);
      await until(() => server.count('tcpip', 'WSPAccept') === 1, 'the connection is there');
      for (let i = 0; i < 50; i++) await turn();
      assert.equal(received, -1);
      await send(near, Buffer.from('first data'));
      await accepting;
      assert.equal(output.toString('latin1', 0, received), 'first data');
      assert.deepEqual(GetAcceptExSockaddrs(output, 100, room, room).remote, getsockname(near));
      await send(near, Buffer.from('and more'));
      assert.equal(await receiveText(far, 8), 'and more');
    },
  );

  test(`a peer that ends without data completes AcceptEx with 0 bytes [${provider}]`, limit, async (t) => {
    const { server, client } = twoSides(t, provider);
    const { s, name } = server.listening();
    const near = client.socket();
    const accepting = AcceptEx(s, server.socket(), Buffer.alloc(8 + 2 * room), 8, room, room);
    await connect(near, name);
    shutdown(near, 1);
    assert.equal(await accepting, 0);
  });

  test(
    `an idle peer does not pin AcceptEx: at the limit it is reset, and the next one served [${provider}]`,
    limit,
    async (t) => {
      const timers = new ManualTimers();
      const { server, client } = twoSides(t, provider, { server: { timers } });
      const { s, name } = server.listening();
      const [far, idle, near] = [server.socket(), client.socket(), client.socket()];
      const output = Buffer.alloc(8 + 2 * room);
      const accepting = AcceptEx(s, far, output, 8, room, room, { idleLimit: 1234 });
      const connecting = connect(idle, name);
      await connecting;
      await until(() => timers.fire(1234) === 1, 'the limit runs');
      await seesReset(idle, connecting);
      await connect(near, name);
      await send(near, Buffer.from('busy'));
      assert.equal(await accepting, 4);
      assert.deepEqual(getpeername(far), getsockname(near));
      assert.equal(timers.fire(1234), 0);
    },
  );

  test(`AcceptEx wants an unused socket of the same family, and room for addresses [${provider}]`, limit, async (t) => {
    const { server, client } = twoSides(t, provider);
    const { s, name } = server.listening();
    const output = Buffer.alloc(2 * room);
    const used = server.socket();
    bind(used, { ...name, port: 0 });
    await fails(AcceptEx(s, used, output, 0, room, room), 'WSAEINVAL');
    await fails(AcceptEx(s, s, output, 0, room, room), 'WSAEINVAL');
    await fails(AcceptEx(s, server.socket(AF_INET6), output, 0, room, room), 'WSAEINVAL');
    await fails(AcceptEx(client.socket(), server.socket(), output, 0, room, room), 'WSAEINVAL');
    await fails(AcceptEx(s, server.socket(), output, 0, 31, room), 'WSAEFAULT');
    await fails(AcceptEx(s, server.socket(), output, 1, room, room), 'WSAEFAULT');
    await fails(AcceptEx(s, server.socket(), output, 0, room, room, { idleLimit: 0 }), 'WSAEINVAL');
    const pending = server.socket();
    const accepting = AcceptEx(s, pending, output, 0, room, room);
    await fails(AcceptEx(s, pending, output, 0, room, room), 'WSAEINVAL');
    await closesocket(pending);
    await fails(accepting, 'WSA_OPERATION_ABORTED');
  });

  test(`a cancelled accept leaves its connection to the next one [${provider}]`, limit, async (t) => {
    const { server, client } = twoSides(t, provider);
    const { s, name } = server.listening();
    const controller = new AbortController();
    const cancelled = accept(s, { signal: controller.signal });
    controller.abort();
    await fails(cancelled, 'WSA_OPERATION_ABORTED');
    const near = client.socket();
    const [far] = await Promise.all([accept(s), connect(near, name)]);
    assert.deepEqual(getpeername(far), getsockname(near));
    await fails(accept(s, { signal: controller.signal }), 'WSA_OPERATION_ABORTED');
  });

  test(`AcceptEx over IPv6 writes sockaddr_in6 [${provider}]`, limit, async (t) => {
    const { server, client } = twoSides(t, provider);
    const s = server.socket(AF_INET6);
    bind(s, { sa_family: AF_INET6, address: '::1', port: 0 });
    listen(s, 1);
    const near = client.socket(AF_INET6);
    const output = Buffer.alloc(88);
    await Promise.all([AcceptEx(s, server.socket(AF_INET6), output, 0, 44, 44), connect(near, getsockname(s))]);
    assert.deepEqual(GetAcceptExSockaddrs(output, 0, 44, 44), { local: getsockname(s), remote: getsockname(near) });
    assert.equal(output.readUInt16LE(0), AF_INET6);
    assert.equal(output.readUInt16BE(2), getsockname(s).port);
    assert.deepEqual([...output.subarray(8, 24)], [...new Array(15).fill(0), 1]);
  });
}

test(
  'WSD-ACC-28: cancelling an AcceptEx that waits for data closes the accepting SAN socket [shared-memory]',
  limit,
  async (t) => {
    for (const how of ['signal', 'closesocket']) {
      const { server, client } = twoSides(t, 'shared-memory');
      const { s, name } = server.listening();
      const [far, near] = [server.socket(), client.socket()];
      const controller = new AbortController();
      const { signal } = controller;
      const accepting = AcceptEx(s, far, Buffer.alloc(8 + 2 * room), 8, room, room, { signal });
      await connect(near, name);
      await until(() => server.count('tcpip', 'WSPAccept') === 1, 'the connection is there');
      await turn();
      assert.deepEqual([accepted(server).sockets.length, accepted(server).closed.length], [1, 0]);
      if (how === 'signal') controller.abort();
      else await closesocket(far);
      await fails(accepting, 'WSA_OPERATION_ABORTED');
      assert.equal(accepted(server).closed.length, 1, how);
      await fails(recv(near, Buffer.alloc(1)), 'WSAECONNRESET');
    }
  },
);

test(
  'WSD-ACC-28: cancelling a WSAAccept whose condition has said yes closes the accepting SAN socket [shared-memory]',
  limit,
  async (t) => {
    const { server, client } = twoSides(t, 'shared-memory');
    const { s, name } = server.listening();
    const near = client.socket();
    const controller = new AbortController();
    const accepting = WSAAccept(
      s,
      () => {
        // After the verdict, and before the session is negotiated.
        queueMicrotask(() => controller.abort());
        return CF_ACCEPT;
      },
      null,
      { signal: controller.signal },
    );
    const connecting = connect(near, name);
    await fails(accepting, 'WSA_OPERATION_ABORTED');
    await seesReset(near, connecting);
    assert.deepEqual([accepted(server).sockets.length, accepted(server).closed.length], [1, 1]);
    // Cancelled from inside the condition function, there is no accepting socket yet: the request is refused.
    const other = client.socket();
    const inside = new AbortController();
    const second = WSAAccept(
      s,
      () => {
        inside.abort();
        return CF_ACCEPT;
      },
      null,
      { signal: inside.signal },
    );
    await Promise.all([fails(second, 'WSA_OPERATION_ABORTED'), fails(connect(other, name), 'WSAECONNREFUSED')]);
  },
);

test('a peer that resets before its first data fails AcceptEx', limit, async (t) => {
  const { server, client } = twoSides(t, 'shared-memory');
  const { s, name } = server.listening();
  const near = client.socket();
  const accepting = AcceptEx(s, server.socket(), Buffer.alloc(8 + 2 * room), 8, room, room);
  await connect(near, name);
  setsockopt(near, SOL_SOCKET, SO_LINGER, { l_onoff: true, l_linger: 0 });
  await closesocket(near);
  await fails(accepting, 'WSAECONNRESET');
});
