/** Where HTTP/2 over a SAN is not what it is on stock Node.js (docs/compatibility.md). When one of them fails, its row is to go. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Stage } from '../support/stage.js';

const program = new URL('programs/http2-differences.js', import.meta.url);

interface Told {
  readonly provider: string | null;
  readonly events: readonly string[];
  readonly message?: string;
  readonly others?: readonly string[];
}

async function run(t: TestContext, scenario: 'throws' | 'tls', stock: boolean): Promise<Told> {
  const stage = new Stage(t);
  const options = stock ? { preload: null } : {};
  const server = stage.start(program, ['server'], options);
  const [plain, secure] = [
    await server.next<{ port: number }>('listening'),
    await server.next<{ port: number }>('listening'),
  ];
  const { port } = scenario === 'tls' ? secure : plain;
  const told = await stage.start(program, ['client', scenario, port], options).next<Told>('told');
  assert.equal(told.provider, stock ? null : 'shared-memory');
  return told;
}

/** Newer ones close a stream in whose callback something was thrown. */
const isOldest = process.versions.node.startsWith('20.');
const whole = ['response', 'data', 'end', 'close'];

test("[shared-memory] a stream whose 'data' listener throws emits no 'end' and no 'close' on Node.js 20; others go on", async (t) => {
  const [stock, direct] = await Promise.all([run(t, 'throws', true), run(t, 'throws', false)]);
  for (const { message, others } of [stock, direct]) assert.deepEqual([message, others], ['thrown on purpose', whole]);
  assert.deepEqual(stock.events, whole);
  assert.deepEqual(direct.events, isOldest ? ['response', 'data'] : whole);
});

test('[shared-memory] over TLS that offers h2 on a connected socket data comes before its headers, which it never does on stock', async (t) => {
  const [stock, direct] = await Promise.all([run(t, 'tls', true), run(t, 'tls', false)]);
  assert.deepEqual(stock.events, whole);
  assert.deepEqual(direct.events, ['data', 'response', 'end', 'close']);
});
