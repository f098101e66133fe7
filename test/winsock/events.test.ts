/** Event objects and network events, with Winsock's rules of what re-enables them. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  CF_ACCEPT,
  CF_DEFER,
  FD_ACCEPT,
  FD_CLOSE,
  FD_CONNECT,
  FD_OOB,
  FD_READ,
  FD_WRITE,
  MSG_OOB,
  SD_SEND,
  SIO_ADDRESS_LIST_CHANGE,
  SO_LINGER,
  SO_OOBINLINE,
  SOL_SOCKET,
} from '../../src/spi/index.js';
import {
  accept,
  bind,
  closesocket,
  connect,
  getpeername,
  getsockname,
  ioctlsocket,
  recv,
  send,
  setsockopt,
  shutdown,
  WSAAccept,
  WSACloseEvent,
  WSACreateEvent,
  WSAEnumNetworkEvents,
  WSAEventSelect,
  WSAIoctl,
  WSAResetEvent,
  WSASetEvent,
  WSAWaitForMultipleEvents,
} from '../../src/winsock/calls.js';
import {
  FD_ADDRESS_LIST_CHANGE,
  FIONBIO,
  FIONREAD,
  SO_CONDITIONAL_ACCEPT,
  WSA_WAIT_TIMEOUT,
} from '../../src/winsock/constants.js';
import type { WSAEVENT } from '../../src/winsock/event.js';
import type { SOCKET } from '../../src/winsock/socket.js';
import {
  carriers,
  connected,
  fails,
  ManualTimers,
  receive,
  receiveText,
  throws,
  turn,
  twoSides,
  until,
} from './support.js';

const limit = { timeout: 20_000 };
const all = FD_READ | FD_WRITE | FD_OOB | FD_ACCEPT | FD_CONNECT | FD_CLOSE;

/** Waits for the event object; then what is recorded. */
async function happened(s: SOCKET, event: WSAEVENT): Promise<{ events: number; errors: number[] }> {
  assert.equal(await WSAWaitForMultipleEvents([event], false, 5000), 0);
  const { lNetworkEvents, iErrorCode } = WSAEnumNetworkEvents(s, event);
  assert.equal(event.signalled, false);
  return { events: lNetworkEvents, errors: iErrorCode.filter((error) => error !== 0) };
}

/** Nothing is recorded, also not a while later. */
async function nothing(s: SOCKET, event: WSAEVENT): Promise<void> {
  for (let i = 0; i < 30; i++) await turn();
  assert.equal(event.signalled, false);
  assert.equal(WSAEnumNetworkEvents(s).lNetworkEvents, 0);
}

test('event objects stay signalled until they are reset', async () => {
  const [a, b] = [WSACreateEvent(), WSACreateEvent()];
  assert.equal(await WSAWaitForMultipleEvents([a, b], false, 0), WSA_WAIT_TIMEOUT);
  const waiting = WSAWaitForMultipleEvents([a, b]);
  const both = WSAWaitForMultipleEvents([a, b], true);
  WSASetEvent(b);
  assert.equal(await waiting, 1);
  assert.equal(await WSAWaitForMultipleEvents([a, b], true, 1), WSA_WAIT_TIMEOUT);
  WSASetEvent(a);
  assert.equal(await both, 0);
  assert.equal(await WSAWaitForMultipleEvents([b, a]), 0);
  WSAResetEvent(b);
  assert.equal(await WSAWaitForMultipleEvents([b, a]), 1);
  WSAResetEvent(a);
  const controller = new AbortController();
  const cancelled = WSAWaitForMultipleEvents([a], false, undefined, { signal: controller.signal });
  controller.abort();
  await fails(cancelled, 'WSA_OPERATION_ABORTED');
  WSACloseEvent(a);
  throws(() => WSASetEvent(a), 'WSA_INVALID_HANDLE');
  await fails(WSAWaitForMultipleEvents([b, a]), 'WSA_INVALID_HANDLE');
  await fails(WSAWaitForMultipleEvents([]), 'WSAEINVAL');
  await fails(WSAWaitForMultipleEvents(new Array(65).fill(b)), 'WSAEINVAL');
});

for (const provider of carriers) {
  test(
    `WSD-EVT-12: a nonblocking connect is told by FD_CONNECT, and then the socket may be written [${provider}]`,
    limit,
    async (t) => {
      const { server, client } = twoSides(t, provider);
      const { s, name } = server.listening();
      const [near, event, arrival] = [client.socket(), WSACreateEvent(), WSACreateEvent()];
      WSAEventSelect(s, arrival, FD_ACCEPT);
      WSAEventSelect(near, event, all);
      assert.equal(event.signalled, false);
      await fails(connect(near, name), 'WSAEWOULDBLOCK');
      let events = 0;
      while (events !== (FD_CONNECT | FD_WRITE)) {
        const found = await happened(near, event);
        assert.deepEqual(found.errors, []);
        events |= found.events;
      }
      assert.deepEqual(await happened(s, arrival), { events: FD_ACCEPT, errors: [] });
      const far = await accept(s);
      assert.deepEqual(getpeername(far), getsockname(near));
      await nothing(s, arrival);
      throws(() => ioctlsocket(near, FIONBIO, 0), 'WSAEINVAL');
      WSAEventSelect(near, null, 0);
      ioctlsocket(near, FIONBIO, 0);
      throws(() => WSAEnumNetworkEvents(near), 'WSAEINVAL');
    },
  );

  test(`WSD-EVT-12: a failed connect is FD_CONNECT with its error [${provider}]`, limit, async (t) => {
    const { server, client } = twoSides(t, provider, { client: { required: false } });
    const { s, name } = server.listening();
    await closesocket(s);
    const [near, event] = [client.socket(), WSACreateEvent()];
    WSAEventSelect(near, event, all);
    for (let i = 0; i < 2; i++) {
      await fails(connect(near, name), 'WSAEWOULDBLOCK');
      assert.deepEqual(await happened(near, event), { events: FD_CONNECT, errors: [10061] });
      await fails(connect(near, name), 'WSAECONNREFUSED');
    }
  });

  test(
    `WSD-EVT-12: FD_READ is told again only after a recv that leaves something, or for what comes later [${provider}]`,
    limit,
    async (t) => {
      const { near, far } = await connected(t, provider);
      const event = WSACreateEvent();
      await send(near, Buffer.from('early'));
      await until(() => ioctlsocket(far, FIONREAD) === 5, 'arrived');
      WSAEventSelect(far, event, FD_READ | FD_CLOSE);
      assert.deepEqual(await happened(far, event), { events: FD_READ, errors: [] });
      await send(near, Buffer.from('more'));
      await until(() => ioctlsocket(far, FIONREAD) === 9, 'arrived');
      await nothing(far, event);
      assert.equal(await receiveText(far, 5), 'early');
      assert.deepEqual(await happened(far, event), { events: FD_READ, errors: [] });
      assert.equal(await receiveText(far, 4), 'more');
      await nothing(far, event);
      await send(near, Buffer.from('x'));
      assert.deepEqual(await happened(far, event), { events: FD_READ, errors: [] });
      // Also a receive that gets nothing re-enables it.
      assert.equal(await recv(far, Buffer.alloc(1)), 1);
      await fails(recv(far, Buffer.alloc(1)), 'WSAEWOULDBLOCK');
      await send(near, Buffer.from('y'));
      assert.deepEqual(await happened(far, event), { events: FD_READ, errors: [] });
    },
  );

  test(`WSD-EVT-12: FD_CLOSE comes after everything that was sent before [${provider}]`, limit, async (t) => {
    for (const how of ['end', 'reset']) {
      const { near, far } = await connected(t, provider);
      const event = WSACreateEvent();
      WSAEventSelect(far, event, FD_READ | FD_CLOSE);
      await send(near, Buffer.from('last words'));
      assert.deepEqual(await happened(far, event), { events: FD_READ, errors: [] });
      if (how === 'end') shutdown(near, SD_SEND);
      else {
        assert.equal(await receiveText(far, 10), 'last words');
        setsockopt(near, SOL_SOCKET, SO_LINGER, { l_onoff: true, l_linger: 0 });
        await closesocket(near);
      }
      if (how === 'end') {
        await nothing(far, event);
        assert.equal(await receiveText(far, 10), 'last words');
      }
      assert.deepEqual(await happened(far, event), { events: FD_CLOSE, errors: how === 'end' ? [] : [10054] });
      await recv(far, Buffer.alloc(1)).catch(() => {});
      await nothing(far, event);
    }
  });

  test(
    `WSD-EVT-12: FD_WRITE comes again when a send that was refused would be taken [${provider}]`,
    limit,
    async (t) => {
      const { near, far } = await connected(t, provider);
      const event = WSACreateEvent();
      WSAEventSelect(near, event, FD_WRITE);
      assert.deepEqual(await happened(near, event), { events: FD_WRITE, errors: [] });
      let sent = 0;
      const piece = Buffer.alloc(1 << 20);
      const flood = async (): Promise<void> => {
        for (;;) sent += await send(near, piece);
      };
      // Until nobody below takes any more: each time that there is room again, it is told.
      do await fails(flood(), 'WSAEWOULDBLOCK');
      while ((await WSAWaitForMultipleEvents([event], false, 50)) === 0 && (await happened(near, event)).events !== 0);
      assert.equal((await receive(far, sent)).length, sent);
      assert.deepEqual(await happened(near, event), { events: FD_WRITE, errors: [] });
      await send(near, Buffer.from('x'));
      await nothing(near, event);
    },
  );

  test(`WSD-EVT-12: FD_OOB tells of urgent data, unless that is received inline [${provider}]`, limit, async (t) => {
    const { near, far } = await connected(t, provider);
    const event = WSACreateEvent();
    WSAEventSelect(far, event, FD_OOB | FD_READ);
    await send(near, Buffer.from('U'), MSG_OOB);
    assert.deepEqual(await happened(far, event), { events: FD_OOB, errors: [] });
    await nothing(far, event);
    assert.equal(await recv(far, Buffer.alloc(1), MSG_OOB), 1);
    await nothing(far, event);
    await send(near, Buffer.from('V'), MSG_OOB);
    assert.deepEqual(await happened(far, event), { events: FD_OOB, errors: [] });
    assert.equal(await recv(far, Buffer.alloc(1), MSG_OOB), 1);
    setsockopt(far, SOL_SOCKET, SO_OOBINLINE, 1);
    await send(near, Buffer.from('W'), MSG_OOB);
    assert.deepEqual(await happened(far, event), { events: FD_READ, errors: [] });
  });

  test(
    `WSD-EVT-12: FD_ACCEPT comes again after an accept that leaves one, and accepted sockets tell like their listener [${provider}]`,
    limit,
    async (t) => {
      const { server, client } = twoSides(t, provider);
      const { s, name } = server.listening();
      const event = WSACreateEvent();
      WSAEventSelect(s, event, FD_ACCEPT | FD_READ);
      for (let i = 0; i < 2; i++) await connect(client.socket(), name);
      assert.equal((await happened(s, event)).events, FD_ACCEPT);
      await nothing(s, event);
      const far = await accept(s);
      assert.equal((await happened(s, event)).events, FD_ACCEPT);
      await accept(s);
      await nothing(s, event);
      await fails(accept(s), 'WSAEWOULDBLOCK');
      const near = client.socket();
      await connect(near, name);
      assert.equal((await happened(s, event)).events, FD_ACCEPT);
      const last = await accept(s);
      await send(near, Buffer.from('x'));
      assert.equal((await happened(last, event)).events, FD_READ);
      assert.equal(WSAEnumNetworkEvents(far).lNetworkEvents, 0);
    },
  );

  test(`a new selection replaces the old one, and what that has recorded [${provider}]`, limit, async (t) => {
    const { near, far } = await connected(t, provider);
    const [event, other] = [WSACreateEvent(), WSACreateEvent()];
    WSAEventSelect(far, event, FD_READ | FD_WRITE);
    assert.equal(event.signalled, true);
    WSAResetEvent(event);
    WSAEventSelect(far, other, FD_READ);
    assert.equal(WSAEnumNetworkEvents(far).lNetworkEvents, 0);
    await send(near, Buffer.from('x'));
    assert.equal((await happened(far, other)).events, FD_READ);
    assert.equal(event.signalled, false);
    throws(() => WSAEventSelect(far, null, FD_READ), 'WSAEINVAL');
    throws(() => WSAEventSelect(far, other, 0x8000), 'WSAEINVAL');
    WSACloseEvent(other);
    throws(() => WSAEventSelect(far, other, FD_READ), 'WSA_INVALID_HANDLE');
  });

  test(
    `FD_ADDRESS_LIST_CHANGE, and SIO_ADDRESS_LIST_CHANGE that waits, tell of other addresses at once [${provider}]`,
    limit,
    async (t) => {
      const { client } = twoSides(t, provider, {});
      const [s, waiter, closed, event] = [client.socket(), client.socket(), client.socket(), WSACreateEvent()];
      WSAEventSelect(s, event, FD_ADDRESS_LIST_CHANGE);
      assert.throws(() => WSAIoctl(s, SIO_ADDRESS_LIST_CHANGE), { code: 'WSAEWOULDBLOCK' });
      const waiting = WSAIoctl(waiter, SIO_ADDRESS_LIST_CHANGE);
      const controller = new AbortController();
      const cancelled = fails(
        WSAIoctl(waiter, SIO_ADDRESS_LIST_CHANGE, null, { signal: controller.signal }),
        'WSA_OPERATION_ABORTED',
      );
      controller.abort();
      await cancelled;
      const aborted = fails(WSAIoctl(closed, SIO_ADDRESS_LIST_CHANGE), 'WSA_OPERATION_ABORTED');
      closesocket(closed);
      await aborted;
      await nothing(s, event);
      assert.equal(client.changeAddresses(), 2);
      assert.equal(await waiting, 0);
      assert.deepEqual(await happened(s, event), { events: FD_ADDRESS_LIST_CHANGE, errors: [] });
      assert.equal(client.changeAddresses(), 0, 'each is told once');
    },
  );

  test(
    `where nobody tells of addresses SIO_ADDRESS_LIST_CHANGE looks once a second [${provider}]`,
    limit,
    async (t) => {
      const timers = new ManualTimers();
      const { client } = twoSides(t, provider, { client: { timers, addressesTold: false } });
      const [s, waiter, event] = [client.socket(), client.socket(), WSACreateEvent()];
      WSAEventSelect(s, event, FD_ADDRESS_LIST_CHANGE);
      assert.throws(() => WSAIoctl(s, SIO_ADDRESS_LIST_CHANGE), { code: 'WSAEWOULDBLOCK' });
      const waiting = WSAIoctl(waiter, SIO_ADDRESS_LIST_CHANGE);
      assert.equal(timers.fire(1000), 2);
      await nothing(s, event);
      client.changeAddresses();
      assert.equal(timers.fire(1000), 2);
      assert.equal(await waiting, 0);
      assert.deepEqual(await happened(s, event), { events: FD_ADDRESS_LIST_CHANGE, errors: [] });
      assert.equal(timers.fire(1000), 0);
    },
  );
}

test(
  'WSD-EVT-12: with SO_CONDITIONAL_ACCEPT a request that nobody has decided on is FD_ACCEPT [shared-memory]',
  limit,
  async (t) => {
    const { server, client } = twoSides(t, 'shared-memory');
    const { s, name } = server.listening(4, [[SOL_SOCKET, SO_CONDITIONAL_ACCEPT, 1]]);
    const event = WSACreateEvent();
    WSAEventSelect(s, event, FD_ACCEPT);
    const near = client.socket();
    bind(near, { ...name, port: 0 });
    const connecting = connect(near, name);
    assert.equal((await happened(s, event)).events, FD_ACCEPT);
    // The program defers: it knows of the request, which is not told again.
    await fails(
      WSAAccept(s, () => CF_DEFER),
      'WSATRY_AGAIN',
    );
    await nothing(s, event);
    await fails(
      WSAAccept(s, () => CF_ACCEPT),
      'WSAEWOULDBLOCK',
    );
    assert.equal((await happened(s, event)).events, FD_ACCEPT);
    const far = await accept(s);
    await connecting;
    assert.deepEqual(getpeername(far), getsockname(near));
  },
);
