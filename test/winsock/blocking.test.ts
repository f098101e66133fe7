/** Waiting, not waiting, and cancelling: all of it above the providers. */

import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import { CF_ACCEPT, SO_ERROR, SOL_SOCKET } from '../../src/spi/index.js';
import {
  accept,
  closesocket,
  connect,
  getpeername,
  getsockname,
  getsockopt,
  ioctlsocket,
  recv,
  send,
  WSAAccept,
} from '../../src/winsock/calls.js';
import { FIONBIO, FIONREAD, SO_CONDITIONAL_ACCEPT } from '../../src/winsock/constants.js';
import {
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

for (const provider of carriers) {
  test(
    `WSD-CON-20, WSD-CON-27: polling a nonblocking connect is answered without asking anybody [${provider}]`,
    limit,
    async (t) => {
      const { server, client } = twoSides(t, provider);
      const { s, name } = server.listening();
      const near = client.socket();
      ioctlsocket(near, FIONBIO, 1);
      const accepting = accept(s);
      await fails(connect(near, name), 'WSAEWOULDBLOCK');
      await fails(connect(near, name), 'WSAEALREADY');
      await fails(recv(near, Buffer.alloc(1)), 'WSAENOTCONN');
      const far = await accepting;
      let last = '';
      await until(() => {
        void connect(near, name).catch((error: { code: string }) => {
          last = error.code;
        });
        return last === 'WSAEISCONN';
      }, 'connected');
      await fails(connect(near, name), 'WSAEISCONN');
      assert.equal(client.count('san', 'WSPConnect'), provider === 'shared-memory' ? 1 : 0);
      assert.equal(client.count('tcpip', 'WSPConnect'), provider === 'shared-memory' ? 0 : 1);
      assert.deepEqual(getpeername(near), getsockname(far));
    },
  );

  test(`a nonblocking connect that fails tells it once, to a poll or by SO_ERROR [${provider}]`, limit, async (t) => {
    const { server, client } = twoSides(t, provider, { client: { required: false } });
    const { s, name } = server.listening();
    await closesocket(s);
    const near = client.socket();
    ioctlsocket(near, FIONBIO, 1);
    for (const ask of ['poll', 'option']) {
      await fails(connect(near, name), 'WSAEWOULDBLOCK');
      if (ask === 'option') {
        let error = 0;
        await until(() => {
          error = getsockopt(near, SOL_SOCKET, SO_ERROR) as number;
          return error !== 0;
        }, 'failed');
        assert.equal(error, 10061);
      } else {
        let last = '';
        await until(() => {
          if (last === '' || last === 'WSAEALREADY')
            void connect(near, name).catch((error: { code: string }) => {
              last = error.code;
            });
          return last === 'WSAECONNREFUSED';
        }, 'failed');
      }
    }
    assert.equal(getsockopt(near, SOL_SOCKET, SO_ERROR), 0);
  });

  test(`nonblocking calls never wait [${provider}]`, limit, async (t) => {
    const { near, far, listening, client } = await connected(t, provider);
    for (const s of [near, listening.s]) ioctlsocket(s, FIONBIO, 1);
    await fails(accept(listening.s), 'WSAEWOULDBLOCK');
    await fails(recv(near, Buffer.alloc(1)), 'WSAEWOULDBLOCK');
    await send(far, Buffer.from('abc'));
    await until(() => ioctlsocket(near, FIONREAD) === 3, 'there is something');
    const buffer = Buffer.alloc(8);
    assert.equal(await recv(near, buffer), 3);
    // Sending goes on until nothing more is taken, and what was taken arrives, also if the buffer is used again.
    const piece = Buffer.alloc(1 << 20, 1);
    let sent = 0;
    let code = '';
    while (code === '') {
      await send(near, piece).then(
        (count) => {
          sent += count;
        },
        (error: { code: string }) => {
          code = error.code;
        },
      );
      piece.fill(1);
    }
    assert.equal(code, 'WSAEWOULDBLOCK');
    piece.fill(2);
    const received = await receive(far, sent);
    assert.ok(received.every((byte) => byte === 1));
    await until(() => true, 'written');
    const other = client.socket();
    const accepting = connect(other, listening.name);
    let next: Awaited<ReturnType<typeof accept>> | null = null;
    await until(() => {
      void accept(listening.s).then(
        (s) => {
          next = s;
        },
        () => {},
      );
      return next !== null;
    }, 'accepted');
    await accepting;
    // Accepted sockets are like the listening one.
    await fails(recv(next!, Buffer.alloc(1)), 'WSAEWOULDBLOCK');
  });

  test(
    `WSD-BLK-1: a recv that waits, and its cancellation, ask nothing of a provider [${provider}]`,
    limit,
    async (t) => {
      const { near, far, client } = await connected(t, provider);
      await turn();
      const asked = [client.san.length, client.tcpip.length];
      const controller = new AbortController();
      const waiting = recv(near, Buffer.alloc(1), 0, { signal: controller.signal });
      for (let i = 0; i < 20; i++) await turn();
      const reason = new Error('enough');
      controller.abort(reason);
      const error = await fails(waiting, 'WSA_OPERATION_ABORTED');
      assert.equal(error.cause, reason);
      assert.equal(error.number, 995);
      assert.deepEqual([client.san.length, client.tcpip.length], asked);
      await fails(recv(near, Buffer.alloc(1), 0, { signal: controller.signal }), 'WSA_OPERATION_ABORTED');
      // This one has cost nothing: no byte is lost.
      await send(far, Buffer.from('x'));
      assert.equal(await receiveText(near, 1), 'x');
      assert.deepEqual(getEventListeners(controller.signal, 'abort'), []);
    },
  );

  test(
    `WSD-BLK-4: a cancelled send whose data is still above the provider drops it and fails [${provider}]`,
    limit,
    async (t) => {
      const { near, far } = await connected(t, provider);
      const first = Buffer.alloc(16 << 20, 1);
      const sending = send(near, first);
      const controller = new AbortController();
      const dropped = send(near, Buffer.alloc(1000, 2), 0, { signal: controller.signal });
      const last = send(near, Buffer.alloc(1000, 3));
      controller.abort();
      await fails(dropped, 'WSA_OPERATION_ABORTED');
      const received = await receive(far, first.length + 1000);
      assert.equal(await sending, first.length);
      assert.equal(await last, 1000);
      assert.ok(received.subarray(0, first.length).every((byte) => byte === 1));
      assert.ok(received.subarray(first.length).every((byte) => byte === 3));
    },
  );

  test(
    `WSD-BLK-7: of a connection whose send was cancelled half-way only closing works [${provider}]`,
    limit,
    async (t) => {
      const { near, far } = await connected(t, provider);
      const controller = new AbortController();
      const sending = send(near, Buffer.alloc(16 << 20), 0, { signal: controller.signal });
      const queued = send(near, Buffer.from('x'));
      void queued.catch(() => {});
      for (let i = 0; i < 10; i++) await turn();
      controller.abort();
      await fails(sending, 'WSA_OPERATION_ABORTED');
      await overSoon(fails(queued, 'WSAECONNABORTED'));
      await fails(send(near, Buffer.from('x')), 'WSAECONNABORTED');
      await fails(recv(near, Buffer.alloc(1)), 'WSAECONNABORTED');
      if (provider === 'shared-memory') await fails(receive(far), 'WSAECONNRESET');
      else {
        // libuv tells the end of data instead of a reset that comes with the last of the data.
        const got = await receive(far).then(
          ({ length }) => length,
          () => 0,
        );
        assert.ok(got < 16 << 20);
      }
      await closesocket(near);
      await fails(recv(near, Buffer.alloc(1)), 'WSAENOTSOCK');
    },
  );

  test(`a cancelled connect leaves a socket that can only be closed [${provider}]`, limit, async (t) => {
    const { server, client } = twoSides(t, provider);
    const { s, name } = server.listening(4, [[SOL_SOCKET, SO_CONDITIONAL_ACCEPT, 1]]);
    const near = client.socket();
    const controller = new AbortController();
    const connecting = connect(near, name, { signal: controller.signal });
    if (provider === 'shared-memory') {
      await until(() => client.count('san', 'WSPConnect') === 1, 'it has begun');
      await turn();
    }
    controller.abort();
    await fails(connecting, 'WSA_OPERATION_ABORTED');
    if (provider === 'shared-memory') {
      // WSD-CON-22: the companion is closed.
      const companion = client.san.find(({ fn }) => fn === 'WSPConnect')?.args[0];
      assert.ok(client.san.some(({ fn, args }) => fn === 'WSPCloseSocket' && args[0] === companion));
    }
    await fails(connect(near, name), 'WSAEINVAL');
    await fails(send(near, Buffer.alloc(1)), 'WSAENOTCONN');
    await closesocket(near);
    // Nobody is accepted for it.
    const other = client.socket();
    const [far] = await Promise.all([WSAAccept(s, () => CF_ACCEPT), connect(other, name)]);
    if (provider === 'shared-memory') assert.deepEqual(getpeername(far), getsockname(other));
  });

  test(`closing ends what waits on the socket [${provider}]`, limit, async (t) => {
    const { near, far, client, listening } = await connected(t, provider);
    const receiving = recv(near, Buffer.alloc(1));
    await closesocket(near);
    await fails(receiving, 'WSA_OPERATION_ABORTED');
    assert.equal(await recv(far, Buffer.alloc(1)), 0);
    const other = client.socket();
    const connecting = connect(other, listening.name);
    void connecting.catch(() => {});
    await closesocket(other);
    await fails(connecting, 'WSA_OPERATION_ABORTED');
  });

  test(`WSD-BLK-2: cancelling never asks a provider for WSPCancelBlockingCall [${provider}]`, limit, async (t) => {
    const { near, client, server, listening } = await connected(t, provider);
    const controller = new AbortController();
    const { signal } = controller;
    const waiting = [
      recv(near, Buffer.alloc(1), 0, { signal }),
      send(near, Buffer.alloc(16 << 20), 0, { signal }),
      accept(listening.s, { signal }),
      connect(client.socket(), loopback(listening.name.port), { signal }),
    ].map((promise) => fails(promise, 'WSA_OPERATION_ABORTED'));
    controller.abort();
    await Promise.all(waiting);
    for (const { asked } of [client, server]) {
      assert.equal(asked.size > 0, provider === 'shared-memory');
      assert.deepEqual(
        [...asked].filter((name) => /cancel/i.test(name)),
        [],
      );
    }
  });

  test(
    `WSD-EVT-1, WSD-EVT-12: what a program waits for is told by this face, and a SAN is asked for two events only [${provider}]`,
    limit,
    async (t) => {
      const { server, client } = twoSides(t, provider);
      const { s, name } = server.listening();
      const near = client.socket();
      const events: string[] = [];
      const note = (event: string) => () => void events.push(event);
      const accepting = accept(s);
      void accepting.then(note('FD_ACCEPT'));
      await connect(near, name).then(note('FD_CONNECT'));
      const far = await accepting;
      const receiving = recv(near, Buffer.alloc(1)).then(note('FD_READ'));
      await send(far, Buffer.from('x')).then(note('FD_WRITE'));
      await receiving;
      const ending = recv(near, Buffer.alloc(1)).then((count) => events.push(`FD_CLOSE ${count}`));
      await closesocket(far);
      await ending;
      assert.deepEqual(events.sort(), ['FD_ACCEPT', 'FD_CLOSE 0', 'FD_CONNECT', 'FD_READ', 'FD_WRITE']);
      const selected = [...server.san, ...client.san]
        .filter(({ fn }) => fn === 'WSPEventSelect')
        .map(({ args }) => args[2]);
      assert.deepEqual(selected.sort(), provider === 'shared-memory' ? [0x08, 0x10].sort() : []);
      for (const { asked } of [client, server])
        assert.deepEqual(
          [...asked].filter((fn) => /AsyncSelect|WSPSelect$/.test(fn)),
          [],
        );
    },
  );
}

test(
  'WSD-CON-21: a blocking connect is forwarded in nonblocking mode, and the waiting is done above [shared-memory]',
  limit,
  async (t) => {
    const { server, client } = twoSides(t, 'shared-memory');
    const { s, name } = server.listening(4, [[SOL_SOCKET, SO_CONDITIONAL_ACCEPT, 1]]);
    const near = client.socket();
    let settled = false;
    const connecting = connect(near, name).then(() => {
      settled = true;
    });
    await until(() => server.sanNames().includes('WSPAccept'), 'the request has come');
    const names = client.sanNames();
    const call = client.san.find(({ fn }) => fn === 'WSPConnect')!;
    assert.ok(names.indexOf('WSPEventSelect') < names.indexOf('WSPConnect'));
    assert.deepEqual([call.over, call.error, settled], [true, 'WSAEWOULDBLOCK', false]);
    await accept(s);
    await connecting;
  },
);

test(
  'WSD-BLK-3: blocking sends and receives are overlapped calls of the provider [shared-memory]',
  limit,
  async (t) => {
    const { near, far, client, server } = await connected(t, 'shared-memory');
    const before = [client, server].map(({ san }) => san.length);
    await Promise.all([send(near, Buffer.from('x')), receiveText(far, 1)]);
    const calls = [client, server].flatMap(({ san }, at) => san.slice(before[at]));
    const data = calls.filter(({ fn }) => fn === 'WSPSend' || fn === 'WSPRecv');
    assert.deepEqual(new Set(data.map(({ fn }) => fn)), new Set(['WSPSend', 'WSPRecv']));
    for (const { args, over } of data) {
      assert.ok(over);
      assert.ok(args[5] !== null && typeof args[5] === 'object', 'an overlapped record');
    }
  },
);
