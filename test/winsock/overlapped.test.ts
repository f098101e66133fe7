/** Overlapped operations: event objects, completion routines, results, and cancelling. */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { MSG_OOB, MSG_WAITALL, SD_SEND, WSA_IO_PENDING, WSA_OPERATION_ABORTED } from '../../src/spi/index.js';
import {
  AcceptEx,
  bind,
  CancelIoEx,
  ConnectEx,
  closesocket,
  GetAcceptExSockaddrs,
  getsockname,
  ioctlsocket,
  recv,
  send,
  shutdown,
  WSACreateEvent,
  WSAGetOverlappedResult,
  WSARecv,
  WSASend,
  WSAWaitForMultipleEvents,
} from '../../src/winsock/calls.js';
import { FIONBIO, FIONREAD } from '../../src/winsock/constants.js';
import { WSAOVERLAPPED } from '../../src/winsock/overlapped.js';
import {
  carriers,
  connected,
  fails,
  loopback,
  receive,
  receiveText,
  throws,
  turn,
  twoSides,
  until,
} from './support.js';

const limit = { timeout: 20_000 };

for (const provider of carriers) {
  test(
    `an overlapped receive is pending, then its event is set and its result there [${provider}]`,
    limit,
    async (t) => {
      const { near, far } = await connected(t, provider);
      const event = WSACreateEvent();
      event.set();
      const overlapped = new WSAOVERLAPPED(event);
      const into = [Buffer.alloc(2), Buffer.alloc(8)];
      throws(() => WSAGetOverlappedResult(far, overlapped), 'WSAEINVAL');
      assert.equal(WSARecv(far, into, 0, overlapped), WSA_IO_PENDING);
      assert.deepEqual([event.signalled, overlapped.Internal], [false, 0x103]);
      throws(() => WSAGetOverlappedResult(far, overlapped), 'WSA_IO_INCOMPLETE');
      throws(() => WSARecv(far, into, 0, overlapped), 'WSAEINVAL');
      await send(near, Buffer.from('abcde'));
      assert.equal(await WSAWaitForMultipleEvents([event]), 0);
      assert.deepEqual(WSAGetOverlappedResult(far, overlapped), { cbTransfer: 5, dwFlags: 0 });
      assert.deepEqual([overlapped.Internal, overlapped.InternalHigh], [0, 5]);
      assert.equal(Buffer.concat(into).toString('latin1', 0, 5), 'abcde');
      throws(() => WSAGetOverlappedResult(near, overlapped), 'WSAEINVAL');
      // What is there already is received at once, and told in the same way.
      await send(near, Buffer.from('now'));
      await until(() => ioctlsocket(far, FIONREAD) === 3, 'arrived');
      assert.equal(WSARecv(far, into[1]!, 0, overlapped), 0);
      assert.equal(event.signalled, true);
      assert.equal((await WSAGetOverlappedResult(far, overlapped, true)).cbTransfer, 3);
    },
  );

  test(
    `completion routines are called later, in the order of the receives, and the event is the program's [${provider}]`,
    limit,
    async (t) => {
      const { near, far } = await connected(t, provider);
      const event = WSACreateEvent();
      const calls: unknown[] = [];
      const buffers = [Buffer.alloc(2), Buffer.alloc(2), Buffer.alloc(2)];
      const operations = buffers.map((buffer) => {
        const overlapped = new WSAOVERLAPPED(event);
        WSARecv(far, buffer, MSG_WAITALL, overlapped, (error, bytes, own, flags) =>
          calls.push([error, bytes, own === overlapped, flags]),
        );
        return overlapped;
      });
      await send(near, Buffer.from('abcdef'));
      await until(() => calls.length === 3, 'all are called');
      assert.deepEqual(calls, Array(3).fill([0, 2, true, 0]));
      assert.equal(Buffer.concat(buffers).toString(), 'abcdef');
      assert.equal(event.signalled, false);
      // Also for what is done at once: not before the call returns.
      assert.equal(WSASend(near, Buffer.from('x'), 0, operations[0]!, () => calls.push('sent')) >= 0, true);
      assert.equal(calls.length, 3);
      await until(() => calls.length === 4, 'the routine is called');
      WSARecv(near, Buffer.alloc(1), MSG_OOB, operations[1]!, (...args) => calls.push(args[3]));
      await send(far, Buffer.from('U'), MSG_OOB);
      await until(() => calls.length === 5, 'urgent data');
      assert.equal(calls[4], MSG_OOB);
    },
  );

  test(
    `overlapped calls wait on a socket that does not block, and mix with calls that do not [${provider}]`,
    limit,
    async (t) => {
      const { near, far } = await connected(t, provider);
      ioctlsocket(near, FIONBIO, 1);
      ioctlsocket(far, FIONBIO, 1);
      const bytes = randomBytes(8 << 20);
      const sending = new WSAOVERLAPPED();
      assert.equal(
        WSASend(near, [bytes.subarray(0, 5_000_000), bytes.subarray(5_000_000)], 0, sending),
        WSA_IO_PENDING,
      );
      // Behind it, in order; its bytes are copied.
      const small = Buffer.from('small');
      assert.equal(await send(near, small), 5);
      small.fill(0);
      const last = new WSAOVERLAPPED();
      WSASend(near, Buffer.from('last'), 0, last);
      const receiving = new WSAOVERLAPPED();
      const all = Buffer.alloc(bytes.length + 9);
      WSARecv(far, all, MSG_WAITALL, receiving);
      await fails(recv(far, Buffer.alloc(1)), 'WSAEWOULDBLOCK');
      assert.equal((await WSAGetOverlappedResult(near, sending, true)).cbTransfer, bytes.length);
      assert.equal((await WSAGetOverlappedResult(near, last, true)).cbTransfer, 4);
      assert.equal((await WSAGetOverlappedResult(far, receiving, true)).cbTransfer, all.length);
      assert.ok(all.subarray(0, bytes.length).equals(bytes));
      assert.equal(all.toString('latin1', bytes.length), 'smalllast');
    },
  );

  test(
    `CancelIoEx ends one operation or all, with WSA_OPERATION_ABORTED, and no byte is lost [${provider}]`,
    limit,
    async (t) => {
      const { near, far } = await connected(t, provider);
      const event = WSACreateEvent();
      const [first, second, third] = [new WSAOVERLAPPED(event), new WSAOVERLAPPED(), new WSAOVERLAPPED()];
      const buffer = Buffer.alloc(8);
      for (const overlapped of [first, second, third]) WSARecv(far, buffer, 0, overlapped);
      assert.equal(CancelIoEx(far, first), true);
      assert.equal(await WSAWaitForMultipleEvents([event]), 0);
      throws(() => WSAGetOverlappedResult(far, first), 'WSA_OPERATION_ABORTED');
      assert.deepEqual([first.Internal, first.InternalHigh], [WSA_OPERATION_ABORTED, 0]);
      assert.equal(CancelIoEx(far, first), false);
      await send(near, Buffer.from('to the second'.slice(0, 8)));
      assert.equal((await WSAGetOverlappedResult(far, second, true)).cbTransfer, 8);
      const fourth = new WSAOVERLAPPED();
      WSARecv(far, buffer, 0, fourth);
      assert.equal(CancelIoEx(far), true);
      assert.equal(CancelIoEx(far), false);
      for (const overlapped of [third, fourth])
        await fails(WSAGetOverlappedResult(far, overlapped, true), 'WSA_OPERATION_ABORTED');
      await send(near, Buffer.from('still'));
      assert.equal(await receiveText(far, 5), 'still');
    },
  );

  test(
    `a send that waits behind another is cancelled without harm; one that has begun ends the connection [${provider}]`,
    limit,
    async (t) => {
      const { near, far } = await connected(t, provider);
      const [large, dropped, after] = [new WSAOVERLAPPED(), new WSAOVERLAPPED(), new WSAOVERLAPPED()];
      const total = 16 << 20;
      WSASend(near, Buffer.alloc(total, 1), 0, large);
      WSASend(near, Buffer.alloc(100, 2), 0, dropped);
      WSASend(near, Buffer.alloc(100, 3), 0, after);
      assert.equal(CancelIoEx(near, dropped), true);
      const received = await receive(far, total + 100);
      assert.ok(received.subarray(0, total).every((byte) => byte === 1) && received[total] === 3);
      await fails(WSAGetOverlappedResult(near, dropped, true), 'WSA_OPERATION_ABORTED');
      await WSAGetOverlappedResult(near, after, true);
      WSASend(near, Buffer.alloc(total, 4), 0, large);
      for (let i = 0; i < 5; i++) await turn();
      assert.equal(CancelIoEx(near, large), true);
      await fails(WSAGetOverlappedResult(near, large, true), 'WSA_OPERATION_ABORTED');
      await fails(send(near, Buffer.alloc(1)), 'WSAECONNABORTED');
    },
  );

  test(
    `closing ends pending receives with WSA_OPERATION_ABORTED, and still delivers pending sends [${provider}]`,
    limit,
    async (t) => {
      const { near, far } = await connected(t, provider);
      const [receiving, sending] = [new WSAOVERLAPPED(WSACreateEvent()), new WSAOVERLAPPED(WSACreateEvent())];
      const outcomes: number[] = [];
      WSARecv(near, Buffer.alloc(1), 0, receiving, (error) => outcomes.push(error));
      const bytes = randomBytes(4 << 20);
      WSASend(near, bytes, 0, sending, (error, count) => outcomes.push(error, count));
      await closesocket(near);
      assert.ok((await receive(far)).equals(bytes));
      await until(() => outcomes.length === 3, 'both are told');
      assert.deepEqual(outcomes, [WSA_OPERATION_ABORTED, 0, bytes.length]);
      throws(() => WSAGetOverlappedResult(near, sending), 'WSAENOTSOCK');
      throws(() => CancelIoEx(near), 'WSAENOTSOCK');
    },
  );

  test(`what does not even begin is thrown, and the record can be used again [${provider}]`, limit, async (t) => {
    const { near, far, client } = await connected(t, provider);
    const event = WSACreateEvent();
    event.set();
    const overlapped = new WSAOVERLAPPED(event);
    throws(() => WSASend(client.socket(), Buffer.alloc(1), 0, overlapped), 'WSAENOTCONN');
    throws(() => WSARecv(near, Buffer.alloc(1), 0x4000, overlapped), 'WSAEOPNOTSUPP');
    throws(() => WSARecv(near, 'x' as unknown as Buffer, 0, overlapped), 'WSAEFAULT');
    throws(() => WSARecv(near, Buffer.alloc(1), 0, overlapped, 7 as never), 'WSAEFAULT');
    shutdown(near, SD_SEND);
    throws(() => WSASend(near, Buffer.alloc(1), 0, overlapped), 'WSAESHUTDOWN');
    assert.equal(event.signalled, true);
    // The end of data is a result like others.
    WSARecv(far, Buffer.alloc(1), 0, overlapped);
    assert.deepEqual(await WSAGetOverlappedResult(far, overlapped, true), { cbTransfer: 0, dwFlags: 0 });
  });

  test(`AcceptEx and ConnectEx as overlapped operations [${provider}]`, limit, async (t) => {
    const { server, client } = twoSides(t, provider);
    const { s, name } = server.listening();
    const [far, near] = [server.socket(), client.socket()];
    const output = Buffer.alloc(16 + 64);
    const [accepting, connecting] = [new WSAOVERLAPPED(WSACreateEvent()), new WSAOVERLAPPED(WSACreateEvent())];
    throws(() => AcceptEx(s, s, output, 16, 32, 32, accepting), 'WSAEINVAL');
    assert.equal(AcceptEx(s, far, output, 16, 32, 32, accepting), WSA_IO_PENDING);
    throws(() => ConnectEx(near, name, null, connecting), 'WSAEINVAL');
    bind(near, loopback(0));
    // Whether the socket blocks makes no difference.
    ioctlsocket(near, FIONBIO, 1);
    assert.equal(ConnectEx(near, name, Buffer.from('greetings'), connecting), WSA_IO_PENDING);
    await WSAWaitForMultipleEvents([accepting.hEvent!, connecting.hEvent!], true);
    assert.equal(WSAGetOverlappedResult(near, connecting).cbTransfer, 9);
    assert.equal(WSAGetOverlappedResult(s, accepting).cbTransfer, 9);
    assert.equal(output.toString('latin1', 0, 9), 'greetings');
    assert.deepEqual(GetAcceptExSockaddrs(output, 16, 32, 32).remote, getsockname(near));
    const another = new WSAOVERLAPPED();
    AcceptEx(s, server.socket(), output, 0, 32, 32, another);
    assert.equal(CancelIoEx(s, another), true);
    await fails(WSAGetOverlappedResult(s, another, true), 'WSA_OPERATION_ABORTED');
  });
}
