/** Sockets that a program gives to another process: what the three of them see is what they see on stock Node.js. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Stage } from '../support/stage.js';

interface Seen {
  owner: string[];
  child: string[] | undefined;
  client: string[];
}

const program = new URL('./programs/passing.js', import.meta.url);

async function run(t: TestContext, scenario: string, stock: boolean): Promise<Seen> {
  const stage = new Stage(t);
  const options = stock ? { preload: null } : {};
  const owner = stage.start(program, ['owner', scenario], options);
  const { port } = await owner.next<{ port: number }>('listening');
  const client = stage.start(program, ['client', scenario, port], options);
  const { provider } = await client.next<{ provider: string | null }>('connected');
  assert.equal(provider, stock ? null : 'shared-memory');
  const child = scenario === 'dies' ? undefined : (await owner.next<{ log: string[] }>('childLog')).log;
  const said = await owner.next<{ log: string[]; provider: string | null }>('log');
  assert.equal(said.provider, stock ? null : 'shared-memory');
  const seen = { owner: said.log, child, client: (await client.next<{ log: string[] }>('log')).log };
  // Nothing is left that keeps one of them running.
  assert.equal((await owner.ended()).code, 0);
  assert.equal((await client.ended()).code, 0);
  return seen;
}

const scenarios = ['echo', 'bulk', 'resets', 'isReset', 'halfClose', 'destroys', 'dies'];

for (const scenario of scenarios) {
  test(`[shared-memory] child.send(message, socket): ${scenario}`, { timeout: 60_000 }, async (t) => {
    const stock = await run(t, scenario, true);
    assert.deepEqual(await run(t, scenario, false), stock);
  });
}
