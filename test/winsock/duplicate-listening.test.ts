/** WSADuplicateSocket of a socket that listens: who accepts, and what becomes of those who wait. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { CF_ACCEPT, CF_DEFER, FD_ACCEPT, SOL_SOCKET } from '../../src/spi/index.js';
import * as calls from '../../src/winsock/calls.js';
import { FROM_PROTOCOL_INFO, SO_ACCEPTCONN, SO_CONDITIONAL_ACCEPT } from '../../src/winsock/constants.js';
import type { WSAError } from '../../src/winsock/error.js';
import type { SOCKET } from '../../src/winsock/socket.js';
import {
  type CarrierName,
  carriers,
  fails,
  loopback,
  receiveText,
  Side,
  throws,
  turn,
  twoSides,
  until,
} from './support.js';

interface SharedListening {
  readonly server: Side;
  readonly next: Side;
  /** The listening socket where it was made, and as `next` has it. */
  readonly listening: SOCKET;
  readonly copy: SOCKET;
  /** Connects, and resolves with the client's end. */
  connect(): Promise<SOCKET>;
}

function shared(t: TestContext, carrier: CarrierName, conditional = false): SharedListening {
  const { server, client } = twoSides(t, carrier);
  const next = new Side(carrier, server.directory);
  next.face.WSAStartup(0x0202);
  t.after(() => next.face.WSACleanup());
  const listening = server.socket();
  calls.bind(listening, loopback(0));
  if (conditional) calls.setsockopt(listening, SOL_SOCKET, SO_CONDITIONAL_ACCEPT, 1);
  calls.listen(listening, 16);
  const { port } = calls.getsockname(listening);
  const info = calls.WSADuplicateSocket(listening, process.pid);
  const copy = next.face.WSASocket(FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, info);
  const connect = async (): Promise<SOCKET> => {
    const socket = client.socket();
    await calls.connect(socket, loopback(port));
    return socket;
  };
  return { server, next, listening, copy, connect };
}

/** Both ends speak. */
async function assertSpeak(near: SOCKET, far: SOCKET): Promise<void> {
  await calls.send(near, Buffer.from('there'));
  assert.equal(await receiveText(far, 5), 'there');
  await calls.send(far, Buffer.from('back'));
  assert.equal(await receiveText(near, 4), 'back');
}

for (const carrier of carriers) {
  test(`WSD-DUP-11 WSD-DUP-35 whoever accepts gets control of the listening, and it goes to and fro [${carrier}]`, async (t) => {
    const { server, listening, copy, connect } = shared(t, carrier);
    assert.deepEqual(calls.getsockname(copy), calls.getsockname(listening));
    assert.equal(calls.getsockopt(copy, SOL_SOCKET, SO_ACCEPTCONN), 1);
    for (const one of [copy, listening, copy]) {
      const [far, near] = await Promise.all([calls.accept(one), connect()]);
      assert.equal(calls.connectionInfo(far).provider, carrier);
      await assertSpeak(near, far);
      calls.closesocket(near);
      calls.closesocket(far);
    }
    if (carrier === 'shared-memory') assert.ok(server.count('san', 'WSPDuplicateSocket') >= 1);
  });

  test(`WSD-DUP-5 control of the listening moves when the accepts that wait are done [${carrier}]`, async (t) => {
    const { listening, copy, connect } = shared(t, carrier);
    const first = calls.accept(listening);
    const second = calls.accept(copy);
    for (let turns = 0; turns < 20; turns++) await turn();
    const third = calls.accept(listening);
    const nears = [await connect()];
    await assertSpeak(nears[0]!, await first);
    nears.push(await connect());
    await assertSpeak(nears[1]!, await second);
    nears.push(await connect());
    await assertSpeak(nears[2]!, await third);
  });

  test(`WSD-DUP-33 WSD-DUP-35 connections that wait for an accept move along, in both directions [${carrier}]`, async (t) => {
    const { listening, copy, connect } = shared(t, carrier);
    const nears: SOCKET[] = [];
    for (let k = 0; k < 4; k++) {
      nears.push(await connect());
      await calls.send(nears[k]!, Buffer.from(`caller ${k}`));
    }
    const heard: string[] = [];
    for (const one of [copy, copy, listening, listening]) {
      const far = await calls.accept(one);
      heard.push(await receiveText(far, 8));
      await calls.send(far, Buffer.from('heard'));
    }
    assert.deepEqual(heard, ['caller 0', 'caller 1', 'caller 2', 'caller 3']);
    for (const near of nears) assert.equal(await receiveText(near, 5), 'heard');
  });

  test(`whoever closes the listening socket leaves it to the others, and the last one ends it [${carrier}]`, async (t) => {
    const { listening, copy, connect } = shared(t, carrier);
    const waiting = calls.accept(listening);
    const early = connect();
    await waiting;
    const pending = fails(calls.accept(listening), 'WSA_OPERATION_ABORTED');
    calls.closesocket(listening);
    await pending;
    await early;
    const [far, near] = await Promise.all([calls.accept(copy), connect()]);
    await assertSpeak(near, far);
    calls.closesocket(copy);
    // That it is closed comes to the kernel, and to the other process, a little later.
    let refused = false;
    await until(() => {
      connect().then(
        (socket) => void calls.closesocket(socket),
        ({ code }: WSAError) => {
          refused ||= code === 'WSAECONNREFUSED' || code === 'WSAENETUNREACH';
        },
      );
      return refused;
    }, 'nobody listens any more');
  });

  test(`a socket that listens elsewhere neither connects nor is readable, and says it listens [${carrier}]`, async (t) => {
    const { listening, copy, connect } = shared(t, carrier);
    const [far] = await Promise.all([calls.accept(copy), connect()]);
    calls.closesocket(far);
    assert.equal(calls.getsockopt(listening, SOL_SOCKET, SO_ACCEPTCONN), 1);
    await fails(calls.connect(listening, loopback(1)), 'WSAEINVAL');
    throws(() => calls.bind(listening, loopback(0)), 'WSAEINVAL');
    calls.listen(listening, 4);
    await connect();
    const event = calls.WSACreateEvent();
    calls.WSAEventSelect(listening, event, FD_ACCEPT);
    for (let turns = 0; turns < 20; turns++) await turn();
    assert.equal(calls.WSAEnumNetworkEvents(listening, event).lNetworkEvents, 0);
    calls.WSAEventSelect(copy, event, FD_ACCEPT);
    assert.equal(calls.WSAEnumNetworkEvents(copy, event).lNetworkEvents, FD_ACCEPT);
  });
}

test('WSD-DUP-35 a request that the program has deferred is asked about again where the listening goes on [shared-memory]', async (t) => {
  const { listening, copy, connect } = shared(t, 'shared-memory', true);
  const near = connect();
  await fails(
    calls.WSAAccept(listening, () => CF_DEFER),
    'WSATRY_AGAIN',
  );
  const far = await calls.WSAAccept(copy, () => CF_ACCEPT);
  await assertSpeak(await near, far);
});
