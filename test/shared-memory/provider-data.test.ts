/** The provider as the switch sees it, on an established connection: messages, memory, closing. */

import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import {
  CF_REJECT,
  EventObject,
  FD_ACCEPT,
  INVALID_SOCKET,
  MEM_READ,
  MEM_READWRITE,
  MEM_WRITE,
  type ProviderMemoryExtension,
  ProviderMemoryGuid,
  type ProviderSocket,
  SIO_ADDRESS_LIST_QUERY,
  SO_MAX_MSG_SIZE,
  SOL_SOCKET,
  WSA_IO_INCOMPLETE,
  WSA_IO_PENDING,
  WSA_OPERATION_ABORTED,
  type WSABUF,
  WSAECONNABORTED,
  WSAECONNREFUSED,
  WSAECONNRESET,
  WSAEFAULT,
  WSAEINVAL,
  WSAEMSGSIZE,
  WSAENOPROTOOPT,
  WSAENOTCONN,
  WSAENOTSOCK,
  WSANETWORKEVENTS,
  type WSAOVERLAPPED,
  WSS_OPERATION_IN_PROGRESS,
} from '../../src/spi/index.js';
import { until } from '../link/support.js';
import { notify, poll, region } from './link-support.js';
import { Bench, buffer, type Node, name } from './provider-support.js';

let bench: Bench;
let server: Node;
let client: Node;
let mine: ProviderSocket;
let theirs: ProviderSocket;
beforeEach(async () => {
  bench = new Bench();
  ({ server, client } = bench);
  ({ mine, theirs } = await bench.connected());
});
afterEach(() => bench.close());

/** Posts a receive buffer of the server. */
function posted(size = 4096, overlapped = notify()): { overlapped: WSAOVERLAPPED; at: WSABUF } {
  const at = buffer(server.memory(theirs, size));
  assert.equal(server.failure(server.recv(theirs, at, overlapped)), WSA_IO_PENDING);
  return { overlapped, at };
}

/** Sends the text from the client. */
function say(text: string): void {
  const memory = client.memory(mine, 64);
  memory.memory.bytes.set(Buffer.from(text));
  assert.equal(client.send(mine, buffer(memory, 0, text.length), poll()), 0);
}

const text = ({ buf, offset }: WSABUF, length: number): string =>
  Buffer.from(buf.bytes.subarray(offset, offset + length)).toString();

test('[shared-memory] WSD-OVL-4 WSD-OVL-10 WSD-OVL-14 a receive is pending, and completes by up-call when its message has come', async () => {
  const { overlapped, at } = posted();
  assert.equal(overlapped.Internal, WSS_OPERATION_IN_PROGRESS);
  assert.deepEqual(server.result(theirs, overlapped), [false, -1, WSA_IO_INCOMPLETE]);
  say('hello');
  await until(() => server.completions.length > 0, 'the receive completes');
  const [one] = server.completions;
  assert.equal(one?.overlapped, overlapped);
  assert.deepEqual([one?.handle, one?.error, one?.bytes], [server.created.at(-1), 0, 5]);
  assert.equal(text(at, 5), 'hello');
  assert.deepEqual(server.result(theirs, overlapped), [true, 5, 0]);
});

test('[shared-memory] WSD-OVL-8 WSD-OVL-17 WSD-OVL-19 in poll mode nothing is told; WSPGetOverlappedResult knows', async () => {
  const { overlapped } = posted(4096, poll());
  assert.deepEqual(server.result(theirs, overlapped), [false, -1, WSA_IO_INCOMPLETE]);
  say('quiet');
  await until(() => overlapped.Internal !== WSS_OPERATION_IN_PROGRESS, 'the receive completes');
  assert.deepEqual(server.completions, []);
  assert.deepEqual(server.result(theirs, overlapped), [true, 5, 0]);
  const aborted = posted(4096, poll()).overlapped;
  client.close(mine);
  await until(() => aborted.Internal !== WSS_OPERATION_IN_PROGRESS, 'the peer has closed');
  assert.deepEqual(server.result(theirs, aborted), [false, 0, WSAECONNRESET]);
  assert.deepEqual(server.completions, []);
});

test('[shared-memory] WSD-OVL-5 WSD-OVL-10 a send in notify mode that is done at once has been told when it returns', () => {
  const overlapped = notify();
  assert.equal(client.send(mine, buffer(client.memory(mine, 10)), overlapped), 0);
  assert.deepEqual(
    client.completions.map(({ overlapped: o, error, bytes }) => [o, error, bytes]),
    [[overlapped, 0, 10]],
  );
});

test('[shared-memory] WSD-OVL-10 WSD-OVL-23 a send that waits for wire is WSA_IO_PENDING and completes by up-call, once', async () => {
  const memory = client.memory(mine, 100_000);
  const told: WSAOVERLAPPED[] = [];
  for (let pending = false; !pending; ) {
    const overlapped = notify();
    told.push(overlapped);
    if (client.send(mine, buffer(memory), overlapped) !== 0) {
      assert.equal(client.errno.value, WSA_IO_PENDING);
      assert.equal(overlapped.Internal, WSS_OPERATION_IN_PROGRESS);
      pending = true;
    }
  }
  assert.equal(client.completions.length, told.length - 1);
  for (const _ of told) posted(100_000);
  await until(() => client.completions.length === told.length, 'the last send completes');
  assert.deepEqual(
    client.completions.map(({ overlapped }) => overlapped),
    told,
  );
  assert.ok(client.completions.every(({ error, bytes }) => error === 0 && bytes === 100_000));
  await until(() => server.completions.length === told.length, 'everything has arrived');
  assert.equal(client.completions.length, told.length);
});

test('[shared-memory] WSD-XFR-33 WSD-OVL-22 each message fills one buffer, in order', async () => {
  const all = [posted(), posted(), posted()];
  for (const one of ['a', '', 'ccc']) say(one);
  await until(() => server.completions.length === 3, 'all have arrived');
  assert.deepEqual(
    server.completions.map(({ overlapped }) => overlapped),
    all.map(({ overlapped }) => overlapped),
  );
  assert.deepEqual(
    server.completions.map(({ bytes }, i) => text(all[i]!.at, bytes)),
    ['a', '', 'ccc'],
  );
});

test('[shared-memory] WSD-NEG-8 WSD-NEG-9 WSD-NEG-10 a message that comes before any buffer is kept and handed over first', async () => {
  say('early');
  const [link] = server.provider.links!.all;
  await until(() => link!.counters.messages === 2, 'it has arrived');
  const first = posted();
  assert.deepEqual(server.completions, [], 'not before WSPRecv has returned');
  const second = posted();
  say('late');
  await until(() => server.completions.length === 2, 'both have been handed over');
  assert.deepEqual([text(first.at, 5), text(second.at, 4)], ['early', 'late']);
});

test('[shared-memory] WSD-XFR-29 WSD-OVL-6 WSD-OVL-27 memory that is not registered is WSAEFAULT, and nothing is started', async () => {
  const memory = region(64);
  const at: WSABUF = { len: 64, buf: memory, offset: 0 };
  const overlapped = notify();
  assert.equal(client.failure(client.send(mine, at, overlapped)), WSAEFAULT);
  assert.equal(server.failure(server.recv(theirs, at, overlapped)), WSAEFAULT);
  assert.notEqual(client.registerMemory(mine, memory, 8, 16, MEM_READ, client.errno), null);
  for (const [offset, len] of [
    [0, 8],
    [8, 17],
    [24, 1],
    [0, 64],
  ] as const) {
    assert.equal(client.failure(client.send(mine, { len, buf: memory, offset }, overlapped)), WSAEFAULT);
  }
  assert.equal(client.send(mine, { len: 16, buf: memory, offset: 8 }, poll()), 0);
  assert.equal(
    client.failure(client.table.WSPSend(mine, [], 0, null, 0, overlapped, null, null, client.errno)),
    WSAEINVAL,
  );
  assert.deepEqual([client.completions, overlapped.Internal], [[], 0]);
});

test('[shared-memory] WSD-MEM-12 WSD-MEM-13 WSD-MEM-4 a registration allows its own access on its own socket only', async () => {
  const memory = region(64);
  const at: WSABUF = { len: 64, buf: memory, offset: 0 };
  client.registerMemory(mine, memory, 0, 64, MEM_READ, client.errno);
  assert.equal(client.failure(client.recv(mine, at, notify())), WSAEFAULT, 'for sending only');
  const other = region(64);
  client.registerMemory(mine, other, 0, 64, MEM_WRITE, client.errno);
  assert.equal(client.failure(client.send(mine, { ...at, buf: other }, notify())), WSAEFAULT, 'for receiving only');
  const second = await bench.connected();
  assert.equal(client.failure(client.send(second.mine, at, notify())), WSAEFAULT, 'of another socket');
  assert.equal(client.send(mine, at, poll()), 0);
});

test('[shared-memory] WSD-MEM-15 WSD-MEM-16 registration errors', () => {
  const memory = region(64);
  const register = (socket: ProviderSocket, offset: number, length: number, flags: number): number =>
    client.failure(client.registerMemory(socket, memory, offset, length, flags, client.errno));
  for (const flags of [0, 4, 7, -1]) assert.equal(register(mine, 0, 64, flags), WSAEINVAL);
  for (const [offset, length] of [
    [0, 65],
    [64, 1],
    [-8, 16],
    [0, 0],
    [0, -1],
    [1e9, 1],
  ] as const) {
    assert.equal(register(mine, offset, length, MEM_READ), WSAEFAULT);
  }
  assert.equal(register(client.socket(), 0, 64, MEM_READ), WSAENOTCONN);
});

test('[shared-memory] WSD-MEM-17 WSD-MEM-18 WSD-MEM-21 deregistration: unknown, of another socket, in use, counted', async () => {
  const { deregisterMemory, errno } = server;
  const memory = server.memory(theirs, 64);
  const second = server.registerMemory(theirs, memory.memory, 0, 64, MEM_READWRITE, errno);
  assert.equal(deregisterMemory(theirs, second!, errno), 0, 'registered twice, so still registered');
  assert.equal(server.failure(server.recv(theirs, buffer(memory), notify())), WSA_IO_PENDING);
  assert.equal(server.failure(deregisterMemory(theirs, memory.handle, errno)), WSAEINVAL, 'in use');
  const other = await bench.connected();
  assert.equal(server.failure(deregisterMemory(other.theirs, memory.handle, errno)), WSAEINVAL);
  say('x');
  await until(() => server.completions.length === 1, 'no longer in use');
  assert.equal(deregisterMemory(theirs, memory.handle, errno), 0);
  assert.equal(server.failure(deregisterMemory(theirs, memory.handle, errno)), WSAEINVAL);
  assert.equal(server.failure(server.recv(theirs, buffer(memory), notify())), WSAEFAULT);
});

test('[shared-memory] WSD-XFR-8 several buffers are one message; one larger than SO_MAX_MSG_SIZE is refused', async () => {
  const size = { value: 0 };
  const { table, errno } = client;
  assert.equal(table.WSPGetSockOpt(mine, SOL_SOCKET, SO_MAX_MSG_SIZE, size, { value: 4 }, errno), 0);
  assert.equal(
    client.failure(table.WSPGetSockOpt(mine, SOL_SOCKET, SO_MAX_MSG_SIZE, size, { value: 3 }, errno)),
    WSAEFAULT,
  );
  assert.equal(
    client.failure(table.WSPGetSockOpt(mine, SOL_SOCKET, 0x7777, size, { value: 4 }, errno)),
    WSAENOPROTOOPT,
  );
  const memory = client.memory(mine, size.value + 8);
  assert.equal(client.failure(client.send(mine, buffer(memory), notify())), WSAEMSGSIZE);
  memory.memory.bytes.set(Buffer.from('ab------cdefgh'));
  const { at } = posted();
  assert.equal(
    table.WSPSend(mine, [buffer(memory, 0, 2), buffer(memory, 8, 6)], 2, null, 0, poll(), null, null, errno),
    0,
  );
  await until(() => server.completions.length === 1, 'it has arrived');
  assert.equal(text(at, server.completions[0]!.bytes), 'abcdefgh');
});

test('[shared-memory] memory of the provider needs no registration, and a buffer of the wire neither', async () => {
  const sending = client.extension<ProviderMemoryExtension>(ProviderMemoryGuid);
  const receiving = server.extension<ProviderMemoryExtension>(ProviderMemoryGuid);
  const buf = receiving.WSPAllocateReceiveMemory(4096, server.errno)!;
  assert.equal(server.failure(server.recv(theirs, { len: 1000, buf, offset: 64 }, notify())), WSA_IO_PENDING);
  const out: WSABUF = { len: 0, buf: region(0), offset: 0 };
  assert.equal(sending.WSPGetSendBuffer(mine, 100, out, client.errno), 0);
  assert.ok(out.len >= 100);
  out.buf.bytes.set(Buffer.from('straight'), out.offset);
  out.len = 8;
  assert.equal(client.send(mine, out, poll()), 0);
  await until(() => server.completions.length === 1, 'it has arrived');
  assert.equal(server.completions[0]?.bytes, 8);
  assert.equal(text({ len: 8, buf, offset: 64 }, 8), 'straight');
  assert.equal(client.failure(sending.WSPGetSendBuffer(mine, 131_073, out, client.errno)), WSAEMSGSIZE);
  assert.equal(client.failure(sending.WSPGetSendBuffer(client.socket(), 8, out, client.errno)), WSAENOTCONN);
  client.close(mine);
  assert.equal(client.failure(sending.WSPGetSendBuffer(mine, 8, out, client.errno)), WSAENOTSOCK);
});

test('[shared-memory] WSD-MEM-22 WSD-MEM-23 WSD-MEM-24 the descriptor goes into the memory of the switch, whose size can be probed', () => {
  const { registerRdma, errno } = server;
  const memory = region(64);
  const length = { value: 0 };
  assert.equal(server.failure(registerRdma(theirs, memory, 0, 64, MEM_WRITE, null, length, errno)), WSAEFAULT);
  const needed = length.value;
  assert.ok(needed > 0);
  length.value = needed - 1;
  const descriptor = new Uint8Array(needed + 8);
  assert.equal(server.failure(registerRdma(theirs, memory, 0, 64, MEM_WRITE, descriptor, length, errno)), WSAEFAULT);
  assert.equal(length.value, needed);
  assert.ok(descriptor.every((byte) => byte === 0));
  length.value = needed + 8;
  assert.equal(registerRdma(theirs, memory, 0, 64, MEM_WRITE, descriptor, length, errno), 0);
  assert.equal(length.value, needed);
});

/** RDMA memory of the server, and its descriptor. */
function exposed(flags = MEM_WRITE, socket = theirs): { memory: ReturnType<typeof region>; descriptor: Uint8Array } {
  const memory = region(64);
  const descriptor = new Uint8Array(64);
  const length = { value: 64 };
  assert.equal(server.registerRdma(socket, memory, 16, 32, flags, descriptor, length, server.errno), 0);
  return { memory, descriptor: descriptor.slice(0, length.value) };
}

function rdma(descriptor: Uint8Array, offset: number, bytes: string, socket = mine): number {
  const source = client.memory(socket, 64);
  source.memory.bytes.set(Buffer.from(bytes));
  const { length } = descriptor;
  return client.rdmaWrite(
    socket,
    [buffer(source, 0, bytes.length)],
    1,
    descriptor,
    length,
    offset,
    null,
    0,
    poll(),
    null,
    null,
    client.errno,
  );
}

test('[shared-memory] WSD-XFR-31 WSD-XFR-32 a write goes into the RDMA memory of the peer, before the next message, and asks nobody there', async () => {
  const { memory, descriptor } = exposed();
  const { at } = posted();
  assert.equal(rdma(descriptor, 4, 'written'), 0);
  say('after');
  await until(() => server.completions.length === 1, 'the message has come');
  assert.equal(Buffer.from(memory.bytes.subarray(20, 27)).toString(), 'written');
  assert.ok(memory.bytes.every((byte, i) => byte === 0 || (i >= 20 && i < 27)));
  assert.equal(text(at, 5), 'after');
});

test('[shared-memory] WSD-MEM-31 WSD-MEM-12 WSD-MEM-10 a write out of bounds, to read-only or deregistered memory changes nothing and ends the connection', async () => {
  const before = bench;
  const attempts: Readonly<Record<string, () => Uint8Array[]>> = {
    bounds: () => {
      const { memory, descriptor } = exposed();
      rdma(descriptor, 28, 'written');
      return [memory.bytes];
    },
    'read-only': () => {
      const { memory, descriptor } = exposed(MEM_READ);
      rdma(descriptor, 0, 'written');
      return [memory.bytes];
    },
    deregistered: () => {
      const { memory, descriptor } = exposed();
      assert.equal(server.deregisterRdma(theirs, descriptor, descriptor.length, server.errno), 0);
      assert.equal(
        server.failure(server.deregisterRdma(theirs, descriptor, descriptor.length, server.errno)),
        WSAEINVAL,
      );
      rdma(descriptor, 0, 'written');
      return [memory.bytes];
    },
  };
  for (const [what, attempt] of Object.entries(attempts)) {
    ({ mine, theirs } = await before.connected());
    server.completions.length = 0;
    posted();
    const memories = attempt();
    await until(() => server.completions.length === 1, `${what}: the connection ends`);
    assert.equal(server.completions[0]?.error, WSAECONNRESET, what);
    assert.ok(
      memories.every((bytes) => bytes.every((byte) => byte === 0)),
      what,
    );
  }
});

test('[shared-memory] WSD-MEM-6 WSD-MEM-9 a descriptor is good on the connection of its own socket only', async () => {
  const { memory, descriptor } = exposed();
  const other = await bench.connected();
  const overlapped = notify();
  const at = buffer(server.memory(other.theirs, 64));
  assert.equal(server.failure(server.recv(other.theirs, at, overlapped)), WSA_IO_PENDING);
  assert.equal(rdma(descriptor, 0, 'written', other.mine), 0);
  await until(() => overlapped.Internal !== WSS_OPERATION_IN_PROGRESS, 'that connection ends');
  assert.equal(overlapped.Internal, WSAECONNRESET);
  assert.ok(memory.bytes.every((byte) => byte === 0));
  posted();
  assert.equal(rdma(descriptor, 0, 'written'), 0);
  say('x');
  await until(() => memory.bytes.some((byte) => byte !== 0), 'on its own it works');
});

test('[shared-memory] WSD-CLS-8 WSD-CLS-9 a close resets the receives of the peer, after what was sent before', async () => {
  posted();
  posted();
  say('last');
  client.close(mine);
  await until(() => server.completions.length === 2, 'both receives complete');
  assert.deepEqual(
    server.completions.map(({ error, bytes }) => [error, bytes]),
    [
      [0, 4],
      [WSAECONNRESET, 0],
    ],
  );
  assert.equal(
    server.failure(server.send(theirs, buffer({ memory: region(8), handle: { spi: 'MemoryHandle' } }), notify())),
    WSAECONNRESET,
  );
  assert.deepEqual(
    server.log.filter((what) => what.startsWith('close')),
    [],
    'the socket stays until its switch closes it',
  );
});

test('[shared-memory] WSD-CLS-10 WSD-CLS-12 WSD-OVL-25 closing aborts what is pending, and the last up-call is WPUCloseSocketHandle', () => {
  const quiet = posted(64, poll());
  posted();
  posted();
  const handle = server.created.length - 1;
  server.onUpcall = (what) => {
    if (!what.startsWith('complete')) return;
    assert.equal(
      server.failure(server.table.WSPCloseSocket(theirs, server.errno)),
      WSAENOTSOCK,
      'also from inside an up-call',
    );
  };
  server.close(theirs);
  const abort = `complete ${handle} ${WSA_OPERATION_ABORTED} 0`;
  assert.deepEqual(server.log, [abort, abort, `close ${handle}`]);
  assert.equal(quiet.overlapped.Internal, WSA_OPERATION_ABORTED);
});

test('[shared-memory] WSD-CLS-13 after WSPCloseSocket every use of the socket is WSAENOTSOCK', () => {
  const { table, errno } = server;
  const { handle, memory } = server.memory(theirs, 64);
  const { descriptor } = exposed();
  server.close(theirs);
  const at: WSABUF = { len: 8, buf: memory, offset: 0 };
  const out = { value: 0 };
  const calls: Readonly<Record<string, () => unknown>> = {
    WSPCloseSocket: () => table.WSPCloseSocket(theirs, errno),
    WSPBind: () => table.WSPBind(theirs, name(1), 16, errno),
    WSPListen: () => table.WSPListen(theirs, 1, errno),
    WSPAccept: () => table.WSPAccept(theirs, null, null, null, null, errno),
    WSPConnect: () => table.WSPConnect(theirs, name(1), 16, null, null, null, null, errno),
    WSPSend: () => server.send(theirs, at, notify()),
    WSPRecv: () => server.recv(theirs, at, notify()),
    WSPEventSelect: () => table.WSPEventSelect(theirs, new EventObject(), FD_ACCEPT, errno),
    WSPEnumNetworkEvents: () => table.WSPEnumNetworkEvents(theirs, null, new WSANETWORKEVENTS(), errno),
    WSPGetOverlappedResult: () => table.WSPGetOverlappedResult(theirs, notify(), out, false, out, errno),
    WSPGetSockOpt: () => table.WSPGetSockOpt(theirs, SOL_SOCKET, SO_MAX_MSG_SIZE, out, { value: 4 }, errno),
    WSPSetSockOpt: () => table.WSPSetSockOpt(theirs, SOL_SOCKET, SO_MAX_MSG_SIZE, 1, 4, errno),
    WSPIoctl: () =>
      table.WSPIoctl(theirs, SIO_ADDRESS_LIST_QUERY, null, 0, { value: null }, 999, out, null, null, null, errno),
    WSPRegisterMemory: () => server.registerMemory(theirs, memory, 0, 8, MEM_READ, errno),
    WSPDeregisterMemory: () => server.deregisterMemory(theirs, handle, errno),
    WSPDeregisterRdmaMemory: () => server.deregisterRdma(theirs, descriptor, descriptor.length, errno),
    WSPRdmaWrite: () => server.rdmaWrite(theirs, [], 0, descriptor, 16, 0, null, 0, notify(), null, null, errno),
  };
  for (const [what, call] of Object.entries(calls)) assert.equal(server.failure(call()), WSAENOTSOCK, what);
});

test('[shared-memory] WSD-CLS-20 the end of a peer aborts with WSAECONNABORTED, and stays the answer', async () => {
  posted();
  // The end of a process is the end of its Unix socket, without a word on the ring.
  client.provider.links!.close();
  await until(() => server.completions.length === 1, 'the receive completes');
  assert.equal(server.completions[0]?.error, WSAECONNABORTED);
  const at = buffer({ memory: region(8), handle: { spi: 'MemoryHandle' } });
  for (let i = 0; i < 2; i++) {
    assert.equal(server.failure(server.send(theirs, at, notify())), WSAECONNABORTED);
    assert.equal(server.failure(server.recv(theirs, at, notify())), WSAECONNABORTED);
  }
});

test('[shared-memory] WSD-CLS-22 WSD-CLS-24 the last cleanup frees all sockets', () => {
  posted();
  server.stop();
  const handle = server.created.length - 1;
  assert.deepEqual(server.log, [`complete ${handle} ${WSA_OPERATION_ABORTED} 0`, `close ${handle}`]);
});

test('[shared-memory] data calls on a socket that never was connected are WSAENOTCONN', async () => {
  const { listener, connecting } = await bench.requested();
  const at = buffer({ memory: region(8), handle: { spi: 'MemoryHandle' } });
  const check = (): void => {
    assert.equal(client.failure(client.send(connecting.socket, at, notify())), WSAENOTCONN);
    assert.equal(client.failure(client.recv(connecting.socket, at, notify())), WSAENOTCONN);
  };
  check();
  assert.equal(
    server.accept(listener, () => CF_REJECT),
    INVALID_SOCKET,
  );
  assert.equal(await client.connected(connecting), WSAECONNREFUSED);
  check();
});
