/** What the shared-memory provider has beyond the contract: reasons, wildcards, and what a lost peer never took. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { name, poll } from '../../src/conformance/memory.js';
import {
  AF_INET,
  AF_INET6,
  FD_ACCEPT,
  FD_CONNECT,
  INVALID_SOCKET,
  type ProviderDiagnosticsExtension,
  ProviderDiagnosticsGuid,
  type SOCKADDR,
  WSAECONNRESET,
  WSAETIMEDOUT,
  WSAEWOULDBLOCK,
  WSPMemoryRegistrationCacheCallbackGuid,
  WSPRdmaReadGuid,
} from '../../src/spi/index.js';
import { connectedOn, type Node, on, type Selected } from '../provider/support.js';

function diagnostics(node: Node): ProviderDiagnosticsExtension {
  return node.extension<ProviderDiagnosticsExtension>(ProviderDiagnosticsGuid);
}

test(
  '[shared-memory] WSD-CON-8 WSD-CON-16 where nobody listens the connect fails at once, with an error that leads to TCP/IP and a reason',
  on('shared-memory', (bench) => {
    const { client } = bench;
    const { socket } = client.select(client.bound(bench.port()), FD_CONNECT);
    assert.equal(client.failure(client.connectCall(socket, name(bench.port(), '127.0.0.1'))), WSAETIMEDOUT);
    assert.equal(diagnostics(client).WSPQueryReason(socket), 'no-listener');
  }),
);

test(
  'a connect that was refused, withdrawn, or answered by nobody has its reason',
  on(
    'shared-memory',
    async (bench) => {
      const { server, client } = bench;
      const { WSPQueryReason } = diagnostics(client);
      const refused = await bench.requested();
      server.accept(refused.listener, () => 1);
      await bench.outcome(refused.connecting);
      assert.equal(WSPQueryReason(refused.connecting.socket), 'refused');
      const poor = await bench.requested();
      server.handlesLeft = 0;
      server.accept(poor.listener);
      server.handlesLeft = 10;
      await bench.outcome(poor.connecting);
      assert.equal(WSPQueryReason(poor.connecting.socket), 'resources-exhausted');
      const silent = await bench.requested();
      await bench.outcome(silent.connecting);
      assert.equal(WSPQueryReason(silent.connecting.socket), 'connect-timeout');
      const closed = await bench.requested();
      server.close(closed.listener.socket);
      await bench.outcome(closed.connecting);
      assert.equal(WSPQueryReason(closed.connecting.socket), 'no-listener');
    },
    { connectBudget: 300 },
  ),
);

test(
  '[shared-memory] WSD-INI-15 every optional extension is there, whatever the kernel lets us do',
  on(
    'shared-memory',
    ({ server }) => {
      assert.equal(typeof server.optional(WSPRdmaReadGuid), 'function');
      assert.equal(typeof server.optional(WSPMemoryRegistrationCacheCallbackGuid), 'function');
    },
    { peerMemory: false },
  ),
);

test(
  'after the peer is lost, the messages that it never took are counted',
  connectedOn('shared-memory', async (bench, mine, theirs) => {
    const { client, server } = bench;
    bench.posted(theirs);
    for (const text of ['a', 'b', 'c']) client.say(mine, text, poll());
    const receive = client.post(mine, 8);
    // Its loop has not had a turn, so nothing was taken.
    server.kill();
    await bench.until(() => receive.overlapped.Internal !== 0x103, 'the peer is gone');
    assert.equal(diagnostics(client).WSPQueryUnconsumed(mine), 3);
  }),
);

test(
  '[shared-memory] WSD-SOC-21 WSD-COMP-11 the exact address comes before a wildcard, and a dual-stack wildcard has both families unless it must not',
  on('shared-memory', async (bench) => {
    const { server } = bench;
    const listen = (port: number, address: string, more: Partial<SOCKADDR> = {}): Selected => {
      const family = address.includes(':') ? AF_INET6 : AF_INET;
      const socket = server.socket(family);
      const local = { sa_family: family, address, port, ...more };
      assert.equal(server.table.WSPBind(socket, local, 28, server.errno), 0);
      assert.equal(server.table.WSPListen(socket, 4, server.errno), 0);
      return server.select(socket, FD_ACCEPT);
    };
    const reaches = async (listener: Selected, port: number, address: string): Promise<void> => {
      bench.client.connect(name(port, address), bench.port());
      await bench.until(() => listener.event.signalled, `${address} has its listener`);
      server.enumerate(listener);
      assert.notEqual(server.accept(listener), INVALID_SOCKET);
    };
    const port = bench.port();
    const any = listen(port, '0.0.0.0');
    const exact = listen(port, '127.0.0.2');
    await reaches(exact, port, '127.0.0.2');
    await reaches(any, port, '127.0.0.1');
    const both = bench.port();
    await reaches(listen(both, '::'), both, '127.0.0.3');
    const six = bench.port();
    listen(six, '::', { ipv6Only: true });
    assert.equal(await bench.attempt(name(six, '127.0.0.1')), WSAETIMEDOUT);
  }),
);

test(
  '[shared-memory] WSD-ACC-32 a peer that dies while the condition function runs is no acceptance: WSAECONNRESET, or withdrawn',
  on('shared-memory', async (bench) => {
    const { server } = bench;
    const { listener } = await bench.requested();
    const result = server.accept(listener, () => {
      server.party.kill();
      return 0;
    });
    assert.equal(server.failure(result), WSAECONNRESET);
    assert.equal(server.failure(server.accept(listener)), WSAEWOULDBLOCK);
  }),
);
