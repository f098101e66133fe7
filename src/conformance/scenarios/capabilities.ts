/** What is declared is there, and what is not declared is refused as it must be. */

import assert from 'node:assert/strict';
import {
  INVALID_SOCKET,
  ProviderMemoryGuid,
  WSAECONNREFUSED,
  WSAECONNRESET,
  WSAEHOSTUNREACH,
  WSAEINVAL,
  WSAEOPNOTSUPP,
  WSPMemoryRegistrationCacheCallbackGuid,
  WSPRdmaReadGuid,
} from '../../spi/index.js';
import { buffer, poll, region, text } from '../memory.js';
import { connectedScenario, type Scenario, scenario } from '../scenario.js';

export const capabilities: readonly Scenario[] = [
  scenario('WSD-INI-15 extensions are there exactly if they are declared', (bench) => {
    const { server } = bench;
    for (const [capability, guid] of [
      ['rdmaRead', WSPRdmaReadGuid],
      ['providerMemory', ProviderMemoryGuid],
    ] as const) {
      const found = server.fetch(guid, { value: null });
      assert.equal(found === 0, bench.has(capability), capability);
      // Ours is not in the documents, so it may be a GUID that the provider does not know (WSD-INI-16).
      const errors = guid === ProviderMemoryGuid ? [WSAEOPNOTSUPP, WSAEINVAL] : [WSAEOPNOTSUPP];
      if (found !== 0) assert.ok(errors.includes(server.failure(found)), capability);
    }
  }),

  scenario(
    'WSD-INI-15 without a registration cache its callback is refused',
    ({ server }) => {
      const found = server.fetch(WSPMemoryRegistrationCacheCallbackGuid, { value: null });
      assert.equal(server.failure(found), WSAEOPNOTSUPP);
    },
    { unless: ['registrationCache'] },
  ),

  scenario(
    'WSD-CCH-9 a provider that caches registrations has the callback',
    ({ server }) => {
      assert.equal(typeof server.extension(WSPMemoryRegistrationCacheCallbackGuid), 'function');
    },
    { needs: ['registrationCache'], registrationCache: true },
  ),

  connectedScenario(
    'WSD-INI-13 without RDMA write the function is there and refuses',
    (bench, mine, theirs) => {
      const { client, server } = bench;
      const memory = region(8);
      const descriptor = new Uint8Array(64);
      const length = { value: 64 };
      assert.equal(server.registerRdma(theirs, memory, 0, 8, 2, descriptor, length, server.errno), 0);
      const list = [buffer(client.memory(mine, 8))];
      const { errno } = client;
      const result = client.rdmaWrite(mine, list, 1, descriptor, length.value, 0, null, 0, poll(), null, null, errno);
      assert.equal(client.failure(result), WSAEOPNOTSUPP);
    },
    { unless: ['rdmaWrite'] },
  ),

  connectedScenario(
    'WSD-DUP-43 without duplication WSPDuplicateSocket refuses, and the connection goes on',
    async (bench, mine, theirs) => {
      const { client } = bench;
      const { table, errno, party } = client;
      const result = table.WSPDuplicateSocket(mine, process.pid, { ...party.provider.protocolInfo }, errno);
      assert.equal(client.failure(result), WSAEOPNOTSUPP);
      const { at } = bench.posted(theirs);
      client.say(mine, 'still here', poll());
      await bench.received(1);
      assert.equal(text(at, 10), 'still here');
    },
    { unless: ['duplication'] },
  ),

  scenario(
    'WSD-CON-25 a provider that joins what is in one process does so in full',
    async (bench) => {
      const { server } = bench;
      const port = bench.port();
      const listener = server.listen(port);
      const connecting = server.connect(server.name(port), bench.port());
      await bench.until(() => listener.event.signalled, 'the request has arrived');
      const theirs = server.accept(listener);
      assert.ok(theirs !== INVALID_SOCKET);
      assert.equal(await bench.outcome(connecting, server), 0);
      const { at } = bench.posted(theirs);
      server.say(connecting.socket, 'to myself', poll());
      await bench.received(1);
      assert.equal(text(at, 9), 'to myself');
    },
    { needs: ['loopback'] },
  ),

  scenario(
    'WSD-CON-25 a connect to a listener of the same process ends so that TCP/IP is tried',
    async (bench) => {
      const { server } = bench;
      const port = bench.port();
      server.listen(port);
      const error = await bench.attempt(server.name(port), server);
      assert.ok(![0, WSAECONNRESET, WSAECONNREFUSED, WSAEHOSTUNREACH].includes(error), `${error}`);
    },
    { unless: ['loopback'], connectBudget: 300 },
  ),

  scenario(
    'WSD-COMP-11 between hosts each has an address of its own, and either may be the one that listens',
    async (bench) => {
      const { server, client } = bench;
      assert.notEqual(server.address, client.address);
      const port = bench.port();
      const listener = client.listen(port);
      const connecting = server.connect(client.name(port), bench.port());
      await bench.until(() => listener.event.signalled, 'the request has arrived');
      const accepted = client.accept(listener, (caller) => (caller.address === server.address ? 0 : 1));
      assert.notEqual(accepted, INVALID_SOCKET);
      assert.equal(await bench.outcome(connecting, server), 0);
    },
    { needs: ['hosts'] },
  ),

  connectedScenario(
    'WSD-NEG-12 with flow control any number of messages waits for buffers, and none is lost',
    async (bench, mine, theirs) => {
      const { server, client } = bench;
      const messages = Array.from({ length: 20 }, (_, i) => `message ${i}`);
      for (const message of messages) client.say(mine, message, poll());
      await bench.settle();
      assert.equal(server.completions.length, 0);
      const posted = messages.map(() => bench.posted(theirs, 64));
      await bench.received(messages.length);
      assert.deepEqual(
        posted.map(({ at, overlapped }) => text(at, overlapped.InternalHigh)),
        messages,
      );
    },
    { needs: ['flowControl'], flowControl: true },
  ),
];
