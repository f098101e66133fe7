/** Other realms, threads and ends of a process: the same as on stock Node.js. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Stage } from '../support/stage.js';

const program = new URL('./programs/contexts.js', import.meta.url);

interface Outcome {
  log: string[];
  code: number | null;
  signal: string | null;
  /** What Node.js says of it, without what differs from run to run. */
  said: string[];
}

async function run(t: TestContext, scenario: string, stock: boolean, flags: string[]): Promise<Outcome> {
  const stage = new Stage(t);
  const options = stock ? { preload: null } : { require: scenario !== 'transferServer' };
  const server = stage.start('echo-server', [], options);
  const { port } = await server.next<{ port: number }>('listening');
  const started = stage.start(program, [scenario, port], { ...options, flags });
  const { provider } = await started.next<{ provider: string | null }>('carried');
  if (scenario === 'unixSocket') assert.equal(provider, null);
  else if (scenario !== 'transferServer') assert.equal(provider, stock ? null : 'shared-memory');
  const { log } = await started.next<{ log: string[] }>('log');
  const { code, signal } = await started.ended();
  const said = started.output.split('\n').filter((line) => /^(Error|Debugger|[A-Z]\w*Error)/.test(line));
  return { log, code, signal, said: said.map((line) => line.replace(/ws:.*/, 'ws:')) };
}

const scenarios: Record<string, string[]> = {
  vmContext: [],
  vmServer: [],
  transfer: [],
  transferServer: [],
  unixSocket: [],
  uncaught: [],
  abort: [],
  inspector: ['--inspect-port=0'],
};

for (const [scenario, flags] of Object.entries(scenarios)) {
  test(`[shared-memory] ${scenario}`, { timeout: 60_000 }, async (t) => {
    const stock = await run(t, scenario, true, flags);
    assert.deepEqual(await run(t, scenario, false, flags), stock);
    if (scenario === 'uncaught') assert.deepEqual(stock.said, ['Error: thrown on purpose']);
    if (scenario === 'inspector') assert.match(stock.said[0] ?? '', /^Debugger listening/);
    if (scenario === 'abort') assert.equal(stock.signal, 'SIGABRT');
  });
}

test('[shared-memory] spawnSync refuses a socket, where stock Node.js aborts', { timeout: 60_000 }, async (t) => {
  assert.deepEqual((await run(t, 'spawnSync', false, [])).log, ['ERR_INVALID_ARG_VALUE']);
});
