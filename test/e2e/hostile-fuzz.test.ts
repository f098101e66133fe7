/** A peer that spoils every field there is, and a victim that lives, counts, and serves the others. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { resourcesOf, Stage, until } from '../support/stage.js';

const seed = Number(process.env.SOCKETS_DIRECT_TEST_SEED ?? 20_260);
const factor = Math.max(1, Number(process.env.SOCKETS_DIRECT_TEST_RUNS ?? 1));

interface Looked {
  served: number;
  connections: number;
  pings: number;
  correct: boolean;
  longest: number;
  memory: number;
  reasons: Readonly<Record<string, number>>;
}

interface Attacked {
  total: number;
  flipped: number;
  cases: Readonly<Record<string, number>>;
  links: number;
  ended: number;
  closed: Readonly<Record<'violation' | 'reset' | 'orderly', number>>;
  faults: readonly string[];
  milliseconds: number;
}

test('fuzz', { timeout: 60_000 * factor }, async (t) => {
  const stage = new Stage(t);
  const server = stage.start('echo-server');
  const { port: otherPort } = await server.next<{ port: number }>('listening');
  const victim = stage.start('hostile-victim', [otherPort], { flags: ['--expose-gc'] });
  const { port } = await victim.next<{ port: number }>('listening');
  const attacker = stage.start('hostile-fuzz', ['dial', port, seed, 100_000 * factor], {
    preload: null,
    flags: ['--expose-gc'],
  });
  const attacked = await attacker.next<Attacked>('attacked', 60_000 * factor);
  victim.tell({ kind: 'look' });
  const looked = await victim.next<Looked>('looked');
  console.log(attacked, looked, resourcesOf(victim.pid), victim.output);
  await until(() => true, '');
  assert.deepEqual(attacked.faults, []);
});
