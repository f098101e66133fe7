/**
 * A peer that spoils every field there is, in a process of its own, and a victim in another that lives, counts why it has
 * ended something, and serves the others meanwhile. SOCKETS_DIRECT_TEST_RUNS multiplies the cases.
 */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { modules } from '../support/preload.js';
import { type Program, resourcesOf, Stage, until } from '../support/stage.js';
import { inventory, keyOf } from './programs/hostile-fields.js';

const seed = Number(process.env.SOCKETS_DIRECT_TEST_SEED ?? 20_260);
const factor = Math.max(1, Number(process.env.SOCKETS_DIRECT_TEST_RUNS ?? 1));
const limit = 220_000 * factor;
/** Share of the ends that the attacker takes for something else, because a link ends at the same time. */
const unseen = 0.005;
const again = `SOCKETS_DIRECT_TEST_SEED=${seed} node --test build/test/e2e/hostile-fuzz.test.js`;

/** Milliseconds for which a loop may stand still that shares two processors with the attack and with other tests. */
const standstill = 1500;
/** Bytes by which a victim may have grown: pools of buffers, and mappings that the garbage collector has not found. */
const growthMax = 200 << 20;

/** Milliseconds after which a negotiation has been given up (WSD-NEG-16), with some to spare. */
const negotiationMax = 17_000;

interface Looked {
  pings: number;
  correct: boolean;
  longest: number;
  memory: number;
  reasons: Readonly<Record<string, number>>;
  ways: Readonly<Record<string, number>>;
  longestAttempt: number;
  connections: number;
}

interface Attacked {
  total: number;
  flipped: number;
  cases: Readonly<Record<string, number>>;
  links: number;
  ended: number;
  closed: Readonly<Record<'violation' | 'reset' | 'orderly' | 'unclear', number>>;
  faults: readonly string[];
  milliseconds: number;
}

async function look(victim: Program): Promise<Looked> {
  victim.tell({ kind: 'look' });
  return victim.next<Looked>('looked');
}

/** Starts an honest echo server, for the victim to be its client. */
async function honestPort(stage: Stage): Promise<number> {
  return (await stage.start('echo-server').next<{ port: number }>('listening')).port;
}

const collecting = { flags: ['--expose-gc'] };
const attacking = { ...collecting, preload: null };

function tell(t: TestContext, attacked: Attacked, looked: Looked): void {
  const { total, flipped, links, ended, closed, milliseconds } = attacked;
  t.diagnostic(
    `${total} cases in ${(milliseconds / 1000).toFixed(1)} s, ${flipped} of them changing under the eyes; ${links} links, ${ended} ended by the victim; connections ${JSON.stringify(closed)}`,
  );
  t.diagnostic(
    `counted ${JSON.stringify(looked.reasons)}; ${looked.pings} pings, ${looked.longest.toFixed(0)} ms still`,
  );
}

/** What holds for every victim. */
async function assertUnharmed(
  victim: Program,
  before: { descriptors: number; arenas: number },
  [was, is]: readonly [Looked, Looked],
): Promise<void> {
  assert.equal(victim.exit, null, victim.output);
  assert.ok(is.correct && is.pings > was.pings + 100, `${is.pings - was.pings} pings`);
  assert.ok(is.longest < standstill, `the loop stood still for ${is.longest} ms`);
  await until(async () => {
    await look(victim);
    const now = resourcesOf(victim.pid);
    return now.descriptors <= before.descriptors && now.arenas <= before.arenas;
  }, 'descriptors and mappings are what they were');
  const { memory } = await look(victim);
  assert.ok(memory < was.memory + growthMax, `${memory} bytes after ${was.memory}`);
  assert.equal(victim.output, '');
}

test('[shared-memory] WSD-MEM-31 a server outlives 100,000 wrong fields, and counts what it has ended', {
  timeout: limit,
}, async (t) => {
  const stage = new Stage(t);
  const victim = stage.start('hostile-victim', [await honestPort(stage)], { ...collecting, preload: modules });
  const { port } = await victim.next<{ port: number }>('listening');
  const honest = stage.start('pinger', [port]);
  assert.equal((await honest.next<{ provider: string }>('pinging')).provider, 'shared-memory');
  const was = await look(victim);
  const before = resourcesOf(victim.pid);
  const attacker = stage.start('hostile-fuzz', ['dial', port, seed, 100_000 * factor], attacking);
  const attacked = await attacker.next<Attacked>('attacked', limit);
  const is = await look(victim);
  tell(t, attacked, is);
  assert.deepEqual(attacked.faults, [], again);
  assert.ok(attacked.total >= 100_000 * factor);
  assert.ok(attacked.flipped > attacked.total / 20, 'values changed while the victim looked');
  for (const field of inventory) {
    // Two are only for those who are dialled.
    if (field.unread !== undefined || field.structure === 'handshake' || field.name === 'peerRequests') continue;
    assert.ok((attacked.cases[keyOf(field)] ?? 0) > 0, `no case of ${keyOf(field)}; ${again}`);
  }
  assert.equal(is.reasons['link-violation'], attacked.ended, again);
  const { violation, unclear } = attacked.closed;
  const counted = is.reasons['peer-protocol'] ?? 0;
  assert.ok(
    counted >= violation && counted <= violation + unclear + violation * unseen,
    `${counted} of ${violation} to ${violation + unclear}; ${again}`,
  );
  assert.ok(unclear < violation / 100, `${unclear} unclear`);
  honest.tell({ kind: 'stop' });
  const pinged = await honest.next<{ rounds: number; longest: number }>('pinged');
  assert.ok(pinged.rounds > 100, `${pinged.rounds} honest rounds`);
  assert.equal(honest.output, '');
  await assertUnharmed(victim, before, [was, is]);
});

test('[shared-memory] a client outlives a server that spoils every field, and none of its connects hangs', {
  timeout: limit,
}, async (t) => {
  const stage = new Stage(t);
  const otherPort = await honestPort(stage);
  // Nobody listens there by TCP/IP.
  const lure = 1;
  const attacker = stage.start('hostile-fuzz', ['listen', lure, seed, 4000 * factor], attacking);
  await attacker.next('listening');
  const victim = stage.start('hostile-client', [otherPort, lure], { preload: modules, ...collecting, require: false });
  await victim.next('connecting');
  const was = await look(victim);
  const attacked = await attacker.next<Attacked>('attacked', limit);
  victim.tell({ kind: 'stop' });
  await victim.next('stopped');
  const is = await look(victim);
  tell(t, attacked, is);
  t.diagnostic(`${JSON.stringify(is.ways)}; the longest attempt took ${is.longestAttempt.toFixed(0)} ms`);
  assert.deepEqual(attacked.faults, [], again);
  assert.ok((attacked.cases['arena.peerRequests'] ?? 0) > 0, `no requests without an answer; ${again}`);
  assert.equal(is.reasons['link-violation'], attacked.ended, again);
  // A close instead of an answer makes a connect fall back, for the same reason.
  const counted = (is.reasons['peer-protocol'] ?? 0) - (is.ways['closed, peer-protocol'] ?? 0);
  const { violation, unclear } = attacked.closed;
  assert.ok(
    counted >= violation && counted <= violation + unclear + violation * unseen,
    `${counted} of ${violation} to ${violation + unclear}; ${again}`,
  );
  assert.ok((is.ways.connected ?? 0) > 100, 'many connects came about');
  // A server that says it moves, and goes, is waited for as long as a negotiation may take; nothing takes longer.
  assert.ok(is.longestAttempt < negotiationMax, `${is.longestAttempt} ms`);
  await assertUnharmed(victim, { descriptors: resourcesOf(victim.pid).descriptors, arenas: 1 }, [was, is]);
});
