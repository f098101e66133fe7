/** The end of connections, sockets and providers. */

import assert from 'node:assert/strict';
import {
  CF_ACCEPT,
  EventObject,
  FD_ACCEPT,
  INVALID_SOCKET,
  MEM_READ,
  type ProviderSocket,
  SIO_ADDRESS_LIST_QUERY,
  SO_MAX_MSG_SIZE,
  SOL_SOCKET,
  WSA_IO_PENDING,
  WSA_OPERATION_ABORTED,
  type WSABUF,
  WSAECONNABORTED,
  WSAECONNRESET,
  WSAENOTSOCK,
  WSAEWOULDBLOCK,
  WSANETWORKEVENTS,
  WSS_OPERATION_IN_PROGRESS,
} from '../../spi/index.js';
import { buffer, notify, poll, unregistered } from '../memory.js';
import { connectedScenario, type Scenario, scenario } from '../scenario.js';

export const closing: readonly Scenario[] = [
  connectedScenario(
    'WSD-CLS-8 WSD-CLS-9 a close resets the receives of the peer, after what was sent before',
    async (bench, mine, theirs) => {
      const { server, client } = bench;
      bench.posted(theirs);
      bench.posted(theirs);
      client.say(mine, 'last');
      client.close(mine);
      await bench.received(2);
      assert.deepEqual(
        server.completions.map(({ error, bytes }) => [error, bytes]),
        [
          [0, 4],
          [WSAECONNRESET, 0],
        ],
      );
      assert.equal(server.failure(server.send(theirs, unregistered(), notify())), WSAECONNRESET);
      assert.equal(server.failure(server.recv(theirs, unregistered(), notify())), WSAECONNRESET);
    },
  ),

  connectedScenario(
    'WSD-CLS-15 WSD-THR-13 nothing of a socket is freed before WSPCloseSocket, however long the peer is gone',
    async (bench, mine, theirs) => {
      const { server, client } = bench;
      const { handle, memory } = server.memory(theirs, 64);
      bench.posted(theirs);
      client.close(mine);
      await bench.received(1);
      await bench.settle();
      assert.ok(!server.log.some((what) => what.startsWith('close')), 'its handle is kept');
      // Everything that may still be asked has an answer of this socket.
      assert.equal(server.failure(server.recv(theirs, { len: 8, buf: memory, offset: 0 }, notify())), WSAECONNRESET);
      assert.equal(server.deregisterMemory(theirs, handle, server.errno), 0);
      assert.deepEqual(server.result(theirs, server.completions[0]!.overlapped), [false, 0, WSAECONNRESET]);
      server.close(theirs);
      assert.ok(server.log.at(-1)?.startsWith('close'));
    },
  ),

  connectedScenario(
    'WSD-CLS-10 WSD-CLS-12 WSD-OVL-25 closing aborts what is pending with 0 bytes, and the last up-call is WPUCloseSocketHandle',
    async (bench, _mine, theirs) => {
      const { server } = bench;
      bench.posted(theirs);
      bench.posted(theirs);
      const handle = server.created.length - 1;
      server.close(theirs);
      const abort = `complete ${handle} ${WSA_OPERATION_ABORTED} 0`;
      assert.deepEqual(server.log, [abort, abort, `close ${handle}`]);
      await bench.settle();
      assert.equal(server.log.length, 3);
    },
  ),

  connectedScenario(
    'WSD-CLS-18 at a close poll-mode operations are marked done without an up-call',
    (bench, _mine, theirs) => {
      const { overlapped } = bench.posted(theirs, 64, poll());
      assert.equal(overlapped.Internal, WSS_OPERATION_IN_PROGRESS);
      bench.server.close(theirs);
      assert.deepEqual(
        [overlapped.Internal, overlapped.InternalHigh, overlapped.OffsetHigh],
        [WSA_OPERATION_ABORTED, 0, WSA_OPERATION_ABORTED],
      );
      assert.deepEqual(bench.server.completions, []);
    },
  ),

  connectedScenario(
    'WSD-CLS-19 WSD-THR-11 the switch may call from inside a completion, close too; the handle is closed after all completions',
    (bench, _mine, theirs) => {
      const { server } = bench;
      const { table, errno } = server;
      for (let i = 0; i < 4; i++) bench.posted(theirs);
      let depth = 0;
      let told = 0;
      server.onUpcall = (what) => {
        if (what.startsWith('close')) {
          assert.deepEqual([depth, told], [0, 4], 'no completion is being told');
          return;
        }
        if (!what.startsWith('complete')) return;
        depth++;
        told++;
        assert.equal(server.failure(table.WSPCloseSocket(theirs, errno)), WSAENOTSOCK, 'also from inside an up-call');
        assert.equal(server.failure(server.recv(theirs, unregistered(), notify())), WSAENOTSOCK);
        depth--;
      };
      server.close(theirs);
      assert.equal(told, 4);
      assert.equal(server.log.filter((what) => what.startsWith('close')).length, 1);
    },
  ),

  connectedScenario(
    'WSD-THR-11 a receive may be posted, and the socket closed, from inside the completion of a message',
    async (bench, mine, theirs) => {
      const { server, client } = bench;
      bench.posted(theirs);
      server.onUpcall = (what) => {
        if (!what.startsWith('complete')) return;
        const { bytes } = server.completions.at(-1)!;
        if (bytes === 1) bench.posted(theirs);
        else if (bytes === 2) server.close(theirs);
      };
      for (const [i, message] of ['a', 'b', 'cc'].entries()) {
        client.say(mine, message, poll());
        await bench.received(i + 1);
      }
      await bench.settle();
      assert.deepEqual(
        server.completions.map(({ error, bytes }) => [error, bytes]),
        [
          [0, 1],
          [0, 1],
          [0, 2],
        ],
      );
    },
  ),

  connectedScenario(
    'WSD-CLS-11 when the end of an operation is told, its memory is no longer in use',
    async (bench, mine, theirs) => {
      const { server, client } = bench;
      const answers: number[] = [];
      const post = (): void => {
        const { memory, handle } = server.memory(theirs, 64);
        server.recv(theirs, { len: 64, buf: memory, offset: 0 }, notify());
        server.errno.value = 0;
        assert.equal(server.failure(server.deregisterMemory(theirs, handle, server.errno)), 10022, 'in use');
        server.onUpcall = (what) => {
          if (!what.startsWith('complete')) return;
          answers.push(server.deregisterMemory(theirs, handle, server.errno));
        };
      };
      post();
      client.say(mine, 'x');
      await bench.received(1);
      post();
      client.close(mine);
      await bench.received(2);
      assert.deepEqual(answers, [0, 0]);
    },
  ),

  connectedScenario(
    'WSD-CLS-13 WSD-CLS-14 WSD-CLS-17 after WSPCloseSocket every use of the socket is WSAENOTSOCK',
    async (bench, _mine, theirs) => {
      const { server } = bench;
      const { table, errno } = server;
      const { handle, memory } = server.memory(theirs, 64);
      const descriptor = new Uint8Array(64);
      const size = { value: 64 };
      assert.equal(server.registerRdma(theirs, memory, 0, 8, MEM_READ, descriptor, size, errno), 0);
      const listener = await bench.requested();
      server.close(theirs);
      server.close(listener.listener.socket);
      const at: WSABUF = { len: 8, buf: memory, offset: 0 };
      const out = { value: 0 };
      const name = server.name(1);
      for (const s of [theirs, listener.listener.socket, INVALID_SOCKET as unknown as ProviderSocket]) {
        const calls: Readonly<Record<string, () => unknown>> = {
          WSPCloseSocket: () => table.WSPCloseSocket(s, errno),
          WSPBind: () => table.WSPBind(s, name, 16, errno),
          WSPListen: () => table.WSPListen(s, 1, errno),
          WSPAccept: () => table.WSPAccept(s, null, null, null, null, errno),
          WSPConnect: () => table.WSPConnect(s, name, 16, null, null, null, null, errno),
          WSPSend: () => server.send(s, at, notify()),
          WSPRecv: () => server.recv(s, at, notify()),
          WSPEventSelect: () => table.WSPEventSelect(s, new EventObject(), FD_ACCEPT, errno),
          WSPEnumNetworkEvents: () => table.WSPEnumNetworkEvents(s, null, new WSANETWORKEVENTS(), errno),
          WSPGetOverlappedResult: () => table.WSPGetOverlappedResult(s, notify(), out, false, out, errno),
          WSPGetSockOpt: () => table.WSPGetSockOpt(s, SOL_SOCKET, SO_MAX_MSG_SIZE, out, { value: 4 }, errno),
          WSPSetSockOpt: () => table.WSPSetSockOpt(s, SOL_SOCKET, SO_MAX_MSG_SIZE, 1, 4, errno),
          WSPIoctl: () =>
            table.WSPIoctl(s, SIO_ADDRESS_LIST_QUERY, null, 0, { value: null }, 999, out, null, null, null, errno),
          WSPGetQOSByName: () => table.WSPGetQOSByName(s, 'web', { value: null }, errno),
          WSPDuplicateSocket: () => table.WSPDuplicateSocket(s, 1, { ...server.party.provider.protocolInfo }, errno),
          WSPRegisterMemory: () => server.registerMemory(s, memory, 0, 8, MEM_READ, errno),
          WSPDeregisterMemory: () => server.deregisterMemory(s, handle, errno),
          WSPRegisterRdmaMemory: () => server.registerRdma(s, memory, 0, 8, MEM_READ, descriptor, size, errno),
          WSPDeregisterRdmaMemory: () => server.deregisterRdma(s, descriptor, size.value, errno),
          WSPRdmaWrite: () => server.rdmaWrite(s, [], 0, descriptor, 16, 0, null, 0, notify(), null, null, errno),
        };
        for (const [what, call] of Object.entries(calls)) assert.equal(server.failure(call()), WSAENOTSOCK, what);
      }
      assert.notEqual(await bench.attempt(server.name(listener.port)), 0, 'its name is gone');
    },
  ),

  connectedScenario(
    'WSD-CLS-17 WSPCloseSocket never waits and never lingers, whatever is under way',
    async (bench, mine, theirs) => {
      const { server, client } = bench;
      for (let i = 0; i < 100; i++) client.send(mine, buffer(client.memory(mine, 100_000)), notify());
      client.errno.value = 0;
      bench.posted(theirs);
      const { listener, connecting } = await bench.requested();
      for (const [node, socket] of [
        [client, mine],
        [server, theirs],
        [server, listener.socket],
        [client, connecting.socket],
        [client, client.socket()],
      ] as const) {
        assert.equal(node.table.WSPCloseSocket(socket, node.errno), 0);
        assert.equal(node.errno.value, 0);
        assert.equal(node.failure(node.table.WSPCloseSocket(socket, node.errno)), WSAENOTSOCK);
      }
    },
    { deferredSends: true, flowControl: true },
  ),

  connectedScenario(
    'WSD-CLS-20 the end of a peer aborts with WSAECONNABORTED, and stays the answer',
    async (bench, _mine, theirs) => {
      const { server } = bench;
      bench.posted(theirs);
      bench.client.kill();
      await bench.received(1);
      assert.equal(server.completions[0]?.error, WSAECONNABORTED);
      for (let i = 0; i < 2; i++) {
        assert.equal(server.failure(server.send(theirs, unregistered(), notify())), WSAECONNABORTED);
        assert.equal(server.failure(server.recv(theirs, unregistered(), notify())), WSAECONNABORTED);
      }
    },
  ),

  scenario(
    'WSD-CLS-22 WSD-CLS-24 the last cleanup ends what is pending without telling, frees all sockets, and refuses who waits',
    async (bench) => {
      const { server } = bench;
      const { theirs } = await bench.connected();
      const { connecting, port } = await bench.requested();
      const told = bench.posted(theirs).overlapped;
      const polled = bench.posted(theirs, 64, poll()).overlapped;
      server.connect(server.name(port), bench.port());
      server.log.length = 0;
      server.stop();
      for (const { Internal, InternalHigh, OffsetHigh } of [told, polled]) {
        assert.deepEqual([Internal, InternalHigh, OffsetHigh], [WSA_OPERATION_ABORTED, 0, WSA_OPERATION_ABORTED]);
      }
      assert.equal(server.closed.size, server.created.length);
      assert.notEqual(await bench.outcome(connecting), 0);
      await bench.settle();
      assert.ok(
        server.log.every((what) => what.startsWith('close')),
        'no other up-call',
      );
    },
  ),

  scenario(
    'WSD-COMP-14 after connecting, both sides have everything that an established connection needs',
    async (bench) => {
      const { server, client } = bench;
      const { listener, connecting } = await bench.requested();
      const theirs = server.accept(listener, () => CF_ACCEPT);
      assert.ok(theirs !== INVALID_SOCKET);
      assert.equal(await bench.outcome(connecting), 0);
      for (const [node, socket, other, peer] of [
        [client, connecting.socket, server, theirs],
        [server, theirs, client, connecting.socket],
      ] as const) {
        const memory = node.memory(socket, 64);
        const receive = other.post(peer, 64);
        const overlapped = notify();
        const sent = node.send(socket, buffer(memory, 0, 16), overlapped);
        if (sent !== 0) assert.equal(node.failure(sent), WSA_IO_PENDING);
        await bench.until(() => receive.overlapped.Internal === 0 && overlapped.Internal === 0, 'a message');
        assert.deepEqual(node.result(socket, overlapped), [true, 16, 0]);
        const { errno } = node;
        if (bench.has('rdmaWrite')) {
          const descriptor = new Uint8Array(64);
          const size = { value: 64 };
          const target = other.memory(peer, 64);
          assert.equal(other.registerRdma(peer, target.memory, 0, 64, 2, descriptor, size, other.errno), 0);
          const writing = poll();
          memory.memory.bytes.fill(7);
          const list = [buffer(memory, 0, 8)];
          const written = node.rdmaWrite(
            socket,
            list,
            1,
            descriptor,
            size.value,
            0,
            null,
            0,
            writing,
            null,
            null,
            errno,
          );
          if (written !== 0) assert.equal(node.failure(written), WSA_IO_PENDING);
          await bench.until(() => target.memory.bytes[7] === 7, 'RDMA');
          await bench.until(() => writing.Internal === 0, 'its end');
          assert.equal(other.deregisterRdma(peer, descriptor, size.value, other.errno), 0);
        }
        assert.equal(node.deregisterMemory(socket, memory.handle, errno), 0);
        const limit = { value: 0 };
        assert.equal(node.table.WSPGetSockOpt(socket, SOL_SOCKET, SO_MAX_MSG_SIZE, limit, { value: 4 }, errno), 0);
        assert.equal(node.table.WSPEventSelect(socket, null, 0, errno), 0);
      }
      server.close(theirs);
      client.close(connecting.socket);
      assert.equal(server.failure(server.accept(listener)), WSAEWOULDBLOCK);
    },
  ),
];
