/** The scenes of the demo, in order, and everything that is asserted about them. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Comparison, compare } from './comparison.js';
import { explain } from './explain.js';
import { checkFlat, checkNoTcp, checkRising, checkTcp } from './kernel-view.js';
import { digest } from './payload.js';
import { ClientError, DemoClient, DemoServer } from './programs.js';
import { refusal } from './refusal.js';
import { type Check, checkAcross, checkOrder, locate, type Step } from './sequence.js';
import { readTrace, traceFile } from './trace.js';

const MIB = 64;

export interface Result {
  assertions: Check[];
  /** Both processes. */
  sequence: Step[];
  comparison: Comparison;
}

/** Shared memory cannot be used here; the message is one sentence for the user. */
export class NoSharedMemory extends Error {}

export async function run(say: (line: string) => void): Promise<Result> {
  const directory = mkdtempSync(join(tmpdir(), 'sockets-direct-demo-'));
  try {
    const { assertions, pids } = await scenes(join(directory, 'trace'), say);
    const server = locate('server', readTrace(traceFile(join(directory, 'trace'), pids.server)));
    const client = locate('client', readTrace(traceFile(join(directory, 'trace'), pids.client)));
    assertions.push(...checkOrder(client), ...checkOrder(server), ...checkAcross(client, server));
    assertions.push(...(await refusal(say)));
    say('Comparing with TCP, a few seconds.');
    return { assertions, sequence: [...client, ...server], comparison: await compare() };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

interface Scenes {
  assertions: Check[];
  pids: { server: number; client: number };
}

async function scenes(trace: string, say: (line: string) => void): Promise<Scenes> {
  const assertions: Check[] = [];
  const expected = digest(MIB);
  const server = new DemoServer({ preload: true, env: { SOCKETS_DIRECT_TRACE: trace } });
  const port = await server.port();
  say(`Server with the preload, process ${server.child.pid}, port ${port}.`);

  const san = new DemoClient(port, {
    preload: true,
    env: { SOCKETS_DIRECT_TRACE: trace, SOCKETS_DIRECT_REQUIRE: 'shared-memory' },
  });
  const tcp = new DemoClient(port, { preload: false });
  try {
    say(`Client with the preload, process ${san.child.pid}.`);
    assertions.push(await firstRequest(san, port));
    assertions.push(checkNoTcp(port));
    const overSan = bodyCheck('the SAN client', san, expected);
    assertions.push(await checkFlat(MIB, overSan.transfer), overSan.check());

    say(`Client without the preload, process ${tcp.child.pid}, same port.`);
    await tcp.ask({ do: 'get', path: '/hello' });
    assertions.push(checkTcp(port));
    const overTcp = bodyCheck('the TCP client', tcp, expected);
    assertions.push(await checkRising(MIB, overTcp.transfer), overTcp.check());

    assertions.push(
      await end('the SAN client', san),
      await end('the TCP client', tcp),
      await end('the server', server),
    );
    return { assertions, pids: { server: server.child.pid, client: san.child.pid } };
  } finally {
    for (const { child } of [san, tcp, server]) child.kill();
  }
}

/** If this fails, or TCP carries it in spite of the requirement, there is no shared memory, and nothing else to show. */
async function firstRequest(client: DemoClient, port: number): Promise<Check> {
  try {
    const { bytes } = await client.ask({ do: 'get', path: '/hello' });
    const noTcp = checkNoTcp(port);
    if (!noTcp.ok) throw new NoSharedMemory(await explain(port, noTcp.detail));
    return { name: 'the SAN client gets a response', ok: bytes === 6, detail: `${String(bytes)} bytes` };
  } catch (error) {
    if (error instanceof ClientError) throw new NoSharedMemory(await explain(port, error.message));
    throw error;
  }
}

/** Fetches the large body, as often as it is asked to, and keeps an eye on what arrives. */
function bodyCheck(who: string, client: DemoClient, expected: string) {
  let transfers = 0;
  let wrong = 0;
  return {
    transfer: async () => {
      const { sha256 } = await client.ask({ do: 'get', path: `/stream?mib=${MIB}` });
      transfers++;
      if (sha256 !== expected) wrong++;
    },
    check: (): Check => ({
      name: `${who} gets ${MIB} MiB, every byte in its place`,
      ok: transfers > 0 && wrong === 0,
      detail: `${transfers - wrong} of ${transfers} bodies with the right SHA-256`,
    }),
  };
}

/** An open keep-alive connection that is closed properly must not keep a process alive. */
async function end(who: string, { child }: DemoClient | DemoServer): Promise<Check> {
  child.finish();
  const code = await child.exit(5000).catch(() => 'none within 5 s');
  return { name: `${who} ends by itself`, ok: code === 0, detail: `exit code ${code}` };
}
