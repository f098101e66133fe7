/** Sockets that go on in another process (section 18 of the digest), as a switch asks for it. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  INVALID_SOCKET,
  WSAECONNRESET,
  WSAEINVAL,
  WSAENOTCONN,
  WSAENOTSOCK,
  type WSAPROTOCOL_INFO,
  WSS_OPERATION_IN_PROGRESS,
} from '../../spi/index.js';
import { buffer, notify, text, unregistered } from '../memory.js';
import { connectedScenario, type Scenario, scenario } from '../scenario.js';

const options = { needs: ['duplication'] } as const;

/** Errors and bytes of completions. */
const told = (completions: readonly { error: number; bytes: number }[]): (readonly [number, number])[] =>
  completions.map(({ error, bytes }) => [error, bytes] as const);

/** Id of a process that is no more. */
async function deadProcess(): Promise<number> {
  const child = spawn(process.execPath, ['--version'], { stdio: 'ignore' });
  await once(child, 'exit');
  return child.pid!;
}

export const duplication: readonly Scenario[] = [
  connectedScenario(
    'WSD-DUP-23 WSD-DUP-24 WSPDuplicateSocket ends receives with success and no bytes, and lets go of their memory',
    async (bench, mine) => {
      const { client, next } = bench;
      const memory = client.memory(mine, 64);
      client.recv(mine, buffer(memory, 0, 32), notify());
      client.recv(mine, buffer(memory, 32, 32), notify());
      client.duplicate(mine, next.processId);
      assert.deepEqual(told(client.completions), [
        [0, 0],
        [0, 0],
      ]);
      assert.equal(client.deregisterMemory(mine, memory.handle, client.errno), 0);
    },
    options,
  ),

  connectedScenario(
    'WSD-DUP-26 the token is good once, in the process that it names, and no other is like it',
    async (bench, mine) => {
      const { client, next } = bench;
      const { mine: other } = await bench.connected();
      const foreign = client.duplicate(other, next.processId + 1);
      const info = client.duplicate(mine, next.processId);
      assert.notEqual(info.dwProviderReserved, 0);
      assert.notEqual(info.dwProviderReserved, foreign.dwProviderReserved);
      assert.equal(next.failure(next.receive(foreign)), WSAEINVAL, 'the token of another process');
      const forged = { ...info, dwProviderReserved: (info.dwProviderReserved % 0xffff_ffff) + 1 };
      assert.equal(next.failure(next.receive(forged)), WSAEINVAL, 'a forged token');
      next.received(info);
      assert.equal(next.failure(next.receive(info)), WSAEINVAL, 'a second time');
    },
    options,
  ),

  connectedScenario(
    'WSD-DUP-28 WSD-DUP-33 WSD-DUP-37 the socket goes on where WSPSocket is called, with one new handle',
    async (bench, mine, theirs) => {
      const { client, next, server } = bench;
      // Posted before, and still posted afterwards.
      const kept = bench.posted(theirs);
      const moved = next.received(client.duplicate(mine, next.processId));
      assert.deepEqual(next.log, ['create 0']);
      const inbox = next.post(moved, 4096);
      next.say(moved, 'from the new process');
      await bench.received(1);
      assert.equal(text(kept.at, server.completions[0]!.bytes), 'from the new process');
      server.say(theirs, 'to the new process');
      await bench.until(
        () => next.completions.some(({ overlapped }) => overlapped === inbox.overlapped),
        'it has arrived',
      );
      assert.equal(text(inbox.at, 18), 'to the new process');
    },
    options,
  ),

  connectedScenario(
    'what is sent before the peer has answered arrives in order, and the old place is given up without harm',
    async (bench, mine, theirs) => {
      const { client, next, server } = bench;
      const kept = Array.from({ length: 40 }, () => bench.posted(theirs, 64));
      const moved = next.received(client.duplicate(mine, next.processId));
      client.close(mine);
      for (let k = 0; k < kept.length; k++) next.say(moved, `message ${k}`);
      await bench.received(kept.length);
      assert.deepEqual(
        kept.map(({ at }, k) => text(at, server.completions[k]!.bytes)),
        kept.map((_, k) => `message ${k}`),
      );
      // It goes on to be closed as any other.
      bench.posted(theirs);
      next.close(moved);
      await bench.received(kept.length + 1);
      assert.equal(server.completions.at(-1)!.error, WSAECONNRESET);
    },
    options,
  ),

  connectedScenario(
    'WSD-DUP-39 a descriptor is valid until it is closed, and no other socket gets it before',
    async (bench, mine) => {
      const { client, next } = bench;
      next.received(client.duplicate(mine, next.processId));
      await bench.settle();
      assert.notEqual(client.socket(), mine);
      assert.equal(client.failure(client.send(mine, unregistered(), notify())), WSAENOTCONN);
      client.close(mine);
      assert.equal(client.failure(client.table.WSPCloseSocket(mine, client.errno)), WSAENOTSOCK);
    },
    options,
  ),

  connectedScenario(
    'WSD-DUP-30 a socket that comes back gets no second handle for the descriptor that it had, and one for another',
    async (bench, mine) => {
      const { client, next } = bench;
      const moved = next.received(client.duplicate(mine, next.processId));
      await bench.settle();
      client.log.length = 0;
      const back = client.received(next.duplicate(moved, client.processId));
      assert.equal(client.log.length, back === mine ? 0 : 1);
      // What had ended is posted again.
      const inbox = client.post(back, 64);
      assert.equal(inbox.overlapped.Internal, WSS_OPERATION_IN_PROGRESS);
    },
    options,
  ),

  connectedScenario(
    'WSD-DUP-41 the peer is told if the process is gone that was to take the socket over',
    async (bench, mine, theirs) => {
      const { client, next, server, rig } = bench;
      bench.posted(theirs);
      // Where time is the rig's own, so are the processes.
      const isSimulated = rig.until !== undefined;
      client.duplicate(mine, isSimulated ? next.processId : await deadProcess());
      if (isSimulated) next.kill();
      await bench.received(1);
      assert.deepEqual(told(server.completions), [[WSAECONNRESET, 0]]);
    },
    options,
  ),

  scenario(
    'WSD-DUP-43 the errors of WSPDuplicateSocket, for whatever process',
    async (bench) => {
      const { client } = bench;
      const info = { ...client.party.provider.protocolInfo };
      const call = (s: Parameters<typeof client.close>[0], to: WSAPROTOCOL_INFO | null = info): number => {
        const result = client.table.WSPDuplicateSocket(s, 0xffff_ffff, to as WSAPROTOCOL_INFO, client.errno);
        return result === 0 ? 0 : client.failure(result);
      };
      const unconnected = client.socket();
      assert.equal(call(unconnected), WSAENOTCONN);
      client.close(unconnected);
      assert.equal(call(unconnected), WSAENOTSOCK);
      const { mine } = await bench.connected();
      assert.equal(call(mine, null), WSAEINVAL);
      assert.equal(call(mine), 0);
      assert.equal(call(mine), WSAEINVAL, 'it has gone already');
      const { connecting } = await bench.requested();
      assert.equal(call(connecting.socket), WSAENOTCONN);
    },
    options,
  ),

  connectedScenario(
    'the peer closes while the socket is on its way, and the new process is told',
    async (bench, mine, theirs) => {
      const { client, next, server } = bench;
      const info = client.duplicate(mine, next.processId);
      await bench.settle();
      server.close(theirs);
      const moved = next.received(info);
      next.post(moved, 64);
      await bench.until(() => next.completions.length > 0, 'its receive has ended');
      assert.deepEqual(told(next.completions), [[WSAECONNRESET, 0]]);
    },
    options,
  ),

  scenario(
    'a listening socket goes on in another process, with the requests that wait',
    async (bench) => {
      const { server, client, next } = bench;
      const port = bench.port();
      // Listens on the client's host, where the other process is.
      const listener = client.listen(port);
      const connecting = server.connect(client.name(port), bench.port());
      await bench.until(() => listener.event.signalled, 'the request has arrived');
      const info = client.duplicate(listener.socket, next.processId);
      const moved = next.select(next.received(info), 8);
      client.close(listener.socket);
      await bench.until(() => moved.event.signalled, 'the request is there');
      next.enumerate(moved);
      assert.notEqual(next.accept(moved), INVALID_SOCKET);
      assert.equal(await bench.outcome(connecting, server), 0);
    },
    options,
  ),
];
