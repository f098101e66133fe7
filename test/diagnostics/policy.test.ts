/** SOCKETS_DIRECT_POLICY and SOCKETS_DIRECT_DENY on real programs. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Stage, type StartOptions } from '../support/stage.js';

const limit = { timeout: 30_000 };

interface Outcome {
  listening: string | null;
  provider: string | null;
  reason: string | null;
}

/** One echoed connection; the options go to the side that they are for. What the policy leaves to a SAN has to use it. */
async function run(stage: Stage, server: StartOptions, client: StartOptions, host = '127.0.0.1'): Promise<Outcome> {
  const program = stage.start('echo-server', [], server);
  const { port, reason: listening } = await program.next<{ port: number; reason: string }>('listening');
  const env = Object.fromEntries(
    Object.entries(client.env ?? {}).map(([name, value]) => [name, value?.replace('PORT', String(port))]),
  );
  const connecting = stage.start('echo-client', [JSON.stringify({ port, host })], { ...client, env });
  const { provider, reason, same } = await connecting.next<Outcome & { same: boolean }>('echo');
  assert.ok(same);
  assert.equal((await connecting.ended()).code, 0);
  program.tell({ kind: 'close' });
  assert.equal((await program.ended()).code, 0, program.output);
  return { listening, provider, reason };
}

function deny(rules: string): StartOptions {
  return { env: { SOCKETS_DIRECT_DENY: rules } };
}

const carried = { listening: 'accelerated', provider: 'shared-memory', reason: 'accelerated' };
const denied = { listening: 'accelerated', provider: 'tcpip', reason: 'denied-by-policy' };

test('[shared-memory] the short form keeps a port or an address on TCP/IP, and nothing else', limit, async (t) => {
  const stage = new Stage(t);
  assert.deepEqual(await run(stage, {}, deny('port=PORT')), denied);
  assert.deepEqual(await run(stage, {}, deny('port=1; 127.0.0.0/8')), denied);
  assert.deepEqual(await run(stage, {}, deny('port=1; 10.0.0.0/8; role=listen')), carried);
});

test('[shared-memory] a listener that is denied is not there for anybody', limit, async (t) => {
  const stage = new Stage(t);
  assert.deepEqual(await run(stage, deny('role=listen'), { require: false }), {
    listening: 'denied-by-policy',
    provider: 'tcpip',
    reason: 'no-listener',
  });
  assert.deepEqual(stage.leftovers(), []);
});

test('[shared-memory] rules of a file go by program, and the first that fits decides', limit, async (t) => {
  const stage = new Stage(t);
  const file = join(stage.directory, 'sockets-direct.rules');
  writeFileSync(file, 'use program=echo-client.js address=127.0.0.1 # only this one\ntcp-only role=connect\n');
  const policy = { env: { SOCKETS_DIRECT_POLICY: file } };
  assert.deepEqual(await run(stage, policy, policy), carried);
  writeFileSync(file, 'tcp-only program=*/echo-cli*\n');
  assert.deepEqual(await run(stage, policy, policy), denied);
  // What is said on the command line comes before the file.
  writeFileSync(file, 'use\n');
  const both = { env: { ...policy.env, SOCKETS_DIRECT_DENY: 'role=connect' } };
  assert.deepEqual(await run(stage, policy, both), denied);
});

test('[shared-memory] SOCKETS_DIRECT_REQUIRE is about what the policy leaves to a SAN', limit, async (t) => {
  const stage = new Stage(t);
  const env = { SOCKETS_DIRECT_REQUIRE: 'shared-memory' };
  const server = stage.start('echo-server', [], { env: { ...env, SOCKETS_DIRECT_DENY: 'role=listen' } });
  const { port, reason: listening } = await server.next<{ port: number; reason: string }>('listening');
  assert.equal(listening, 'denied-by-policy', 'which is no failure');
  const args = [JSON.stringify({ port, host: '127.0.0.1' })];
  const allowed = stage.start('echo-client', args, { env: { ...env, SOCKETS_DIRECT_DENY: `port=${port}` } });
  assert.equal((await allowed.next<Outcome>('echo')).reason, 'denied-by-policy');
  const failing = await stage.start('echo-client', args, { env }).next<{ code: string; reason: string }>('failed');
  assert.deepEqual([failing.code, failing.reason], ['ENETUNREACH', 'no-listener']);
  // Rules that nobody can understand are a fault, and no wish for TCP/IP.
  const wrong = stage.start('echo-client', ['{"port":1,"host":"127.0.0.1"}'], deny('prot=1'));
  const { code, reason } = await wrong.next<{ code: string; reason: string }>('failed');
  assert.deepEqual([code, reason], ['ENETUNREACH', 'policy-invalid']);
});

for (const [title, rules, complaint] of [
  ['a rule that is wrong', 'use\ntcp-only port=http', /: .*rules, line 2: 'http' is no port or range of ports in /],
  ['a file that is not there', null, /: .*rules: ENOENT; every connection of this program stays on TCP\/IP/],
] as const) {
  test(`${title} is said once, and everything stays on TCP/IP`, limit, async (t) => {
    const stage = new Stage(t);
    const file = join(stage.directory, 'rules');
    if (rules !== null) writeFileSync(file, rules);
    const options = { require: false, env: { SOCKETS_DIRECT_POLICY: file } };
    const server = stage.start('echo-server', [], options);
    const { port, reason } = await server.next<{ port: number; reason: string }>('listening');
    assert.equal(reason, 'policy-invalid');
    const client = stage.start('echo-client', [JSON.stringify({ port, host: '127.0.0.1' }), 3], options);
    for (let i = 0; i < 3; i++) {
      const echo = await client.next<Outcome>('echo');
      assert.deepEqual([echo.provider, echo.reason], ['tcpip', 'policy-invalid']);
    }
    await client.ended();
    assert.match(client.output, complaint);
    assert.equal(client.output.match(/sockets-direct:/g)?.length, 1);
  });
}

test('a pipe in place of a rule file does not hold the program up', limit, async (t) => {
  const stage = new Stage(t);
  const file = join(stage.directory, 'pipe');
  execFileSync('mkfifo', [file]);
  const server = stage.start('echo-server', [], { require: false, env: { SOCKETS_DIRECT_POLICY: file } });
  assert.equal((await server.next<{ reason: string }>('listening')).reason, 'policy-invalid');
});
