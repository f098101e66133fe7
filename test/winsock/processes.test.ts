/** The packaged Winsock face between processes, with peers of its own kind and plain programs of node:net. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { CF_ACCEPT, CF_DEFER, CF_REJECT } from '../../src/spi/index.js';
import { repositoryRoot } from '../../tools/source/files.js';
import { type Program, Stage } from '../support/stage.js';

const limit = { timeout: 30_000 };
const bytes = 3_000_001;
/** The Winsock face needs no preload; here a fallback is an error. */
const plain = { preload: null, require: true } as const;

async function listening(program: Program): Promise<number> {
  const { port, reason } = await program.next<{ port: number; reason: string }>('listening');
  assert.equal(reason, 'accelerated');
  return port;
}

for (const provider of ['shared-memory', 'tcpip'] as const) {
  test(
    `WSD-COMP-2: two programs on the Winsock face, which do not see who carries them [${provider}]`,
    limit,
    async (t) => {
      const stage = new Stage(t);
      const options = provider === 'tcpip' ? { preload: null, env: { SOCKETS_DIRECT: 'off' } } : plain;
      const server = stage.start('winsock-server', [`[${CF_ACCEPT}]`], options);
      const { port } = await server.next<{ port: number }>('listening');
      const client = stage.start('winsock-client', [port, bytes], options);
      assert.deepEqual(await client.next('echo'), { kind: 'echo', provider, bytes, correct: true });
      assert.equal((await server.next<{ provider: string }>('accepted')).provider, provider);
      // Both end by themselves: neither what is closed nor a listening socket that nobody accepts from holds them.
      assert.equal((await client.ended()).code, 0);
      await server.next('closed');
      assert.equal((await server.ended()).code, 0);
    },
  );
}

test('programs with the preload may use the Winsock face as well', limit, async (t) => {
  const stage = new Stage(t);
  const server = stage.start('winsock-server', [`[${CF_ACCEPT}]`]);
  const port = await listening(server);
  const client = stage.start('winsock-client', [port, bytes]);
  assert.deepEqual(await client.next('echo'), { kind: 'echo', provider: 'shared-memory', bytes, correct: true });
  assert.equal((await client.ended()).code, 0);
  assert.equal((await server.ended()).code, 0);
});

test('plain programs of node:net at the other end, either way', limit, async (t) => {
  const stage = new Stage(t);
  const server = stage.start('winsock-server', [`[${CF_ACCEPT}]`], plain);
  const port = await listening(server);
  const client = stage.start('echo-client', [JSON.stringify({ port, host: '127.0.0.1' })]);
  const echo = await client.next<{ provider: string; same: boolean }>('echo');
  assert.deepEqual([echo.provider, echo.same], ['shared-memory', true]);

  const netServer = stage.start('echo-server');
  const netPort = await listening(netServer);
  const winsock = stage.start('winsock-client', [netPort, bytes], plain);
  assert.deepEqual(await winsock.next('echo'), { kind: 'echo', provider: 'shared-memory', bytes, correct: true });
});

for (const provider of ['shared-memory', 'tcpip'] as const) {
  test(`WSD-OOB-7: a program of node:net gets the data without the urgent byte [${provider}]`, limit, async (t) => {
    const stage = new Stage(t);
    const off = { env: { SOCKETS_DIRECT: 'off' }, preload: null, require: false };
    const server = stage.start('echo-server', [], provider === 'tcpip' ? off : {});
    const { port } = await server.next<{ port: number }>('listening');
    const client = stage.start('winsock-urgent', [port], provider === 'tcpip' ? off : plain);
    assert.deepEqual(await client.next('echo'), { kind: 'echo', provider, text: 'beforeabafter' });
  });
}

test(
  'WSD-ACC-19: an unmodified program sees the verdict of a condition as ECONNREFUSED [shared-memory]',
  limit,
  async (t) => {
    const stage = new Stage(t);
    const server = stage.start('winsock-server', [`[${CF_REJECT},${CF_DEFER},${CF_ACCEPT}]`, 'conditional'], plain);
    const port = await listening(server);
    const args = [JSON.stringify({ port, host: '127.0.0.1' })];
    const refused = await stage.start('echo-client', args).next<{ code: string; reason: string }>('failed');
    assert.deepEqual([refused.code, refused.reason], ['ECONNREFUSED', 'refused']);
    assert.equal((await server.next<{ code: string }>('not accepted')).code, 'WSAECONNREFUSED');
    const echo = await stage.start('echo-client', args).next<{ provider: string }>('echo');
    assert.equal(echo.provider, 'shared-memory');
    assert.equal((await server.next<{ code: string }>('not accepted')).code, 'WSATRY_AGAIN');
    assert.equal((await server.next<{ provider: string }>('accepted')).provider, 'shared-memory');
  },
);

test(
  'WSD-SOC-19: a peer that is killed is an error or an end, and no other provider takes over [shared-memory]',
  limit,
  async (t) => {
    const stage = new Stage(t);
    for (let attempt = 1; ; attempt++) {
      const server = stage.start('winsock-server', [`[${CF_ACCEPT}]`], plain);
      const port = await listening(server);
      // So many bytes that it cannot be done when the server dies. TCP/IP is allowed, and there if the host is too busy.
      const client = stage.start('winsock-client', [port, 1_000_000_000], { preload: null, require: false });
      const { provider } = await server.next<{ provider: string }>('accepted');
      server.kill();
      const { code } = await client.next<{ code: string }>('failed');
      assert.ok(['WSAECONNRESET', 'WSAECONNABORTED'].includes(code), code);
      assert.equal((await client.ended()).code, 0);
      if (provider === 'shared-memory') return;
      assert.ok(attempt < 3, 'three times by TCP/IP');
    }
  },
);

test('the examples of the documentation do what the documentation says', limit, async (t) => {
  const root = repositoryRoot();
  const page = readFileSync(join(root, 'docs/winsock2.md'), 'utf8');
  const examples = [...page.matchAll(/```js\n(.*?)```\n\nIt prints\n\n```\n(.*?)```/gs)];
  assert.equal(examples.length, [...page.matchAll(/```js\n/g)].length, 'every example says what it prints');
  const stage = new Stage(t);
  for (const [, program, printed] of examples) {
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program!], {
      cwd: root,
      env: { ...process.env, SOCKETS_DIRECT_DIR: stage.rendezvous, SOCKETS_DIRECT_REQUIRE: 'shared-memory' },
    });
    assert.equal(stdout, printed);
  }
});
