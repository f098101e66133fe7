/** The command `sockets-direct status` on the programs of a stage. */

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import type { ConnectionStatus, Status } from '../../src/diagnostics/status.js';
import type { ProcessStatus, SystemStatus } from '../../src/status/reader.js';
import { dist } from '../support/preload.js';
import { type Program, type Stage, type StartOptions, until } from '../support/stage.js';

export const holder = new URL('../diagnostics/programs/holder.js', import.meta.url);
export const command = join(dist, 'cli/main.js');

export interface Output {
  readonly code: number | string | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the command to its end. */
export function run(
  stage: Stage,
  args: readonly string[],
  options: { uid?: number; directory?: string } = {},
): Promise<Output> {
  const env = { ...process.env, NODE_OPTIONS: '', SOCKETS_DIRECT_DIR: options.directory ?? stage.rendezvous };
  const user = options.uid === undefined ? {} : { uid: options.uid, gid: options.uid };
  return new Promise((resolve) => {
    execFile(process.execPath, [command, 'status', ...args], { env, ...user }, (error, stdout, stderr) => {
      resolve({ code: error?.code ?? 0, stdout, stderr });
    });
  });
}

/** What `status --json` says. */
export async function look(stage: Stage, options: { uid?: number; directory?: string } = {}): Promise<SystemStatus> {
  const { stdout, stderr } = await run(stage, ['--json'], options);
  if (stderr !== '') throw new Error(stderr);
  return JSON.parse(stdout) as SystemStatus;
}

export async function find(stage: Stage, program: Program): Promise<ProcessStatus | undefined> {
  return (await look(stage)).processes.find(({ pid }) => pid === program.pid);
}

/** Looks until the process answers as it should: it opens its socket a moment after its first connect or listen. */
export async function findWhen(
  stage: Stage,
  program: Program,
  condition: (found: ProcessStatus) => boolean,
  what: string,
): Promise<ProcessStatus> {
  let found: ProcessStatus | undefined;
  await until(async () => {
    found = await find(stage, program);
    return found !== undefined && condition(found);
  }, what);
  return found!;
}

export async function start(stage: Stage, options: StartOptions = {}): Promise<Program> {
  const program = stage.start(holder, [], options);
  await program.next('ready');
  return program;
}

export async function startListening(
  stage: Stage,
  options: StartOptions = {},
): Promise<{ program: Program; port: number }> {
  const program = await start(stage, options);
  program.tell({ kind: 'listen', options: { port: 0, host: '127.0.0.1' } });
  const { port } = await program.next<{ port: number }>('listening');
  return { program, port };
}

export async function connectTo(program: Program, port: number, unref = false): Promise<void> {
  program.tell({ kind: 'connect', options: { port, host: '127.0.0.1' }, unref });
  await program.next('connected');
}

export function threadOf({ threads }: ProcessStatus, threadId = 0): Status {
  const found = threads.find((thread) => thread.threadId === threadId);
  if (found === undefined) throw new Error(`no thread ${threadId}`);
  return found;
}

/** The parts of a connection that can be known before. */
export function gist({ provider, reason, role, peerPid, bytesRead, bytesWritten }: ConnectionStatus): unknown[] {
  return [provider, reason, role, peerPid, bytesRead, bytesWritten];
}
