/** Byte streams between two processes over shared memory behave as those of TCP. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Stage } from '../support/stage.js';

interface Ends {
  server: string[];
  client: string[];
  providers: (string | null)[];
}

/** What both ends of a scenario report. */
async function run(t: TestContext, scenario: string, stock: boolean, env: NodeJS.ProcessEnv = {}): Promise<Ends> {
  const stage = new Stage(t);
  const options = stock ? { preload: null } : { env };
  const server = stage.start('streams', ['server', scenario], options);
  const { port } = await server.next<{ port: number }>('listening');
  const client = stage.start('streams', ['client', scenario, port], options);
  const said = [];
  for (const program of [server, client]) {
    said.push(await program.next<{ log: string[]; provider: string | null }>('log', 30_000));
  }
  return { server: said[0].log, client: said[1].log, providers: said.map(({ provider }) => provider) };
}

/** The scenario over shared memory and over TCP: both ends see the same. */
async function compare(t: TestContext, scenario: string): Promise<Ends> {
  const [direct, stock] = await Promise.all([run(t, scenario, false), run(t, scenario, true)]);
  assert.deepEqual(direct.providers, ['shared-memory', 'shared-memory']);
  assert.deepEqual(direct.server, stock.server);
  assert.deepEqual(direct.client, stock.client);
  return direct;
}

const limit = { timeout: 60_000 };

test('[shared-memory] 64 MiB in each direction at the same time', limit, async (t) => {
  const { providers, server, client } = await run(t, 'exchange', false);
  assert.deepEqual(providers, ['shared-memory', 'shared-memory']);
  for (const log of [server, client]) assert.deepEqual(log, ['67108864 bytes, as sent', 'end', 'close false']);
});

test('[shared-memory] the client ends first and still gets everything', limit, async (t) => {
  const { server, client } = await compare(t, 'clientEndsFirst');
  assert.deepEqual(server, ['1048576 bytes, as sent', 'end', 'close false']);
  assert.deepEqual(client, ['3145728 bytes, as sent', 'end', 'close false']);
});

test('[shared-memory] the server ends first and still gets everything', limit, async (t) => {
  const { server, client } = await compare(t, 'serverEndsFirst');
  assert.deepEqual(server, ['3145728 bytes, as sent', 'end', 'close false']);
  assert.deepEqual(client, ['1048576 bytes, as sent', 'end', 'close false']);
});

test('[shared-memory] both sides write 1 MiB before either reads', limit, async (t) => {
  const { server } = await compare(t, 'writeBeforeReading');
  assert.deepEqual(server.slice(0, 3), ['1 MiB written', 'has not read meanwhile', '1048576 bytes, as sent']);
});

test(
  '[shared-memory] a large write to a slow reader does not time out while it gets on, however it is carried',
  limit,
  async (t) => {
    const lowThreshold = { SOCKETS_DIRECT_RDMA_THRESHOLD: '20000' };
    const ways = [{}, lowThreshold, { ...lowThreshold, SOCKETS_DIRECT_PEER_MEMORY: 'off' }];
    const direct = await Promise.all(ways.map((env) => run(t, 'slowReader', false, env)));
    const stock = await run(t, 'slowReader', true);
    assert.deepEqual(stock.client, ['written, slowly', 'end', 'close false']);
    for (const { server, client, providers } of direct) {
      assert.deepEqual({ server, client }, { server: stock.server, client: stock.client });
      assert.deepEqual(providers, ['shared-memory', 'shared-memory']);
    }
  },
);

test('[shared-memory] 10,000 short writes', limit, async (t) => {
  const { server } = await compare(t, 'shortWrites');
  assert.deepEqual(server, ['70000 bytes, as sent', 'end', 'close false']);
});

test('[shared-memory] destroy() ends the stream', limit, async (t) => {
  const { server } = await compare(t, 'clientDestroys');
  assert.deepEqual(server, ['5000 bytes, as sent', 'end', 'close false']);
});

test('[shared-memory] resetAndDestroy() is ECONNRESET for the peer', limit, async (t) => {
  const { server } = await compare(t, 'clientResets');
  assert.deepEqual(server, ['error ECONNRESET read', 'close true']);
});

test('[shared-memory] destroy() with unread bytes is ECONNRESET for the peer', limit, async (t) => {
  const { server } = await compare(t, 'clientDestroysWithUnreadBytes');
  assert.deepEqual(server, ['error ECONNRESET', 'close true']);
});

test('[shared-memory] a server that destroys with unread bytes resets its client', limit, async (t) => {
  const { client } = await compare(t, 'serverDestroysUnread');
  assert.deepEqual(client, ['error ECONNRESET', 'close true']);
});

test('[shared-memory] a server that stops listening keeps its connection', limit, async (t) => {
  const { server, client } = await compare(t, 'serverStopsListening');
  assert.deepEqual(server, ['1048576 bytes, as sent', 'end', 'server closed', 'close false']);
  assert.deepEqual(client, ['second: ECONNREFUSED', 'end', 'close false']);
});

test('[shared-memory] 200 connections at once', limit, async (t) => {
  const stage = new Stage(t);
  const server = stage.start('echo-server');
  const { port } = await server.next<{ port: number }>('listening');
  const client = stage.start('echo-client', [JSON.stringify({ port, host: '127.0.0.1' }), 200]);
  await client.next('done');
  const ports = new Set<number>();
  for (let i = 0; i < 200; i++) {
    const echo = await client.next<{ same: boolean; provider: string; localPort: number }>('echo', 100);
    assert.equal(echo.provider, 'shared-memory');
    assert.ok(echo.same);
    ports.add(echo.localPort);
  }
  assert.equal(ports.size, 200, 'ports of connections differ');
});

test('[shared-memory] maxConnections drops what is too much, and nothing else', limit, async (t) => {
  const stage = new Stage(t);
  for (const options of [{}, { preload: null }]) {
    const server = stage.start('echo-server', ['', 1], options);
    const { port } = await server.next<{ port: number }>('listening');
    const holder = stage.start('pinger', [port], options);
    await server.next('connection');
    const client = stage.start('echo-client', [JSON.stringify({ port, host: '127.0.0.1' })], options);
    await server.next('drop');
    await client.next('done');
    // Whether the end or a reset comes first depends on who is faster, with TCP as well; an echo it is never.
    await assert.rejects(server.next('connection', 50));
    const echo = await client.next<{ same: boolean }>('echo', 50).catch(() => null);
    assert.notEqual(echo?.same, true);
    holder.tell({ kind: 'stop' });
    assert.ok((await holder.next<{ rounds: number }>('pinged')).rounds > 0);
  }
});

test('where nobody listens the error is that of stock', limit, async (t) => {
  const stage = new Stage(t);
  const server = stage.start('echo-server');
  const { port } = await server.next<{ port: number }>('listening');
  server.kill();
  await server.ended();
  const args = [JSON.stringify({ port, host: '127.0.0.1' })];
  const failure = async (options: object): Promise<Record<string, unknown>> => {
    const client = stage.start('echo-client', args, options);
    const { provider, reason, ...error } = await client.next<Record<string, unknown>>('failed');
    return { ...error, reason };
  };
  const stock = await failure({ preload: null });
  assert.equal(stock.code, 'ECONNREFUSED');
  assert.deepEqual(await failure({ require: false }), { ...stock, reason: 'no-listener' });
});

test('[shared-memory] where nobody listens and a SAN is required the error has a reason', limit, async (t) => {
  const stage = new Stage(t);
  const client = stage.start('echo-client', [JSON.stringify({ port: 1, host: '127.0.0.1' })]);
  const { code, reason } = await client.next<{ code: string; reason: string }>('failed');
  assert.deepEqual([code, reason], ['ENETUNREACH', 'no-listener']);
});
