/** A peer that is linked as any other and then writes whatever it likes into what both share. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { resourcesOf, Stage, until } from '../support/stage.js';

/** Milliseconds for which a loop that shares two processors with the attack may stand still. */
const standstill = 500;

test('WSD-MEM-31 [shared-memory] a hostile peer ends its own links and nothing else', {
  timeout: 60_000,
}, async (t) => {
  const stage = new Stage(t);
  const victim = stage.start('echo-server');
  const { port } = await victim.next<{ port: number }>('listening');
  const honest = stage.start('pinger', [port]);
  assert.equal((await honest.next<{ provider: string }>('pinging')).provider, 'shared-memory');
  await victim.next('connection');
  const before = resourcesOf(victim.pid);
  victim.tell({ kind: 'watch' });
  await victim.next('watched');
  let rounds = 0;
  let ended = 0;
  for (const seed of [1, 20_021, 777_777]) {
    const attacker = stage.start('hostile', ['dial', port, seed, 1000], { preload: null });
    const attacked = await attacker.next<{ rounds: number; ended: number }>('attacked');
    rounds += attacked.rounds;
    ended += attacked.ended;
    assert.equal(victim.exit, null, victim.output);
  }
  victim.tell({ kind: 'watch' });
  const { longest } = await victim.next<{ longest: number }>('watched');
  honest.tell({ kind: 'stop' });
  const pinged = await honest.next<{ rounds: number; longest: number }>('pinged');
  t.diagnostic(
    `${rounds} links, ${ended} ended by the victim; loop stood still for ${longest.toFixed(0)} ms at most; ${pinged.rounds} honest rounds, the longest ${pinged.longest.toFixed(0)} ms`,
  );
  assert.ok(rounds > 50, `${rounds} rounds`);
  assert.ok(ended > 10, `${ended} links were ended by the victim`);
  assert.ok(pinged.rounds > 100, `${pinged.rounds} honest rounds`);
  assert.ok(longest < standstill, `${longest} ms`);
  await until(
    () => resourcesOf(victim.pid).descriptors <= before.descriptors,
    'the descriptors of hostile links are closed',
  );
  // Newcomers are served as well.
  const late = stage.start('echo-client', [JSON.stringify({ port, host: '127.0.0.1' })]);
  const echo = await late.next<{ provider: string; same: boolean }>('echo');
  assert.ok(echo.same);
  assert.equal(echo.provider, 'shared-memory');
  assert.equal(victim.output, '');
});

test('[shared-memory] a hostile server harms no client', { timeout: 60_000 }, async (t) => {
  const stage = new Stage(t);
  const server = stage.start('echo-server');
  const { port } = await server.next<{ port: number }>('listening');
  // Nobody listens there by TCP/IP.
  const lure = 1;
  const attacker = stage.start('hostile', ['listen', lure, 4711, 2500], { preload: null });
  await attacker.next('listening');
  const victim = stage.start('pinger', [port, lure], { require: false });
  assert.equal((await victim.next<{ provider: string }>('pinging')).provider, 'shared-memory');
  const { rounds, ended } = await attacker.next<{ rounds: number; ended: number }>('attacked');
  victim.tell({ kind: 'stop' });
  const pinged = await victim.next<{ rounds: number; standstill: number; ways: Record<string, number> }>('pinged');
  t.diagnostic(`${rounds} links, ${ended} ended by the victim; ${JSON.stringify(pinged)}`);
  assert.ok(rounds > 20, `${rounds} rounds`);
  assert.ok(ended > 10, `${ended} links were ended by the victim`);
  assert.ok(pinged.ways['connected by shared-memory'] > 0, 'some connections came about');
  assert.ok(pinged.rounds > 100, `${pinged.rounds} honest rounds`);
  assert.ok(pinged.standstill < standstill, `${pinged.standstill} ms`);
  assert.equal((await victim.ended()).code, 0, victim.output);
  assert.equal(victim.output, '');
});
