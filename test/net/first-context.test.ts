/** What starts at the first use is the package's: it does not live in the context of whoever came first, nor keep it alive. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Stage } from '../support/stage.js';

interface Told {
  readonly provider: string | null;
  readonly seen: readonly string[];
  readonly collected: boolean;
}

const program = new URL('programs/first-context.js', import.meta.url);

for (const scenario of ['connect', 'listen']) {
  test(`[shared-memory] an AsyncLocalStorage around the first ${scenario} is seen by nobody later, and its store is collected`, async (t) => {
    const stage = new Stage(t);
    const run = async (preload: { preload?: null }): Promise<Told> => {
      const server = stage.start('echo-server', [], preload);
      const { port } = await server.next<{ port: number }>('listening');
      const flags = ['--expose-gc'];
      const { provider, seen, collected } = await stage
        .start(program, [scenario, port], { ...preload, flags })
        .next<Told>('told');
      return { provider, seen, collected };
    };
    assert.deepEqual(await run({ preload: null }), { provider: null, seen: [], collected: true });
    assert.deepEqual(await run({}), { provider: 'shared-memory', seen: [], collected: true });
  });
}
