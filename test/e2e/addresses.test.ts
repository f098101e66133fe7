/** Who is reached at which address, and what addresses both ends show. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type Program, Stage, type StartOptions } from '../support/stage.js';

interface Echo {
  provider: string | null;
  reason: string | null;
  same: boolean;
  remoteAddress: string;
  remoteFamily: string;
  remotePort: number;
  localAddress: string;
  localPort: number;
}

const limit = { timeout: 30_000 };

async function serve(
  stage: Stage,
  options: object,
  start: StartOptions = {},
): Promise<{ server: Program; port: number }> {
  const server = stage.start('echo-server', [JSON.stringify(options)], start);
  return { server, port: (await server.next<{ port: number }>('listening')).port };
}

/** What both ends of one connection say. */
async function addresses(t: TestContext, listen: object, connect: object, start: StartOptions): Promise<object[]> {
  const stage = new Stage(t);
  const { server, port } = await serve(stage, { port: 0, ...listen }, start);
  const client = stage.start('echo-client', [JSON.stringify({ port, ...connect })], start);
  const echo = await client.next<Echo>('echo');
  const accepted = await server.next<Echo>('connection');
  assert.equal(echo.provider, start.preload === null ? null : 'shared-memory');
  assert.equal(accepted.provider, echo.provider);
  assert.equal(accepted.remotePort, echo.localPort);
  assert.equal(echo.remotePort, port);
  return [echo, accepted].map(({ remoteAddress, remoteFamily, localAddress }) => ({
    remoteAddress,
    remoteFamily,
    localAddress,
  }));
}

for (const [title, listen, connect] of [
  ['127.0.0.1', { host: '127.0.0.1' }, { host: '127.0.0.1' }],
  ['::1', { host: '::1' }, { host: '::1' }],
  ['a dual-stack server and an IPv4 client', { host: '::' }, { host: '127.0.0.1' }],
  ['a dual-stack server and an IPv6 client', { host: '::' }, { host: '::1' }],
  ['a wildcard server', { host: '0.0.0.0' }, { host: '127.0.0.3' }],
  ['no address at all', {}, {}],
  ['localhost', { host: 'localhost' }, { host: 'localhost' }],
  ['localhost for an IPv4 server', { host: '127.0.0.1' }, { host: 'localhost' }],
  ['a local address', { host: '127.0.0.1' }, { host: '127.0.0.1', localAddress: '127.0.0.9' }],
] as const) {
  test(`[shared-memory] ${title}: both ends show the addresses that TCP shows`, limit, async (t) => {
    assert.deepEqual(await addresses(t, listen, connect, {}), await addresses(t, listen, connect, { preload: null }));
  });
}

test('[shared-memory] a client that binds its port is seen with it', limit, async (t) => {
  const stage = new Stage(t);
  const { server, port } = await serve(stage, { port: 0, host: '127.0.0.1' });
  // A port that was free a moment ago.
  const { server: other, port: localPort } = await serve(stage, { port: 0, host: '127.0.0.1' });
  other.kill();
  await other.ended();
  const client = stage.start('echo-client', [JSON.stringify({ port, host: '127.0.0.1', localPort })]);
  assert.equal((await client.next<Echo>('echo')).provider, 'shared-memory');
  assert.equal((await server.next<Echo>('connection')).remotePort, localPort);
});

test('[shared-memory] two processes at two addresses of one port', limit, async (t) => {
  const stage = new Stage(t);
  const { server: first, port } = await serve(stage, { port: 0, host: '127.0.0.1' });
  const { server: second } = await serve(stage, { port, host: '127.0.0.2' });
  for (const [host, right, wrong] of [
    ['127.0.0.1', first, second],
    ['127.0.0.2', second, first],
  ] as const) {
    for (let i = 0; i < 3; i++) {
      const client = stage.start('echo-client', [JSON.stringify({ port, host })]);
      const echo = await client.next<Echo>('echo');
      assert.ok(echo.same);
      assert.deepEqual([echo.provider, echo.remoteAddress], ['shared-memory', host]);
      assert.equal((await right.next<Echo>('connection')).localAddress, host);
    }
    await assert.rejects(wrong.next('connection', 50));
  }
  // Where neither listens there is nobody.
  const client = stage.start('echo-client', [JSON.stringify({ port, host: '127.0.0.3' })], { require: false });
  assert.equal((await client.next<{ code: string }>('failed')).code, 'ECONNREFUSED');
});

test('[shared-memory] an exact address comes before a wildcard of another process', limit, async (t) => {
  const stage = new Stage(t);
  const { server: exact, port } = await serve(stage, { port: 0, host: '127.0.0.1' });
  // Linux refuses a wildcard over an exact address of the same family, but not one of the other.
  const { server: wildcard } = await serve(stage, { port, host: '::', ipv6Only: true });
  const client = stage.start('echo-client');
  client.tell({ kind: 'connect', options: { port, host: '127.0.0.1' } });
  assert.equal((await client.next<Echo>('echo')).provider, 'shared-memory');
  await exact.next('connection');
  client.tell({ kind: 'connect', options: { port, host: '::1' } });
  assert.equal((await client.next<Echo>('echo')).provider, 'shared-memory');
  await wildcard.next('connection');
  await assert.rejects(exact.next('connection', 50));
});

for (const [title, leave] of [
  ['killed', (owner: Program) => owner.kill()],
  ['stopped listening', (owner: Program) => owner.tell({ kind: 'close' })],
] as const) {
  test(
    `[shared-memory] a port whose owner was ${title} is served by its new owner, with or without Sockets Direct`,
    limit,
    async (t) => {
      const stage = new Stage(t);
      const client = stage.start('echo-client', [], { require: false });
      const connect = async (port: number): Promise<Echo> => {
        client.tell({ kind: 'connect', options: { port, host: '127.0.0.1' } });
        return await client.next<Echo>('echo', 2000);
      };
      const { server: first, port } = await serve(stage, { port: 0, host: '127.0.0.1' });
      // With another listener it stays alive, and so does the link.
      assert.equal((await connect(port)).provider, 'shared-memory');
      leave(first);
      if (title === 'killed') await first.ended();
      else await first.next('server closed');
      const { server: second } = await serve(stage, { port, host: '127.0.0.1' }, { preload: null });
      for (let i = 0; i < 3; i++) {
        const { provider, reason, same } = await connect(port);
        assert.ok(same);
        assert.equal(provider, 'tcpip');
        assert.match(String(reason), /^(no-listener|peer-gone)$/);
        await second.next('connection');
      }
      second.kill();
      await second.ended();
      const { server: third } = await serve(stage, { port, host: '127.0.0.1' });
      const { provider, same } = await connect(port);
      assert.ok(same);
      assert.equal(provider, 'shared-memory');
      await third.next('connection');
    },
  );
}
