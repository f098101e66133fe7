/** Processes that are stopped for ten seconds, wherever they are just then: nothing is lost, and no connection ends. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { type PlanName, plans } from '../../stress/account.js';
import { accountOf, armPoint, sideProgram, within } from '../../stress/accounts.js';
import type { Point } from '../../stress/points.js';
import type { Side } from '../../stress/steps.js';
import { modules } from '../support/preload.js';
import { type Program, Stage } from '../support/stage.js';

const standstill = 10_000;

interface Case {
  readonly name: string;
  readonly side: Side;
  readonly plan: PlanName;
  /** Where it stops itself; null: it is stopped from outside while nothing happens. */
  readonly point: Point | null;
}

const inStream: Point = { owner: 'ProviderConnection', method: 'receive', phase: 'before', hit: 200 };
const accepted: Point = { owner: 'PeerLink', method: 'accept', phase: 'after' };
const messageSeen: Point = { owner: 'ProviderConnection', method: 'receive', phase: 'before' };
const requested: Point = { owner: 'PeerLink', method: 'sendConnect', phase: 'after' };
const acceptanceSeen: Point = { owner: 'ProviderConnection', method: 'accepted', phase: 'before' };

const cases: readonly Case[] = [
  { name: 'acceptor, in a stream', side: 'acceptor', plan: 'stream', point: inStream },
  { name: 'connector, in a stream', side: 'connector', plan: 'stream', point: inStream },
  { name: 'acceptor, idle', side: 'acceptor', plan: 'idle', point: null },
  { name: 'connector, idle', side: 'connector', plan: 'idle', point: null },
  { name: 'acceptor, after it has accepted', side: 'acceptor', plan: 'exchange', point: accepted },
  { name: 'acceptor, at the negotiation message', side: 'acceptor', plan: 'exchange', point: messageSeen },
  { name: 'connector, after its request', side: 'connector', plan: 'exchange', point: requested },
  { name: 'connector, at the acceptance', side: 'connector', plan: 'exchange', point: acceptanceSeen },
  { name: 'connector, at the reply', side: 'connector', plan: 'exchange', point: messageSeen },
];

function stopped({ pid }: Program): boolean {
  return /^State:\s+T/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
}

async function run(t: TestContext, { name, side, plan, point }: Case): Promise<void> {
  const stage = new Stage(t);
  const start = (role: Side): Program =>
    stage.start(
      sideProgram,
      [role, plan],
      role === side && point !== null
        ? {
            preload: modules,
            flags: ['--import', armPoint],
            env: { STRESS_POINT: JSON.stringify(point), STRESS_SIGNAL: 'SIGSTOP' },
          }
        : { preload: modules },
    );
  const programs = { acceptor: start('acceptor'), connector: start('connector') };
  const { port } = await programs.acceptor.next<{ port: number }>('listening');
  await programs.connector.next('ready');
  const connect = (): void => programs.connector.tell({ kind: 'connect', port });
  connect();
  let failures = 0;
  let standing = false;
  programs.connector.child.on('message', ({ kind, reason }: { kind: string; reason: string }) => {
    // A machine that has to start so many processes may take longer than the budget.
    if (kind !== 'failed' || standing || reason !== 'connect-timeout') return;
    failures++;
    connect();
  });
  if (point === null) {
    for (const role of ['acceptor', 'connector'] as const) await programs[role].next('opened', 30_000);
    programs[side].kill('SIGSTOP');
  }
  await within(30_000, async () => stopped(programs[side]), Boolean, `${name}: not stopped`);
  standing = true;
  await new Promise((resolve) => setTimeout(resolve, standstill));
  assert.ok(stopped(programs[side]), `${name}: it stood still all the time`);
  programs[side].kill('SIGCONT');
  if (point === null) for (const role of ['acceptor', 'connector'] as const) programs[role].tell({ kind: 'begin' });
  for (const program of [programs.acceptor, programs.connector]) {
    const { ended, failed } = await within(
      30_000,
      () => accountOf(program),
      ({ ended, failed }) => ended.length === 1 || failed.length > failures,
      name,
    );
    assert.equal(ended.length, 1, `${name}: ${JSON.stringify(failed)}`);
    const { how, provider, bytes, correct } = ended[0];
    assert.deepEqual(
      { how, provider, bytes, correct },
      { how: 'end', provider: 'shared-memory', bytes: plans[plan].bytes, correct: true },
      name,
    );
  }
}

test('[shared-memory] a side that stands still for 10 s in a stream, in a negotiation, or idle, loses nothing and goes on', {
  timeout: 120_000,
}, async (t) => {
  await Promise.all(cases.map((one) => run(t, one)));
});
