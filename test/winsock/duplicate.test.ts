/** WSADuplicateSocket, and who controls a socket that several processes have (section 18 of the digest). */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { FD_READ, MSG_OOB, SD_SEND, SO_OOBINLINE, SO_RCVBUF, SO_SNDBUF, SOL_SOCKET } from '../../src/spi/index.js';
import * as calls from '../../src/winsock/calls.js';
import { FIONBIO, FROM_PROTOCOL_INFO, SO_RCVTIMEO } from '../../src/winsock/constants.js';
import type { SOCKET } from '../../src/winsock/socket.js';
import {
  type CarrierName,
  carriers,
  connected,
  fails,
  type Pair,
  receive,
  receiveText,
  Side,
  throws,
  turn,
  twoSides,
  until,
} from './support.js';

interface Shared extends Pair {
  readonly next: Side;
  /** The client's socket as `next` has it. */
  readonly copy: SOCKET;
}

/** Another process on the client's side, as far as anything but memory is concerned: it has a switch and providers of its own. */
function another(t: TestContext, carrier: CarrierName, { client }: Pair): Side {
  const next = new Side(carrier, client.directory);
  next.face.WSAStartup(0x0202);
  t.after(() => next.face.WSACleanup());
  return next;
}

function received(next: Side, info: ReturnType<typeof calls.WSADuplicateSocket>): SOCKET {
  return next.face.WSASocket(FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, info);
}

async function shared(t: TestContext, carrier: CarrierName): Promise<Shared> {
  const pair = await connected(t, carrier);
  const next = another(t, carrier, pair);
  return { ...pair, next, copy: received(next, calls.WSADuplicateSocket(pair.near, process.pid)) };
}

const say = (s: SOCKET, text: string): Promise<number> => calls.send(s, Buffer.from(text));

for (const carrier of carriers) {
  test(`WSD-DUP-1 WSD-DUP-3 WSD-DUP-11 whoever transfers has control, and it goes to and fro [${carrier}]`, async (t) => {
    const { near, far, copy, next } = await shared(t, carrier);
    await say(near, 'one ');
    await say(copy, 'two ');
    assert.equal(calls.connectionInfo(copy).provider, carrier);
    assert.equal(calls.connectionInfo(near).provider, null, 'it is not here any more');
    await say(near, 'three ');
    await say(far, 'for whoever asks');
    assert.equal(await receiveText(copy, 16), 'for whoever asks');
    await say(copy, 'four');
    assert.equal(await receiveText(far, 18), 'one two three four');
    if (carrier === 'shared-memory') assert.ok(next.count('san', 'WSPDuplicateSocket') >= 1);
  });

  test(`WSD-DUP-7 WSD-DUP-8 a duplicate is a record that knows the socket, and nothing happens before it is used [${carrier}]`, async (t) => {
    const { client, near, copy, next } = await shared(t, carrier);
    for (let turns = 0; turns < 20; turns++) await turn();
    assert.deepEqual(calls.getpeername(copy), calls.getpeername(near));
    assert.deepEqual(calls.getsockname(copy), calls.getsockname(near));
    assert.equal(next.san.length, 0, 'no provider is even started');
    assert.equal(client.count('san', 'WSPDuplicateSocket'), 0);
    await say(near, 'still here');
    assert.equal(client.count('san', 'WSPDuplicateSocket'), 0);
  });

  test(`WSD-DUP-4 WSD-DUP-6 WSD-DUP-21 who has asked first is served first, and the old controller queues like others [${carrier}]`, async (t) => {
    const { near, far, copy } = await shared(t, carrier);
    const sends = [say(near, '1'), say(copy, '2'), say(copy, '3')];
    await turn();
    // The duplicate's wish is known by now, or will be: order among processes is that of arrival.
    await sends[1];
    sends.push(say(near, '4'), say(near, '5'));
    await Promise.all(sends);
    await say(copy, '6');
    assert.equal(await receiveText(far, 6), '123456');
  });

  test(`WSD-DUP-5 control moves when the operations in progress are complete, and not before [${carrier}]`, async (t) => {
    const { near, far, copy } = await shared(t, carrier);
    const buffer = Buffer.alloc(16);
    const first = calls.recv(near, buffer);
    const second = receiveText(copy, 6);
    let over = false;
    void second.then(() => {
      over = true;
    });
    for (let turns = 0; turns < 50; turns++) await turn();
    assert.equal(over, false);
    await say(far, 'first');
    assert.equal(buffer.toString('latin1', 0, await first), 'first');
    await say(far, 'second');
    assert.equal(await second, 'second');
  });

  test(`WSD-DUP-10 a socket that neither is connected nor listens has nothing that could move [${carrier}]`, async (t) => {
    const { client } = twoSides(t, carrier);
    const s = client.socket();
    throws(() => calls.WSADuplicateSocket(s, process.pid), 'WSAENOTCONN');
    const { near } = await connected(t, carrier);
    for (const wrong of [0, -1, 1.5, 2 ** 32, Number.NaN]) {
      throws(() => calls.WSADuplicateSocket(near, wrong), 'WSAEINVAL');
    }
  });

  test(`WSD-DUP-2 WSD-DUP-44 protocol info is plain data for one process and one call [${carrier}]`, async (t) => {
    const pair = await connected(t, carrier);
    const next = another(t, carrier, pair);
    const info = JSON.parse(JSON.stringify(calls.WSADuplicateSocket(pair.near, process.pid)));
    const foreign = calls.WSADuplicateSocket(pair.near, process.pid + 1);
    throws(() => received(next, foreign), 'WSAEINVAL');
    throws(
      () => received(next, { ...info, dwProviderReserved: (info.dwProviderReserved % 0xffff_ffff) + 1 }),
      'WSAEINVAL',
    );
    throws(() => received(next, { ...info, dwProviderReserved: 1.5 }), 'WSAEINVAL');
    throws(() => received(next, { ...info, dwProviderReserved: '../1' }), 'WSAEINVAL');
    const copy = received(next, info);
    throws(() => received(next, info), 'WSAEINVAL');
    await say(copy, 'here');
    assert.equal(await receiveText(pair.far, 4), 'here');
  });

  test(`unread data, the urgent mark and what is being sent go along [${carrier}]`, async (t) => {
    const { near, far, copy } = await shared(t, carrier);
    const body = Buffer.alloc(300_000, 'body');
    const sent = calls.send(far, body);
    const buffer = Buffer.alloc(10);
    assert.equal(await calls.recv(near, buffer), 10);
    const up = Buffer.alloc(500_000, 'up');
    const sending = calls.send(near, up);
    const upwards = receive(far, up.length + 3);
    const rest = receive(copy, body.length - 10);
    await Promise.all([sent, sending]);
    assert.ok((await rest).equals(body.subarray(10)));
    await calls.send(far, Buffer.from('ab!'), MSG_OOB);
    await calls.send(far, Buffer.from('cd'));
    await say(copy, 'end');
    assert.ok((await upwards).subarray(0, up.length).equals(up));
    const urgent = Buffer.alloc(1);
    await calls.recv(near, urgent, MSG_OOB);
    assert.equal(urgent.toString(), '!');
    assert.equal(await receiveText(copy, 2), 'ab');
    assert.equal(await receiveText(near, 2), 'cd');
  });

  test(`half-closed connections move, in either direction [${carrier}]`, async (t) => {
    const { near, far, copy } = await shared(t, carrier);
    await say(far, 'last words');
    calls.shutdown(far, SD_SEND);
    assert.equal(await receiveText(near, 4), 'last');
    assert.equal(await receiveText(copy), ' words');
    assert.equal(await receiveText(near), '', 'the end is told in each process');
    await say(near, 'and back');
    calls.shutdown(copy, SD_SEND);
    assert.equal(await receiveText(far), 'and back');
    await fails(say(near, 'late'), 'WSAESHUTDOWN');
  });

  test(`options go along, and a socket that does not block only asks for control [${carrier}]`, async (t) => {
    const pair = await connected(t, carrier);
    calls.setsockopt(pair.near, SOL_SOCKET, SO_OOBINLINE, 1);
    calls.setsockopt(pair.near, SOL_SOCKET, SO_RCVBUF, 100_000);
    calls.setsockopt(pair.near, SOL_SOCKET, SO_SNDBUF, 50_000);
    const next = another(t, carrier, pair);
    const copy = received(next, calls.WSADuplicateSocket(pair.near, process.pid));
    assert.deepEqual(
      [SO_OOBINLINE, SO_RCVBUF, SO_SNDBUF].map((name) => calls.getsockopt(copy, SOL_SOCKET, name)),
      [1, 100_000, 50_000],
    );
    calls.ioctlsocket(copy, FIONBIO, 1);
    const event = calls.WSACreateEvent();
    calls.WSAEventSelect(copy, event, FD_READ);
    await say(pair.far, 'ready');
    const buffer = Buffer.alloc(16);
    await fails(calls.recv(copy, buffer), 'WSAEWOULDBLOCK');
    await calls.WSAWaitForMultipleEvents([event], false, 5000);
    assert.equal(buffer.toString('latin1', 0, await calls.recv(copy, buffer)), 'ready');
  });

  test(`a call that waits for control can be cancelled, and expires [${carrier}]`, async (t) => {
    const { near, far, copy } = await shared(t, carrier);
    const held = calls.recv(near, Buffer.alloc(8));
    const controller = new AbortController();
    const cancelled = fails(
      calls.recv(copy, Buffer.alloc(8), 0, { signal: controller.signal }),
      'WSA_OPERATION_ABORTED',
    );
    await turn();
    controller.abort();
    await cancelled;
    calls.setsockopt(copy, SOL_SOCKET, SO_RCVTIMEO, 30);
    await fails(calls.recv(copy, Buffer.alloc(8)), 'WSAETIMEDOUT');
    await say(far, 'still');
    assert.equal(await held, 5);
  });

  test(`the socket lives as long as one process has it open [${carrier}]`, async (t) => {
    const { near, far, copy } = await shared(t, carrier);
    await say(near, 'a');
    await calls.closesocket(near);
    await say(copy, 'b');
    assert.equal(await receiveText(far, 2), 'ab');
    await say(far, 'c');
    assert.equal(await receiveText(copy, 1), 'c');
    await calls.closesocket(copy);
    assert.equal(await receiveText(far), '', 'the last one has closed it');
  });

  test(`it is given to a process that has not come yet, and closed here [${carrier}]`, async (t) => {
    const pair = await connected(t, carrier);
    const next = another(t, carrier, pair);
    const info = calls.WSADuplicateSocket(pair.near, process.pid);
    await say(pair.far, 'unread');
    await until(() => calls.ioctlsocket(pair.near, 0x4004667f) === 6, 'it has arrived');
    await calls.closesocket(pair.near);
    for (let turns = 0; turns < 20; turns++) await turn();
    const copy = received(next, info);
    assert.equal(await receiveText(copy, 6), 'unread');
    await say(copy, 'alive');
    assert.equal(await receiveText(pair.far, 5), 'alive');
  });

  test(`both close at the same moment, and the peer gets an end [${carrier}]`, async (t) => {
    const { near, far, copy } = await shared(t, carrier);
    await say(near, 'x');
    await say(copy, 'y');
    await Promise.all([calls.closesocket(near), calls.closesocket(copy)]);
    assert.equal(await receiveText(far), 'xy');
  });

  test(`three processes in a row and side by side have it [${carrier}]`, async (t) => {
    const { near, far, copy, client, ...pair } = await shared(t, carrier);
    const third = another(t, carrier, { ...pair, client, near, far });
    const fourth = another(t, carrier, { ...pair, client, near, far });
    const grandchild = received(third, calls.WSADuplicateSocket(copy, process.pid));
    const sibling = received(fourth, calls.WSADuplicateSocket(near, process.pid));
    await say(grandchild, '1');
    await say(sibling, '2');
    await say(near, '3');
    await calls.closesocket(near);
    await say(grandchild, '4');
    await say(sibling, '5');
    await calls.closesocket(sibling);
    await say(copy, '6');
    await calls.closesocket(copy);
    await say(grandchild, '7');
    assert.equal(await receiveText(far, 7), '1234567');
    await calls.closesocket(grandchild);
    assert.equal(await receiveText(far), '');
  });
}
