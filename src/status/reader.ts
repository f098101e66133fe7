/** Asks every process of this user that runs Sockets Direct. What they answer is somebody else's word. */

import { readFileSync, statSync, unlinkSync } from 'node:fs';
import net from 'node:net';
import type { Status } from '../diagnostics/status.js';
import { isAlive, ownPidNamespace, type SocketName, StatusDirectory } from './directory.js';
import { parseStatus, plainText } from './validate.js';

/**
 * What is known of a process: `running` if one of its threads has answered, else `stopped` (by a signal or a debugger),
 * `busy` (no answer in time: an event loop is blocked, or the machine is) or `unreadable` (an answer that is none).
 */
export type ProcessState = 'running' | 'stopped' | 'busy' | 'unreadable';

export interface ProcessStatus {
  readonly pid: number;
  /** Path of the program's script, or its command line where it has not answered. */
  readonly program: string;
  readonly state: ProcessState;
  /** The documents of its event loops, the main thread first. */
  readonly threads: readonly Status[];
  /** Threads that have not answered. */
  readonly silent: readonly number[];
}

export interface SystemStatus {
  readonly version: 1;
  readonly processes: readonly ProcessStatus[];
  /** Directories that could not be looked at, and why. */
  readonly problems: readonly string[];
}

export interface ReadOptions {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Milliseconds for all answers together. Default: 1000. */
  readonly timeout?: number;
}

/** Bytes of one answer. */
const answerMax = 4 * 1024 * 1024;
/** Milliseconds after which a socket that nobody listens at is not one that is just being made. */
const staleAge = 5000;

type Answer = Status | 'busy' | 'unreadable' | 'dead';

/** Never rejects for what processes do; throws PlatformError where there can be none. */
export async function readAll({ environment, timeout = 1000 }: ReadOptions): Promise<SystemStatus> {
  const { directories, problems } = StatusDirectory.find(environment);
  const namespace = ownPidNamespace();
  const signal = AbortSignal.timeout(timeout);
  try {
    const asked = directories.flatMap((directory) =>
      directory.names().map(async (name) => {
        const path = directory.socketPath(name.name);
        const answer = await ask(path, name, signal);
        if (answer === 'dead') removeStale(path, name, namespace);
        return { name, answer };
      }),
    );
    const answers = (await Promise.all(asked)).filter(({ answer }) => answer !== 'dead');
    return { version: 1, processes: byProcess(answers, namespace), problems: problems.map(plainText) };
  } finally {
    for (const directory of directories) directory.close();
  }
}

function ask(path: string, name: SocketName, signal: AbortSignal): Promise<Answer> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const socket = net.connect({ path });
    const settle = (answer: Answer): void => {
      signal.removeEventListener('abort', expire);
      socket.destroy();
      resolve(answer);
    };
    const expire = (): void => settle('busy');
    signal.addEventListener('abort', expire);
    socket.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > answerMax) settle('unreadable');
      else chunks.push(chunk);
    });
    socket.on('end', () => {
      const status = parseStatus(Buffer.concat(chunks).toString('utf8'));
      const fits = status !== null && status.pid === name.pid && status.threadId === name.threadId;
      settle(fits ? status : 'unreadable');
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      settle(error.code === 'ECONNREFUSED' || error.code === 'ENOENT' ? 'dead' : 'busy');
    });
  });
}

/** A socket refuses for a moment while it is made, and for good when its process is dead. */
function removeStale(path: string, name: SocketName, namespace: string): void {
  try {
    const dead = name.pidNamespace === namespace && !isAlive(name.pid);
    if (dead || Date.now() - statSync(path).mtimeMs > staleAge) unlinkSync(path);
  } catch {
    // Somebody else was faster.
  }
}

function byProcess(answers: readonly { name: SocketName; answer: Answer }[], namespace: string): ProcessStatus[] {
  const groups = new Map<string, { name: SocketName; answer: Answer }[]>();
  for (const one of answers) {
    const key = `${one.name.pidNamespace} ${one.name.pid}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [one]);
    else group.push(one);
  }
  return [...groups.values()].map((group) => describe(group, namespace)).sort((a, b) => a.pid - b.pid);
}

function describe(group: readonly { name: SocketName; answer: Answer }[], namespace: string): ProcessStatus {
  const { pid, pidNamespace } = group[0]!.name;
  const threads = group
    .map(({ answer }) => answer)
    .filter((answer) => typeof answer === 'object')
    .sort((a, b) => a.threadId - b.threadId);
  const silent = group.filter(({ answer }) => typeof answer === 'string').map(({ name }) => name.threadId);
  const visible = pidNamespace === namespace;
  let state: ProcessState = 'running';
  if (threads.length === 0) {
    const answered = group.some(({ answer }) => answer === 'unreadable');
    state = answered ? 'unreadable' : visible && isStopped(pid) ? 'stopped' : 'busy';
  }
  const program = threads[0]?.program ?? (visible ? commandLine(pid) : '');
  return { pid, program, state, threads, silent: silent.sort((a, b) => a - b) };
}

function isStopped(pid: number): boolean {
  // The name of the program stands in brackets before the state, and may hold anything.
  return /^.*\) [tT] /s.test(readProc(pid, 'stat'));
}

function commandLine(pid: number): string {
  return plainText(readProc(pid, 'cmdline').replaceAll('\0', ' ').trim());
}

function readProc(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8');
  } catch {
    return '';
  }
}
