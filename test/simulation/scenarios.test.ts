/** Both ends, switches and sessions, under faults that the seed chooses. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kindsMin, type Outcome, runSeed } from '../../simulation/run.js';

/** Runs the seeds; fails with the command that shows the first failure again. */
function run(scenario: string, seeds: number): Map<string, number> {
  const marks = new Map<string, number>();
  for (let seed = 1; seed <= seeds; seed++) {
    const outcome = runSeed(seed, { scenario, plant: null });
    const again = `npm run simulate -- --scenario ${scenario} --from ${seed} --seeds 1`;
    assert.equal(outcome.failure, null, `${outcome.failure}\n${again}\n${outcome.trace.slice(-60).join('\n')}`);
    assert.ok(outcome.kinds >= kindsMin, `${outcome.kinds} kinds of faults\n${again}`);
    for (const [kind, count] of outcome.marks) marks.set(kind, (marks.get(kind) ?? 0) + count);
  }
  return marks;
}

/** Asserts that what the scenario is about has really happened. */
function assertMet(marks: ReadonlyMap<string, number>, ...kinds: readonly string[]): void {
  for (const kind of kinds) assert.ok((marks.get(kind) ?? 0) > 0, `not met: ${kind}`);
}

test('swarm: everything at random keeps every byte, ends every operation and leaks nothing [simulated]', () => {
  const marks = run('swarm', 200);
  assertMet(marks, 'process-killed', 'process-blocked', 'process-stopped', 'connect budget expired', 'backlog full');
  assertMet(marks, 'fault: late delivery', 'fault: withheld completion', 'fault: withdrawn in the condition function');
  assertMet(marks, 'fault: WSPSend', 'fault: WSPRecv', 'fault: WPUCreateSocketHandle', 'fault: WSPRegisterMemory');
  assertMet(marks, 'program: close', 'program: reset', 'program: unlisten', 'program: CF_DEFER', 'program: CF_REJECT');
});

test('a close, a cancel or a reset during the handshake leaves nothing behind [simulated]', () => {
  const marks = run('close-during-handshake', 40);
  assertMet(marks, 'scenario: cancelled in the handshake', 'scenario: listener closed in the handshake');
});

test('a close with bytes on the way in both directions is an end or a reset, never a gap [simulated]', () => {
  assertMet(run('close-during-delivery', 40), 'scenario: closed with bytes on the way');
});

test('a process that dies while its peer closes leaves no operation without an end [simulated]', () => {
  assertMet(run('provider-death-during-close', 40), 'scenario: death beside a close');
});

test('programs may ask anything from inside what an abort tells them [simulated]', () => {
  assertMet(run('query-during-abort', 40), 'scenario: asked from inside an abort');
});

test('both ends write all they can before either reads, and everything arrives [simulated]', () => {
  assertMet(run('both-saturated-and-paused', 40), 'scenario: a writer waits');
});

test('a request is withdrawn or accepted, never both, when the acceptor wakes at that moment [simulated]', () => {
  assertMet(run('withdrawal-while-blocked', 40), 'connect budget expired', 'process-blocked');
});

test('WSD-ACC-10 requests that wait for a decision are asked about again, and accepted, refused, withdrawn or fall back, once [simulated]', () => {
  assertMet(run('deferred-accept', 40), 'program: CF_DEFER', 'program: CF_REJECT', 'connect budget expired');
});

test('WSD-NEG-8 WSD-NEG-9 negotiation messages that come before the buffers are kept [simulated]', () => {
  const marks = run('late-receive-buffers', 40);
  assertMet(marks, 'fault: late receive buffers', 'kept in a private buffer', 'held back by flow control');
});

test('what a program has written before it exits arrives, or its peer sees an error [simulated]', () => {
  assertMet(run('process-exit', 40), 'scenario: exit with bytes unsent');
});

test('WSD-NEG-16 a peer that stops in the middle of the handshake does not hold a connect up for ever [simulated]', () => {
  assertMet(run('stopped-peer', 40), 'process-stopped', 'scenario: a negotiation took too long');
});

test('a seed is the same run every time', () => {
  const facts = ({ marks, steps, tally, draws }: Outcome) => ({ marks: [...marks], steps, tally, draws });
  for (const seed of [1, 2, 3]) {
    const options = { scenario: 'swarm', plant: null };
    assert.deepEqual(facts(runSeed(seed, options)), facts(runSeed(seed, options)));
  }
});

test('WSD-DUP-33 ends that move between processes lose no byte, and leave nothing where they were [simulated]', () => {
  const marks = run('moving-ends', 60);
  assertMet(marks, 'program: has moved', 'program: does not move after all', 'process-killed');
});

test('blocks in both directions arrive whole, or their connection is lost, whoever pauses, closes or dies [simulated]', () => {
  const marks = run('large-transfers', 50);
  assertMet(marks, 'RDMA read', 'RDMA write', 'process-killed', 'fault: WSPRegisterRdmaMemory');
});

test('WSD-CLS-6 a process that exits while a block is offered, granted or under way loses none of it [simulated]', () => {
  assertMet(run('exit-during-transfer', 40), 'RDMA read', 'RDMA write', 'scenario: exit with a block under way');
});

test('WSD-REG-9 WSD-REG-11 providers and addresses that come and go lose no connection, and leave nothing behind [simulated]', () => {
  const marks = run('providers-come-and-go', 60);
  assertMet(marks, 'scenario: removed in a negotiation', 'scenario: removed while it is used');
  assertMet(marks, 'scenario: an address comes or goes', 'program: cleanup', 'process-killed');
});
