/** How every function of a provider fails: in which form, and with which errors, whatever the state of the socket. */

import assert from 'node:assert/strict';
import {
  AF_INET,
  CF_REJECT,
  errorName,
  INVALID_SOCKET,
  IPPROTO_TCP,
  type ProviderSocket,
  procedureNames,
  SOCK_STREAM,
  SOCKET_ERROR,
  WSA_FLAG_OVERLAPPED,
  WSANOTINITIALISED,
} from '../../spi/index.js';
import type { ProviderBench } from '../bench.js';
import { calls, failures, isAllowed } from '../calls.js';
import type { Node } from '../node.js';
import { type Scenario, scenario } from '../scenario.js';

/** A fresh socket in each state of section 4 of the digest. */
const states: Readonly<Record<string, (bench: ProviderBench) => Promise<readonly [Node, ProviderSocket]>>> = {
  created: async ({ client }) => [client, client.socket()],
  bound: async (bench) => [bench.client, bench.client.bound(bench.port())],
  listening: async (bench) => [bench.server, bench.server.listen(bench.port()).socket],
  'listening, with a request': async (bench) => [bench.server, (await bench.requested()).listener.socket],
  connecting: async (bench) => [bench.client, (await bench.requested()).connecting.socket],
  refused: async (bench) => {
    const { listener, connecting } = await bench.requested();
    bench.server.failure(bench.server.accept(listener, () => CF_REJECT));
    await bench.outcome(connecting);
    return [bench.client, connecting.socket];
  },
  connected: async (bench) => [bench.client, (await bench.connected()).mine],
  accepted: async (bench) => [bench.server, (await bench.connected()).theirs],
  disconnected: async (bench) => {
    const { mine, theirs } = await bench.connected();
    const { overlapped } = bench.posted(theirs, 8);
    bench.client.close(mine);
    await bench.until(() => overlapped.Internal !== 0x103, 'the peer has closed');
    return [bench.server, theirs];
  },
  closed: async ({ client }) => {
    const socket = client.socket();
    client.close(socket);
    return [client, socket];
  },
  'none of this provider': async ({ client, server }) => [client, server.socket()],
  'no socket': async ({ client }) => [client, INVALID_SOCKET as unknown as ProviderSocket],
};

export const errors: readonly Scenario[] = [
  scenario(
    'WSD-ERR-1 every function fails in its own form, with its error in the errno output and never by throwing',
    async (bench) => {
      const { client } = bench;
      const seen = new Set<string>();
      const { table, errno } = client;
      const check = (what: string, form: unknown, result: unknown): void => {
        assert.equal(result, form, what);
        assert.notEqual(errno.value, 0, what);
        errno.value = 0;
        seen.add(what);
      };
      for (const [what, call] of Object.entries(calls)) {
        errno.value = 0;
        check(what, failures[what]![0], call(client, INVALID_SOCKET as unknown as ProviderSocket));
      }
      const made = table.WSPSocket(17, SOCK_STREAM, IPPROTO_TCP, null, 0, WSA_FLAG_OVERLAPPED, errno);
      check('WSPSocket', INVALID_SOCKET, made);
      client.stop();
      check('WSPCleanup', SOCKET_ERROR, table.WSPCleanup(errno));
      assert.deepEqual(
        procedureNames.filter((name) => !seen.has(name)),
        [],
      );
      const late = table.WSPSocket(AF_INET, SOCK_STREAM, IPPROTO_TCP, null, 0, WSA_FLAG_OVERLAPPED, errno);
      assert.equal(late, INVALID_SOCKET);
      assert.equal(errno.value, WSANOTINITIALISED);
    },
  ),

  scenario(
    'WSD-BLK-8 WSD-ERR-1 in every state of a socket each function succeeds or fails with an error of its own list',
    async (bench) => {
      for (const [state, make] of Object.entries(states)) {
        for (const [what, call] of Object.entries(calls)) {
          const [node, socket] = await make(bench);
          node.errno.value = 0;
          const result = call(node, socket);
          const { value } = node.errno;
          assert.ok(
            isAllowed(what, result, value),
            `${what} on a socket that is ${state}: ${String(result)} ${errorName(value)}`,
          );
          node.errno.value = 0;
        }
      }
    },
  ),
];
