/** Two processes that connect to each other, as any two programs would: the one check that cannot be fooled. */

import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { PeerMemoryReason } from '../diagnostics/peer-memory.js';
import type { Reason } from '../diagnostics/reasons.js';
import type { ProviderStatus } from '../diagnostics/status.js';
import { preload } from './preload.js';

/** What the connecting process tells. */
export interface Measured {
  readonly provider: string | null;
  readonly reason: Reason | null;
  /** Median time of a round trip of 64 bytes, in microseconds. */
  readonly roundTrip: number;
  /** What is installed in that process. */
  readonly providers: readonly ProviderStatus[];
  readonly unwatched: Reason | null;
  /** Whether the memory of the listening process can be read; null: the two have no link. */
  readonly peerMemory: PeerMemoryReason | null;
}

/** Milliseconds: a machine that is busy with something else has nothing wrong with it. */
const patientBudget = '1000';
/** Milliseconds for both processes together. */
const limit = 15_000;

type Environment = Readonly<Record<string, string | undefined>>;

/** Runs a server and a client with the preload, in this environment. Rejects with an Error if one of them fails. */
export async function measure(environment: Environment): Promise<Measured> {
  const server = start(['server'], environment);
  try {
    const port = await firstLine(server);
    const client = start(['client', port], environment);
    try {
      return JSON.parse(await firstLine(client)) as Measured;
    } finally {
      client.kill('SIGKILL');
    }
  } finally {
    server.kill('SIGKILL');
  }
}

function start(args: readonly string[], environment: Environment): ChildProcess {
  const program = fileURLToPath(new URL('probe.js', import.meta.url));
  return spawn(process.execPath, ['--require', preload, program, ...args], {
    // A fallback has to be seen as one, and traces are of no interest.
    env: {
      SOCKETS_DIRECT_CONNECT_BUDGET: patientBudget,
      ...environment,
      SOCKETS_DIRECT_REQUIRE: '',
      SOCKETS_DIRECT_TRACE: '',
      SOCKETS_DIRECT_SUMMARY: '',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let errors = '';
    const timer = setTimeout(() => reject(new Error(`no answer within ${limit / 1000} s ${errors}`)), limit);
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      errors += text;
    });
    createInterface(child.stdout!).once('line', (line) => {
      clearTimeout(timer);
      resolve(line);
    });
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      reject(new Error(`ended with ${signal ?? code}: ${errors.trim().split('\n').slice(-5).join(' ')}`));
    });
  });
}
