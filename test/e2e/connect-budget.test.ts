/** Connects to a server that does not turn its event loop in time: one of both ways, and both ends know which. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { TraceRecord } from '../../src/diagnostics/recorder.js';
import { armPoint } from '../../stress/accounts.js';
import type { Point } from '../../stress/points.js';
import { modules } from '../support/preload.js';
import { type Program, Stage } from '../support/stage.js';

interface Echo {
  provider: string;
  reason: string;
  same: boolean;
  localPort: number;
}

interface Accepted {
  provider: string;
  remotePort: number;
}

async function pair(t: TestContext): Promise<{ server: Program; client: Program; port: number }> {
  const stage = new Stage(t);
  const server = stage.start('echo-server', [], { require: false });
  const client = stage.start('echo-client', [], { require: false });
  const { port } = await server.next<{ port: number }>('listening');
  await client.next('ready');
  return { server, client, port };
}

/** One connect while the server does not turn; what both ends say carries it. */
async function connectBlocked(server: Program, client: Program, port: number, milliseconds: number): Promise<Echo> {
  server.tell({ kind: 'block', milliseconds });
  await server.next('blocking');
  client.tell({ kind: 'connect', options: { port, host: '127.0.0.1' } });
  const echo = await client.next<Echo>('echo');
  assert.ok(echo.same, 'every byte went through');
  const accepted = await server.next<Accepted>('connection');
  assert.deepEqual(
    [accepted.provider, accepted.remotePort],
    [echo.provider, echo.localPort],
    `${milliseconds} ms: ends differ (${echo.reason})`,
  );
  await server.next('closed');
  return echo;
}

/** Connects until shared memory carries it: on a busy machine the budget may be over though nobody is blocked. */
async function connectAccelerated(server: Program, client: Program, port: number): Promise<void> {
  for (let tries = 1; ; tries++) {
    const { provider, reason } = await connectBlocked(server, client, port, 0);
    if (provider === 'shared-memory') return;
    assert.equal(reason, 'connect-timeout');
    assert.ok(tries < 10, 'shared memory is not used any more');
  }
}

/** No connection was accepted that no client has. */
async function checkNoMore(server: Program): Promise<void> {
  await assert.rejects(server.next('connection', 200));
}

/** Verdicts of the server's condition function so far, and errors of WSPAccept, from its trace. */
function accepting(server: Program, prefix: string): string[] {
  const lines = readFileSync(`${prefix}.${server.pid}.jsonl`, 'utf8').trim().split('\n');
  const records = lines.map((line) => JSON.parse(line) as TraceRecord);
  return records.flatMap(({ kind, fn, result, error }) =>
    kind === 'condition' ? [String(result)] : fn === 'WSPAccept' && error !== '' ? [error] : [],
  );
}

test('[shared-memory] WSD-CON-29 a server that blocks for 3 s is reached by TCP/IP, once, and is not even asked about what was withdrawn', {
  timeout: 60_000,
}, async (t) => {
  // A request of a link that stands, and one whose link has yet to come about.
  const alternatives = [true, false].map(async (linked) => {
    const stage = new Stage(t);
    const trace = join(stage.directory, 'trace');
    const server = stage.start('echo-server', [], { require: false, env: { SOCKETS_DIRECT_TRACE: trace } });
    const client = stage.start('echo-client', [], { require: false });
    const { port } = await server.next<{ port: number }>('listening');
    await client.next('ready');
    if (linked) await connectAccelerated(server, client, port);
    const during = await connectBlocked(server, client, port, 3000);
    assert.deepEqual([during.provider, during.reason], ['tcpip', 'connect-timeout']);
    await connectAccelerated(server, client, port);
    await checkNoMore(server);
    // What was withdrawn would be one more.
    const told = accepting(server, trace);
    assert.equal(told.filter((one) => one === 'CF_ACCEPT').length, linked ? 2 : 1, String(told));
    if (linked) assert.ok(told.includes('WSAEWOULDBLOCK'), 'the request had come, and there was nothing left of it');
  });
  await Promise.all(alternatives);
});

test('[shared-memory] a request that is withdrawn while the condition function is asked never becomes a connection', {
  timeout: 30_000,
}, async (t) => {
  const stage = new Stage(t);
  const trace = join(stage.directory, 'trace');
  const point: Point = { owner: 'Listener', method: 'remove', phase: 'before', hit: 2 };
  const server = stage.start('echo-server', [], {
    require: false,
    preload: modules,
    flags: ['--import', armPoint],
    // Longer than any budget, after CF_ACCEPT and before it takes effect.
    env: { STRESS_POINT: JSON.stringify(point), STRESS_STALL: '2000', SOCKETS_DIRECT_TRACE: trace },
  });
  const client = stage.start('echo-client', [], { require: false });
  const { port } = await server.next<{ port: number }>('listening');
  await client.next('ready');
  await connectAccelerated(server, client, port);
  let hasStalled = false;
  const stalled = server.next('stalled', 20_000).then(() => {
    hasStalled = true;
  });
  // On a busy machine a request may be withdrawn before anybody is asked.
  while (!hasStalled) {
    const { provider, reason } = await connectBlocked(server, client, port, 0);
    assert.deepEqual([provider, reason], ['tcpip', 'connect-timeout']);
  }
  await stalled;
  await connectAccelerated(server, client, port);
  await checkNoMore(server);
  const told = accepting(server, trace).filter((one) => one !== 'WSAEWOULDBLOCK');
  assert.deepEqual(told, ['CF_ACCEPT', 'CF_ACCEPT', 'WSAEACCES', 'CF_ACCEPT']);
});

test('[shared-memory] both ends agree when the answer and the end of the budget meet', {
  timeout: 60_000,
}, async (t) => {
  const { server, client, port } = await pair(t);
  await connectBlocked(server, client, port, 0);
  const ways = new Map<string, number>();
  // The budget of 50 ms begins, at a tick of its timer, when nothing has come from the peer for as long. The search for the
  // time at which it ends stays close to it, wherever a busy machine puts it.
  let milliseconds = 90;
  let step = 8;
  let last: string | null = null;
  for (let round = 0; round < 40; round++) {
    const { provider } = await connectBlocked(server, client, port, milliseconds);
    step = last === null || provider === last ? Math.min(1.5 * step, 64) : Math.max(step / 3, 1);
    milliseconds = Math.max(0, milliseconds + (provider === 'tcpip' ? -step : step));
    last = provider;
    ways.set(provider, (ways.get(provider) ?? 0) + 1);
  }
  t.diagnostic(JSON.stringify(Object.fromEntries(ways)));
  assert.equal(ways.size, 2, `both ways were taken: ${[...ways]}`);
  await checkNoMore(server);
});

test('[shared-memory] where a SAN is required the end of the budget is an error with its reason', {
  timeout: 30_000,
}, async (t) => {
  const stage = new Stage(t);
  const server = stage.start('echo-server');
  const client = stage.start('echo-client', [], { env: { SOCKETS_DIRECT_CONNECT_BUDGET: '' } });
  const { port } = await server.next<{ port: number }>('listening');
  await client.next('ready');
  server.tell({ kind: 'block', milliseconds: 1000 });
  await server.next('blocking');
  client.tell({ kind: 'connect', options: { port, host: '127.0.0.1' } });
  const { code, reason } = await client.next<{ code: string; reason: string }>('failed');
  assert.deepEqual([code, reason], ['ENETUNREACH', 'connect-timeout']);
  await checkNoMore(server);
});
