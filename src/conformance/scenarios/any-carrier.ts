/** What holds for every carrier below the switch, TCP/IP too, whose peers are connected before anybody accepts them. */

import assert from 'node:assert/strict';
import {
  CF_ACCEPT,
  CF_DEFER,
  CF_REJECT,
  FD_ACCEPT,
  INVALID_SOCKET,
  WSAECONNREFUSED,
  WSAEINVAL,
  WSAENOTSOCK,
  WSAEWOULDBLOCK,
  WSATRY_AGAIN,
} from '../../spi/index.js';
import type { ProviderBench } from '../bench.js';
import { name } from '../memory.js';
import type { Selected } from '../node.js';
import { type Scenario, scenario } from '../scenario.js';

const options = { anyCarrier: true } as const;

/** A listener with so many requests, in the order of the callers' ports. */
async function queue(bench: ProviderBench, count: number): Promise<{ listener: Selected; callers: readonly number[] }> {
  const port = bench.port();
  const listener = bench.server.listen(port);
  const callers: number[] = [];
  while (callers.length < count) {
    const from = bench.port();
    bench.client.connect(bench.server.name(port), from);
    callers.push(from);
    await bench.until(() => listener.event.signalled, 'the request has arrived');
    bench.server.enumerate(listener);
  }
  return { listener, callers };
}

export const anyCarrier: readonly Scenario[] = [
  scenario(
    'WSD-ACC-8 WSD-ACC-31 WSD-ACC-33 on every carrier the condition is asked once, inside WSPAccept, with both addresses and its data',
    async (bench) => {
      const { server, client } = bench;
      const { listener, callers } = await queue(bench, 1);
      const data = {};
      const asked: unknown[][] = [];
      let inside = true;
      const accepted = server.table.WSPAccept(
        listener.socket,
        null,
        null,
        (...args) => {
          assert.ok(inside);
          asked.push(args);
          return CF_ACCEPT;
        },
        data,
        server.errno,
      );
      inside = false;
      assert.notEqual(accepted, INVALID_SOCKET);
      await bench.settle();
      assert.equal(asked.length, 1);
      const [caller, callerData, sqos, gqos, callee, calleeData, , callbackData] = asked[0]!;
      assert.deepEqual([caller, callerData, sqos, gqos], [client.name(callers[0]!), null, null, null]);
      assert.equal((callee as { address: string }).address, server.address);
      assert.equal(calleeData, null);
      assert.equal(callbackData, data);
    },
    options,
  ),

  scenario(
    'WSD-ACC-10 WSD-LSN-6 on every carrier requests are asked about in their order, and who is deferred stays first',
    async (bench) => {
      const { server } = bench;
      const { listener, callers } = await queue(bench, 3);
      const asked: number[] = [];
      const accept = (verdict: number): number | null => {
        const result = server.accept(listener, (caller) => {
          asked.push(caller.port);
          return verdict;
        });
        return result === INVALID_SOCKET ? server.failure(result) : null;
      };
      assert.deepEqual([accept(CF_DEFER), accept(CF_DEFER)], [WSATRY_AGAIN, WSATRY_AGAIN]);
      assert.deepEqual([accept(CF_ACCEPT), accept(CF_ACCEPT), accept(CF_ACCEPT)], [null, null, null]);
      assert.deepEqual(asked, [callers[0], callers[0], ...callers]);
      assert.equal(accept(CF_ACCEPT), WSAEWOULDBLOCK);
    },
    options,
  ),

  scenario(
    'WSD-ACC-20 WSD-ACC-32 on every carrier a refusal is WSAECONNREFUSED, a verdict that is none WSAEINVAL, and the next is asked about',
    async (bench) => {
      const { server } = bench;
      const { listener, callers } = await queue(bench, 3);
      assert.equal(server.failure(server.accept(listener, () => CF_REJECT)), WSAECONNREFUSED);
      assert.equal(server.failure(server.accept(listener, () => 17)), WSAEINVAL);
      const last = server.accept(listener, (caller) => (caller.port === callers[2] ? CF_ACCEPT : CF_REJECT));
      assert.notEqual(last, INVALID_SOCKET);
      assert.equal(server.failure(server.accept({ ...listener, socket: server.socket() })), WSAEINVAL);
    },
    options,
  ),

  scenario(
    'WSD-REG-13 WSD-COMP-11 on every carrier a wildcard listener has requests for all addresses, each with the one that was called',
    async (bench) => {
      const { server, client } = bench;
      const port = bench.port();
      const socket = server.bound(port, '0.0.0.0');
      assert.equal(server.table.WSPListen(socket, 8, server.errno), 0);
      const listener = server.select(socket, FD_ACCEPT);
      for (const called of [server.address, ...server.party.others]) {
        client.connect(name(port, called), bench.port());
        await bench.until(() => listener.event.signalled, called);
        server.enumerate(listener);
        const accepted = server.accept(listener, (_caller, _data, _sqos, _gqos, callee) =>
          callee.address === called && callee.port === port ? CF_ACCEPT : CF_REJECT,
        );
        assert.notEqual(accepted, INVALID_SOCKET);
      }
    },
    options,
  ),

  scenario(
    'WSD-ACC-32 on every carrier a condition function that closes its listener ends WSPAccept with WSAENOTSOCK',
    async (bench) => {
      const { server } = bench;
      const { listener } = await queue(bench, 1);
      const before = server.created.length;
      const result = server.accept(listener, () => {
        server.close(listener.socket);
        return CF_ACCEPT;
      });
      assert.equal(server.failure(result), WSAENOTSOCK);
      assert.equal(server.created.length, before);
    },
    options,
  ),
];
