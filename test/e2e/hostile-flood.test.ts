/** A peer that asks, withdraws and closes as fast as it can: others still get their connections. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { modules } from '../support/preload.js';
import { Stage } from '../support/stage.js';

/** Milliseconds for which the flood lasts, and in which an honest client has to be served. */
const duration = 2000;

test('[shared-memory] a flood of requests, withdrawals and closes keeps nobody else from connecting', {
  timeout: 60_000,
}, async (t) => {
  const stage = new Stage(t);
  const server = stage.start('echo-server');
  const { port: otherPort } = await server.next<{ port: number }>('listening');
  const victim = stage.start('hostile-victim', [otherPort], { preload: modules, flags: ['--expose-gc'] });
  const { port } = await victim.next<{ port: number }>('listening');
  const client = stage.start('echo-client');
  const options = { port, host: '127.0.0.1' };
  const connect = async (): Promise<number> => {
    const from = performance.now();
    client.tell({ kind: 'connect', options });
    const echo = await client.next<{ same: boolean; provider: string }>('echo');
    assert.deepEqual([echo.same, echo.provider], [true, 'shared-memory']);
    return performance.now() - from;
  };
  await connect();
  victim.tell({ kind: 'look' });
  const was = await victim.next<{ memory: number }>('looked');
  const attacker = stage.start('hostile-flood', [port, duration], { preload: null });
  await attacker.next('flooding');
  const end = performance.now() + duration;
  const times: number[] = [];
  while (performance.now() < end - 200 || times.length === 0) times.push(await connect());
  const flood = await attacker.next<{
    requests: number;
    withdrawn: number;
    closes: number;
    ended: boolean;
    faults: string[];
  }>('flooded');
  victim.tell({ kind: 'look' });
  const is = await victim.next<{ memory: number; longest: number; correct: boolean }>('looked');
  const longest = Math.max(...times);
  t.diagnostic(
    `${JSON.stringify(flood)}; ${times.length} honest connects, the longest ${longest.toFixed(0)} ms; the loop stood still for ${is.longest.toFixed(0)} ms, ${is.memory - was.memory} bytes more`,
  );
  assert.deepEqual([flood.faults, flood.ended], [[], false], 'what is only much is no violation');
  assert.ok(flood.requests > 1000 && flood.closes > 1000);
  assert.ok(longest < duration, `${longest} ms`);
  assert.ok(is.correct);
  assert.ok(is.memory < was.memory + (400 << 20), `${is.memory} bytes after ${was.memory}`);
  assert.equal(victim.output, '');
});
