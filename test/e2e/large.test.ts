/** Large transfers between processes over shared memory, the threshold lowered: programs notice nothing of them. */

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Program, Stage, type StartOptions } from '../support/stage.js';

const limit = { timeout: 60_000 };

function environment(stage: Stage): NodeJS.ProcessEnv {
  return { SOCKETS_DIRECT_RDMA_THRESHOLD: '20000', SOCKETS_DIRECT_TRACE: join(stage.directory, 'trace') };
}

/** Processes in which at least one connection has had a large transfer. */
function processesWithTransfers(stage: Stage): number {
  return readdirSync(stage.directory)
    .filter((name) => name.startsWith('trace.'))
    .filter((name) => readFileSync(join(stage.directory, name), 'utf8').includes('"first large transfer"')).length;
}

interface Ends {
  readonly server: string[];
  readonly client: string[];
}

/** What both ends of the scenario report; without a preload on stock. */
async function play(stage: Stage, scenario: string, options: StartOptions): Promise<Ends> {
  const server = stage.start('streams', ['server', scenario], options);
  const { port } = await server.next<{ port: number }>('listening');
  const client = stage.start('streams', ['client', scenario, port], options);
  const logs: string[][] = [];
  for (const program of [server, client]) {
    logs.push((await program.next<{ log: string[] }>('log', 30_000)).log);
  }
  // One that listens goes on until nobody is interested any more.
  for (const { child } of [server, client]) if (child.connected) child.disconnect();
  for (const program of [server, client]) await program.ended();
  return { server: logs[0]!, client: logs[1]! };
}

/** The scenario by RDMA and on stock. */
async function compare(stage: Stage, scenario: string): Promise<Ends> {
  const direct = await play(stage, scenario, { env: environment(stage) });
  assert.deepEqual(direct, await play(stage, scenario, { preload: null }));
  assert.equal(processesWithTransfers(stage), 2);
  return direct;
}

test('[shared-memory] 64 MiB in each direction at the same time, by RDMA', limit, async (t) => {
  const stage = new Stage(t);
  const { server, client } = await play(stage, 'exchange', { env: environment(stage) });
  for (const log of [server, client]) assert.deepEqual(log, ['67108864 bytes, as sent', 'end', 'close false']);
  assert.equal(processesWithTransfers(stage), 2);
});

test('[shared-memory] both sides write 1 MiB before either reads, by RDMA', limit, async (t) => {
  const stage = new Stage(t);
  const { server, client } = await play(stage, 'writeBeforeReading', { env: environment(stage) });
  for (const [written, , received] of [server, client]) {
    assert.deepEqual([written, received], ['1 MiB written', '1048576 bytes, as sent']);
  }
  assert.equal(processesWithTransfers(stage), 2);
});

test('[shared-memory] one side ends first and still gets everything, by RDMA', limit, async (t) => {
  await compare(new Stage(t), 'clientEndsFirst');
});

async function checkAll(receiver: Program, bytes: number): Promise<void> {
  const {
    how,
    bytes: received,
    correct,
  } = await receiver.next<{ how: string; bytes: number; correct: boolean }>('closed');
  assert.deepEqual({ how, received, correct }, { how: 'end', received: bytes, correct: true });
}

for (const bytes of [262_144, 1_048_576, 16_777_216]) {
  test(
    `WSD-CLS-6 [shared-memory] process.exit() right after end(${bytes} bytes), which go by RDMA, loses nothing`,
    limit,
    async (t) => {
      const stage = new Stage(t);
      const env = environment(stage);
      const receiver = stage.start('stream', ['server', 0], { env });
      const { port } = await receiver.next<{ port: number }>('listening');
      const sender = stage.start('exit', ['client', bytes, bytes, port], { env });
      await checkAll(receiver, bytes);
      assert.equal((await sender.ended()).code, 0);
      receiver.child.disconnect();
      await receiver.ended();
      assert.equal(processesWithTransfers(stage), 2);
    },
  );
}
