/** The extensions to Winsock: ConnectEx, DisconnectEx, TransmitFile; and WSAConnect. */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { procedureNames, type QOS, SD_SEND, WSA_IO_PENDING } from '../../src/spi/index.js';
import {
  AcceptEx,
  accept,
  bind,
  ConnectEx,
  closesocket,
  connect,
  connectionInfo,
  DisconnectEx,
  GetAcceptExSockaddrs,
  getpeername,
  getsockname,
  recv,
  send,
  shutdown,
  TransmitFile,
  WSAConnect,
  WSACreateEvent,
  WSAGetOverlappedResult,
} from '../../src/winsock/calls.js';
import { TF_DISCONNECT, TF_REUSE_SOCKET, TF_WRITE_BEHIND } from '../../src/winsock/constants.js';
import { WSAOVERLAPPED } from '../../src/winsock/overlapped.js';
import { carriers, connected, fails, loopback, receive, receiveText, type Side, throws, twoSides } from './support.js';

const limit = { timeout: 20_000 };

/** A file with random content, which goes with the test. */
function fileOf(t: TestContext, size: number): { path: string; content: Buffer } {
  const directory = mkdtempSync(join(tmpdir(), 'sockets-direct-file-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const path = join(directory, 'file');
  const content = randomBytes(size);
  writeFileSync(path, content);
  return { path, content };
}

/** What the two sides' SAN providers were asked for. */
function askedOf(sides: readonly Side[]): Set<string> {
  return new Set(sides.flatMap(({ asked }) => [...asked]));
}

for (const provider of carriers) {
  test(`WSAConnect connects; there is no connect data and no quality of service [${provider}]`, limit, async (t) => {
    const { server, client } = twoSides(t, provider);
    const { s, name } = server.listening();
    const near = client.socket();
    await fails(WSAConnect(near, name, Buffer.from('data')), 'WSAEPROTONOSUPPORT');
    await fails(WSAConnect(near, name, null, Buffer.alloc(8)), 'WSAEPROTONOSUPPORT');
    await fails(WSAConnect(near, name, null, null, {} as QOS), 'WSAEOPNOTSUPP');
    const [far] = await Promise.all([accept(s), WSAConnect(near, name)]);
    assert.deepEqual(getpeername(far), getsockname(near));
    assert.equal(connectionInfo(near).provider, provider);
    await fails(WSAConnect(near, name), 'WSAEISCONN');
  });

  test(`ConnectEx wants a bound socket, and sends with the connect [${provider}]`, limit, async (t) => {
    const { server, client } = twoSides(t, provider);
    const { s, name } = server.listening();
    const near = client.socket();
    await fails(ConnectEx(near, name), 'WSAEINVAL');
    bind(near, loopback(0));
    await fails(ConnectEx(near, { ...name, port: 0 }), 'WSAEADDRNOTAVAIL');
    const [far, sent] = await Promise.all([accept(s), ConnectEx(near, name, Buffer.from('greetings'))]);
    assert.equal(sent, 9);
    assert.equal(await receiveText(far, 9), 'greetings');
    const other = client.socket();
    bind(other, loopback(0));
    await Promise.all([accept(s), ConnectEx(other, name)]);
    assert.equal(connectionInfo(other).provider, provider);
  });

  test(`DisconnectEx sends everything and the end [${provider}]`, limit, async (t) => {
    const { near, far } = await connected(t, provider);
    const bytes = randomBytes(3 << 20);
    const sent = send(near, bytes);
    const disconnecting = DisconnectEx(near, null);
    assert.ok((await receive(far)).equals(bytes));
    assert.equal(await disconnecting, 0);
    assert.equal(await sent, bytes.length);
    await fails(send(near, bytes), 'WSAESHUTDOWN');
    await send(far, Buffer.from('still'));
    assert.equal(await receiveText(near, 5), 'still');
    await fails(DisconnectEx(near, null, 1), 'WSAEINVAL');
  });

  test(
    `a socket that DisconnectEx has made reusable is connected and accepted into again [${provider}]`,
    limit,
    async (t) => {
      const { server, client } = twoSides(t, provider);
      const { s, name } = server.listening();
      const [near, far] = [client.socket(), server.socket()];
      bind(near, loopback(0));
      const output = Buffer.alloc(64);
      for (let round = 0; round < 3; round++) {
        await Promise.all([AcceptEx(s, far, output, 0, 32, 32), ConnectEx(near, name, Buffer.from(`round ${round}`))]);
        assert.deepEqual(GetAcceptExSockaddrs(output, 0, 32, 32).remote, getsockname(near));
        assert.equal(await receiveText(far, 7), `round ${round}`);
        assert.equal(connectionInfo(near).provider, provider);
        const reason = provider === 'tcpip' ? 'accepted-by-tcpip' : 'accelerated';
        assert.deepEqual(connectionInfo(far), { provider, reason });
        // The one that ends first waits for the other's end.
        const overlapped = new WSAOVERLAPPED(WSACreateEvent());
        assert.equal(DisconnectEx(near, overlapped, TF_REUSE_SOCKET), WSA_IO_PENDING);
        assert.equal(await recv(far, Buffer.alloc(1)), 0);
        await send(far, Buffer.from('dropped'));
        throws(() => WSAGetOverlappedResult(near, overlapped), 'WSA_IO_INCOMPLETE');
        await DisconnectEx(far, null, TF_REUSE_SOCKET);
        await WSAGetOverlappedResult(near, overlapped, true);
        await fails(send(near, Buffer.alloc(1)), 'WSAENOTCONN');
        throws(() => getpeername(far), 'WSAENOTCONN');
        assert.ok(getsockname(near).port > 0);
      }
    },
  );

  test(`closing ends a DisconnectEx that waits for the peer [${provider}]`, limit, async (t) => {
    const { near } = await connected(t, provider);
    const waiting = fails(DisconnectEx(near, null, TF_REUSE_SOCKET), 'WSA_OPERATION_ABORTED');
    await closesocket(near);
    await waiting;
  });

  test(
    `WSD-EXT-2: TransmitFile sends head, file and tail, and nothing else between them [${provider}]`,
    limit,
    async (t) => {
      const { near, far, client } = await connected(t, provider);
      const { path, content } = fileOf(t, 3_000_001);
      const descriptor = openSync(path, 'r');
      t.after(() => closeSync(descriptor));
      const from = client.san.length;
      const buffers = { Head: Buffer.from('head'), Tail: Buffer.from('tail') };
      const sending = TransmitFile(near, descriptor, 0, 100_000, null, buffers, TF_WRITE_BEHIND);
      const after = send(near, Buffer.from('after'));
      const expected = Buffer.concat([buffers.Head, content, buffers.Tail, Buffer.from('after')]);
      assert.ok((await receive(far, expected.length)).equals(expected));
      assert.equal(await sending, content.length + 8);
      await after;
      const names = new Set(client.sanNames(from));
      assert.deepEqual([...names].sort(), provider === 'shared-memory' ? ['WSPRecv', 'WSPSend'] : []);
    },
  );

  test(
    `TransmitFile sends a part of a file, from the record's offset or from where the file stands [${provider}]`,
    limit,
    async (t) => {
      const { near, far } = await connected(t, provider);
      const { path, content } = fileOf(t, 200_000);
      const file = await open(path);
      t.after(() => file.close());
      const overlapped = new WSAOVERLAPPED(WSACreateEvent());
      overlapped.Offset = 150_000;
      assert.equal(TransmitFile(near, file, 1000, 0, overlapped), WSA_IO_PENDING);
      assert.ok((await receive(far, 1000)).equals(content.subarray(150_000, 151_000)));
      assert.equal((await WSAGetOverlappedResult(near, overlapped, true)).cbTransfer, 1000);
      for (const at of [0, 5000]) {
        assert.equal(await TransmitFile(near, file, 5000), 5000);
        assert.ok((await receive(far, 5000)).equals(content.subarray(at, at + 5000)));
      }
      // To the end, of which there is less than is asked for.
      overlapped.Offset = 199_000;
      TransmitFile(near, file, 9999, 0, overlapped, { Tail: Buffer.from('!') });
      assert.equal((await WSAGetOverlappedResult(near, overlapped, true)).cbTransfer, 1001);
      assert.equal((await receive(far, 1001)).toString('latin1', 1000), '!');
      // No file at all.
      assert.equal(await TransmitFile(near, null, 0, 0, null, { Head: Buffer.from('only') }), 4);
      assert.equal(await receiveText(far, 4), 'only');
    },
  );

  test(
    `TransmitFile ends the connection, or makes the socket reusable, if it is asked to [${provider}]`,
    limit,
    async (t) => {
      const { near, far, listening } = await connected(t, provider);
      const { path, content } = fileOf(t, 10_000);
      const file = await open(path);
      t.after(() => file.close());
      const ended = TransmitFile(near, file, 0, 0, null, null, TF_DISCONNECT | TF_REUSE_SOCKET);
      assert.ok((await receive(far)).equals(content));
      shutdown(far, SD_SEND);
      assert.equal(await ended, content.length);
      const [again] = await Promise.all([accept(listening.s), connect(near, listening.name)]);
      const last = TransmitFile(near, file, 0, 0, null, { Tail: Buffer.from('x') }, TF_DISCONNECT);
      assert.equal(await receiveText(again), 'x');
      assert.equal(await last, 1);
      await fails(send(near, Buffer.alloc(1)), 'WSAESHUTDOWN');
    },
  );

  test(`a TransmitFile that cannot be read, or is cancelled [${provider}]`, limit, async (t) => {
    const { near, far, client } = await connected(t, provider);
    await fails(TransmitFile(client.socket(), null), 'WSAENOTCONN');
    await fails(TransmitFile(near, -1), 'WSAEFAULT');
    await fails(TransmitFile(near, null, -1), 'WSAEINVAL');
    await fails(TransmitFile(near, null, 0, 0, null, null, 0x100), 'WSAEINVAL');
    const { path } = fileOf(t, 20 << 20);
    const descriptor = openSync(path, 'w');
    await assert.rejects(TransmitFile(near, descriptor), { code: 'EBADF' });
    closeSync(descriptor);
    // The connection goes on.
    await send(near, Buffer.from('x'));
    assert.equal(await receiveText(far, 1), 'x');
    writeFileSync(path, Buffer.alloc(20 << 20));
    const file = await open(path);
    t.after(() => file.close());
    const controller = new AbortController();
    const cancelled = TransmitFile(near, file, 0, 0, null, null, 0, { signal: controller.signal });
    await recv(far, Buffer.alloc(1));
    controller.abort();
    await fails(cancelled, 'WSA_OPERATION_ABORTED');
    await fails(send(near, Buffer.alloc(1)), 'WSAECONNABORTED');
  });

  test(
    `WSD-EXT-1, WSD-SPI-4: a SAN has no extension of these, and no call but stream ones: all is done above it [${provider}]`,
    limit,
    async (t) => {
      const { server, client } = twoSides(t, provider);
      const { s, name } = server.listening();
      const [near, far] = [client.socket(), server.socket()];
      bind(near, loopback(0));
      const output = Buffer.alloc(4 + 64);
      const [received] = await Promise.all([
        AcceptEx(s, far, output, 4, 32, 32),
        ConnectEx(near, name, Buffer.from('data')),
      ]);
      assert.equal(received, 4);
      GetAcceptExSockaddrs(output, 4, 32, 32);
      const { path, content } = fileOf(t, 1000);
      const file = await open(path);
      t.after(() => file.close());
      await TransmitFile(near, file, 0, 0, null, null, TF_DISCONNECT);
      assert.ok((await receive(far)).equals(content));
      // Everything that anybody asked of a provider is one of its 17 functions.
      const known: readonly string[] = procedureNames;
      for (const fn of askedOf([server, client])) assert.ok(known.includes(fn), fn);
      const data = [...server.san, ...client.san].filter(({ fn }) => /Send|Recv|Rdma/.test(fn));
      assert.equal(data.length > 0, provider === 'shared-memory');
      for (const { fn } of data) assert.ok(fn === 'WSPSend' || fn === 'WSPRecv', fn);
    },
  );
}
