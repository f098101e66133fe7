/** Handles, memory and descriptors that run out: calls fail with an error of their list, nothing is half done, and it passes. */

import assert from 'node:assert/strict';
import {
  AF_INET,
  errorName,
  INVALID_SOCKET,
  IPPROTO_TCP,
  type ProviderMemoryExtension,
  ProviderMemoryGuid,
  SOCK_STREAM,
  WSA_FLAG_OVERLAPPED,
  WSAECONNREFUSED,
  WSAECONNRESET,
  WSAEHOSTUNREACH,
  WSAENOBUFS,
} from '../../spi/index.js';
import type { ProviderBench } from '../bench.js';
import { calls, isAllowed } from '../calls.js';
import { name, poll, text } from '../memory.js';
import { connectedScenario, type Scenario, scenario } from '../scenario.js';

/** After these TCP/IP is not tried, so none may stand for a lack of resources (WSD-CON-15). */
const final = [WSAECONNRESET, WSAECONNREFUSED, WSAEHOSTUNREACH];

/** More bytes than there are. */
const tooMuch = 2 ** 52;
/** Descriptors of a process that has hardly any to spare. */
const fewDescriptors = 80;

/** A connection is made, and carries a message. */
async function assertWorks(bench: ProviderBench): Promise<void> {
  const { mine, theirs } = await bench.connected();
  bench.server.completions.length = 0;
  const { at } = bench.posted(theirs, 64);
  bench.client.say(mine, 'as before', poll());
  await bench.received(1);
  assert.equal(text(at, 9), 'as before');
}

export const exhaustion: readonly Scenario[] = [
  scenario(
    'WSD-SOC-24 WSD-SOC-8 without a switch handle no socket is made, and as soon as there are some again everything works',
    async (bench) => {
      const { server } = bench;
      const { table, errno } = server;
      server.handlesLeft = 0;
      for (let i = 0; i < 3; i++) {
        const made = table.WSPSocket(AF_INET, SOCK_STREAM, IPPROTO_TCP, null, 0, WSA_FLAG_OVERLAPPED, errno);
        assert.equal(server.failure(made), WSAENOBUFS);
      }
      assert.deepEqual(server.log, []);
      server.handlesLeft = Number.POSITIVE_INFINITY;
      await assertWorks(bench);
    },
    { part: 'faults' },
  ),

  connectedScenario(
    'WSD-ERR-1 memory that cannot be had is WSAENOBUFS, and nothing is thrown',
    async (bench, mine) => {
      const { client } = bench;
      const memory = client.extension<ProviderMemoryExtension>(ProviderMemoryGuid);
      assert.equal(memory.WSPAllocateReceiveMemory(tooMuch, client.errno), null);
      assert.equal(client.failure(null), WSAENOBUFS);
      client.close(mine);
      await assertWorks(bench);
    },
    { part: 'faults', needs: ['providerMemory'] },
  ),

  connectedScenario(
    'WSD-ERR-1 WSD-OVL-6 without memory calls fail with errors of their lists, and nothing has been started',
    async (bench, mine) => {
      const { client } = bench;
      const told = client.completions.length;
      const other = client.bound(bench.port());
      const release = client.party.exhaust!();
      for (const socket of [mine, other]) {
        for (const [what, call] of Object.entries(calls)) {
          if (what === 'WSPCloseSocket') continue;
          client.errno.value = 0;
          const result = call(client, socket);
          const { value } = client.errno;
          const scarce = errorName(value) === 'WSAENOBUFS' || errorName(value) === 'WSAEMFILE';
          assert.ok(scarce || isAllowed(what, result, value), `${what}: ${String(result)} ${errorName(value)}`);
        }
      }
      assert.equal(client.completions.length, told);
      release();
      client.errno.value = 0;
      await assertWorks(bench);
    },
    { part: 'faults', hooks: ['exhaustion'] },
  ),

  scenario(
    'WSD-CON-15 WSD-ACC-25 a process without descriptors is no reason for a final error, on either side, and it recovers',
    async (bench) => {
      const { server, client } = bench;
      const peer = bench.peer({ descriptors: fewDescriptors });
      const [theirPort, ourPort] = [bench.port(), bench.port()];
      await peer.call('listen', theirPort);
      const address = await peer.call('address');
      server.listen(ourPort);
      assert.ok((await peer.call('exhaustDescriptors')) > 0);
      const outcomes = {
        'from there': await peer.call('attempt', server.address, ourPort, bench.port()),
        'to there': await bench.attempt(name(theirPort, address)),
      };
      for (const [what, error] of Object.entries(outcomes)) {
        assert.ok(error !== 0 && !final.includes(error), `${what}: ${errorName(error)}`);
      }
      await peer.call('releaseDescriptors');
      const port = bench.port();
      const listener = server.listen(port);
      await peer.call('connect', server.address, port, bench.port());
      await bench.until(() => listener.event.signalled, 'a request of that process arrives');
      server.enumerate(listener);
      const theirs = server.accept(listener);
      assert.ok(theirs !== INVALID_SOCKET);
      assert.equal(await peer.call('outcome'), 0);
      assert.equal(client.completions.length, 0);
    },
    { part: 'faults', hooks: ['processes'], connectBudget: 500 },
  ),
];
