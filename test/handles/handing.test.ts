/** Ways to hand a socket over, each on stock Node.js and over shared memory. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Stage } from '../support/stage.js';

const program = new URL('./programs/handing.js', import.meta.url);

async function run(t: TestContext, way: string, stock: boolean): Promise<string[]> {
  const stage = new Stage(t);
  const options = stock ? { preload: null } : {};
  const server = stage.start('echo-server', [], options);
  const { port } = await server.next<{ port: number }>('listening');
  // A socket that still connects goes to TCP/IP with its descriptor.
  const owner = stage.start(program, ['owner', way, port], { ...options, require: !stock && way !== 'connecting' });
  const { log, provider } = await owner.next<{ log: string[]; provider: string | null }>('log');
  if (way !== 'connecting') assert.equal(provider, stock ? null : 'shared-memory');
  assert.equal((await owner.ended()).code, 0);
  return log;
}

const ways = ['client', 'advanced', 'connecting', 'toParent', 'several', 'keepOpen', 'raw'];

for (const way of ways) {
  test(`[shared-memory] hands a socket over: ${way}`, { timeout: 120_000 }, async (t) => {
    const stock = await run(t, way, true);
    assert.ok(stock.length > 0);
    assert.deepEqual(await run(t, way, false), stock);
  });
}
