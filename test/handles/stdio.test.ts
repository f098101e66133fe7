/** A socket as standard input and output of a program that is not Node.js. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Stage } from '../support/stage.js';

interface Said {
  log: string[];
  provider: string | null;
}

const program = new URL('./programs/stdio.js', import.meta.url);

async function run(t: TestContext, what: string, stock: boolean): Promise<string[][]> {
  const stage = new Stage(t);
  const options = stock ? { preload: null } : {};
  const server = stage.start(program, ['server', what], options);
  const { port } = await server.next<{ port: number }>('listening');
  const client = stage.start(program, ['client', port, what], options);
  const said = [await client.next<Said>('log'), await server.next<Said>('log')];
  const carried = stock ? null : 'shared-memory';
  assert.deepEqual([said[0]!.provider, said[1]!.provider], [carried, carried]);
  for (const { ended } of [server, client].map((one) => ({ ended: one.ended() }))) assert.equal((await ended).code, 0);
  return said.map(({ log }) => log);
}

const expected: Record<string, string[]> = {
  cat: ['end', '4194304 bytes, as sent'],
  line: ['end', 'got hello\n'],
  quiet: ['end', 'done\n'],
};

for (const [what, seen] of Object.entries(expected)) {
  test(`[shared-memory] spawn with stdio: [socket, socket]: ${what}`, { timeout: 60_000 }, async (t) => {
    const stock = await run(t, what, true);
    const direct = await run(t, what, false);
    assert.deepEqual(direct, stock);
    assert.deepEqual(direct[0], seen);
  });
}
