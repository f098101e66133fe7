/** Flags of Node.js that look into a program while connections are carried by shared memory. */

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Stage } from '../support/stage.js';

interface Profile {
  nodes: { callFrame: { functionName: string; url: string } }[];
}

test('--cpu-prof writes a profile that names the handler of the program', { timeout: 60_000 }, async (t) => {
  const stage = new Stage(t);
  const server = stage.start('echo-server');
  const { port } = await server.next<{ port: number }>('listening');
  const flags = ['--cpu-prof', '--cpu-prof-interval=100', `--cpu-prof-dir=${stage.directory}`];
  const client = stage.start('echo-client', [JSON.stringify({ port, host: '127.0.0.1' }), 50], { flags });
  await client.next('done');
  for (let i = 0; i < 50; i++) {
    const { provider, same } = await client.next<{ provider: string; same: boolean }>('echo');
    assert.deepEqual({ provider, same }, { provider: 'shared-memory', same: true });
  }
  assert.equal((await client.ended()).code, 0);
  const [file] = readdirSync(stage.directory).filter((name) => name.endsWith('.cpuprofile'));
  const { nodes } = JSON.parse(readFileSync(join(stage.directory, file), 'utf8')) as Profile;
  const ownFunctions = nodes.filter(({ callFrame }) => callFrame.url.endsWith('/echo-client.js'));
  assert.ok(ownFunctions.some(({ callFrame }) => callFrame.functionName === 'one'));
});
