/** Peers that are correct up to one step: what is ended for it, and what is not, and that it is counted once. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { modules } from '../support/preload.js';
import { resourcesOf, Stage, until } from '../support/stage.js';
import { fieldsOf, keyOf } from './programs/hostile-fields.js';

interface Outcome {
  name: string;
  expected: string;
  outcome: string;
  closed: number;
  faults: readonly string[];
}

interface Looked {
  correct: boolean;
  reasons: Readonly<Record<string, number>>;
  ways: Readonly<Record<string, number>>;
  longestAttempt: number;
}

test('[shared-memory] one wrong step ends the connection or the link that it concerns, and is counted once', {
  timeout: 60_000,
}, async (t) => {
  const stage = new Stage(t);
  const server = stage.start('echo-server');
  const { port: otherPort } = await server.next<{ port: number }>('listening');
  const victim = stage.start('hostile-victim', [otherPort], { preload: modules });
  const { port } = await victim.next<{ port: number }>('listening');
  const attacker = stage.start('hostile-sequences', ['dial', port], { preload: null });
  const { outcomes } = await attacker.next<{ outcomes: Outcome[] }>('done', 50_000);
  for (const { name, expected, outcome, faults } of outcomes) {
    assert.deepEqual(faults, [], name);
    assert.equal(outcome, expected, name);
  }
  assert.ok(outcomes.length > 20, `${outcomes.length} sequences`);
  victim.tell({ kind: 'look' });
  const { reasons, correct } = await victim.next<Looked>('looked');
  assert.ok(correct);
  assert.equal(reasons['link-violation'], outcomes.filter(({ outcome }) => outcome === 'link').length);
  assert.equal(
    reasons['peer-protocol'],
    outcomes.reduce((sum, { closed }) => sum + closed, 0),
  );
  assert.equal(victim.output, '');
});

test('[shared-memory] a connect ends soon, whatever answer a server gives', { timeout: 60_000 }, async (t) => {
  const stage = new Stage(t);
  const server = stage.start('echo-server');
  const { port: otherPort } = await server.next<{ port: number }>('listening');
  const lure = 1;
  const attacker = stage.start('hostile-sequences', ['listen', lure], { preload: null });
  const { answers } = await attacker.next<{ answers: string[] }>('listening');
  const victim = stage.start('hostile-client', [otherPort, lure], { preload: modules, require: false });
  await victim.next('connecting');
  const given = new Set<string>();
  await until(async () => {
    given.add((await attacker.next<{ name: string }>('answered')).name);
    return given.size === answers.length;
  }, 'every answer was given');
  victim.tell({ kind: 'stop' });
  // Each of its connects under way has to end, in far less time than a negotiation may take.
  await victim.next('stopped', 8000);
  victim.tell({ kind: 'look' });
  const { ways, longestAttempt, correct } = await victim.next<Looked>('looked');
  t.diagnostic(`${JSON.stringify(ways)}; the longest attempt took ${longestAttempt.toFixed(0)} ms`);
  assert.ok(correct);
  assert.ok(longestAttempt < 5000, `${longestAttempt} ms`);
  assert.equal(victim.output, '');
});

test('[shared-memory] each spoilt handshake is refused, and counted by its reason', { timeout: 60_000 }, async (t) => {
  const stage = new Stage(t);
  const server = stage.start('echo-server');
  const { port: otherPort } = await server.next<{ port: number }>('listening');
  const victim = stage.start('hostile-victim', [otherPort], { preload: modules, flags: ['--expose-gc'] });
  const { port } = await victim.next<{ port: number }>('listening');
  const look = (): Promise<Looked> => {
    victim.tell({ kind: 'look' });
    return victim.next<Looked>('looked');
  };
  await look();
  const before = resourcesOf(victim.pid);
  const attacker = stage.start('hostile-handshakes', [port, 4711, 1500], { preload: null });
  const { total, cases, refused } = await attacker.next<{
    total: number;
    cases: Record<string, number>;
    refused: Record<string, number>;
  }>('attacked');
  const { accelerated: _own, ...counted } = (await look()).reasons;
  // That there is another link already is no failure.
  delete refused['link-exists'];
  t.diagnostic(`${total} cases, refused ${JSON.stringify(refused)}`);
  assert.ok(total >= 1500);
  for (const field of fieldsOf('handshake')) assert.ok((cases[keyOf(field)] ?? 0) > 0, keyOf(field));
  assert.deepEqual(counted, refused);
  await until(async () => {
    await look();
    const now = resourcesOf(victim.pid);
    return now.descriptors <= before.descriptors && now.arenas <= before.arenas;
  }, 'descriptors and mappings are what they were');
  assert.ok((await look()).correct);
  assert.equal(victim.output, '');
});
