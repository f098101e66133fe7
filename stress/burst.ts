/** Many connects in one turn to a server whose loop is blocked just then. */

import assert from 'node:assert/strict';
import { modules } from '../test/support/preload.js';
import type { Stage } from '../test/support/stage.js';
import { plans } from './account.js';
import { accountOf, setPlan, sideProgram, within } from './accounts.js';

export interface BurstResult {
  /** Connections by provider. */
  readonly ways: Readonly<Record<string, number>>;
  readonly milliseconds: number;
}

/** Time in milliseconds for which the server is blocked, and bound on the whole. */
const blocked = 30;
const bound = 60_000;

/** Every connection is served in both directions, and both ends agree who carries it. */
export async function burst(stage: Stage, count: number): Promise<BurstResult> {
  const acceptor = stage.start(sideProgram, ['acceptor', 'greet'], { preload: modules, require: false });
  const connector = stage.start(sideProgram, ['connector', 'greet'], { preload: modules, require: false });
  const { port } = await acceptor.next<{ port: number }>('listening');
  await connector.next('ready');
  await setPlan(connector, 'greet');
  const from = performance.now();
  acceptor.tell({ kind: 'block', milliseconds: blocked });
  await acceptor.next('blocking');
  connector.tell({ kind: 'connect', port, count });
  const carriers: Map<number, string | null>[] = [];
  for (const side of [connector, acceptor]) {
    const { opened, ended, failed } = await within(
      bound,
      () => accountOf(side),
      ({ ended, failed }) => ended.length + failed.length >= count,
      'not all are served',
    );
    assert.deepEqual(failed, []);
    assert.equal(opened.length, count);
    for (const { how, bytes, correct } of ended) {
      assert.deepEqual({ how, bytes, correct }, { how: 'end', bytes: plans.greet.bytes, correct: true });
    }
    carriers.push(new Map(opened.map(({ port, provider }) => [port, provider])));
  }
  const milliseconds = performance.now() - from;
  assert.equal(carriers[0].size, count, 'every connection has a port of its own');
  assert.deepEqual(carriers[1], carriers[0], 'both ends agree who carries which connection');
  const ways: Record<string, number> = {};
  for (const provider of carriers[0].values()) ways[`${provider}`] = (ways[`${provider}`] ?? 0) + 1;
  return { ways, milliseconds };
}
