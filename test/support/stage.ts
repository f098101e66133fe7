/** Programs in processes of their own, what they report, and the end of all of them with their test. */

import { type ChildProcess, fork } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { dist, preloadUrl } from './preload.js';

/** What a program tells: a kind, and what belongs to it. */
export interface Report {
  readonly kind: string;
  readonly [key: string]: unknown;
}

export interface StartOptions {
  /** Directory of the compiled package to preload; null: a program without Sockets Direct. */
  preload?: string | null;
  /** A fallback to TCP/IP is an error. Default: true where there is a preload. */
  require?: boolean;
  env?: NodeJS.ProcessEnv;
  flags?: readonly string[];
  uid?: number;
  /** A command that runs the program: its name and its first arguments. */
  wrapper?: readonly string[];
}

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
  /** Of `performance.now()`. */
  time: number;
}

/** No report takes longer, on a machine that others use too. */
const reportLimit = 15_000;

/** Messages of the kernel and of Node that a program prints when it was built to be ended so. */
export class Program {
  readonly child: ChildProcess;
  readonly #reports: Report[] = [];
  readonly #waiting = new Set<() => void>();
  #output = '';
  exit: Exit | null = null;

  constructor(child: ChildProcess) {
    this.child = child;
    child.on('message', (report) => {
      this.#reports.push(report as Report);
      this.#wake();
    });
    child.on('exit', (code, signal) => {
      this.exit ??= { code, signal, time: performance.now() };
    });
    // Only then has everything that it said arrived.
    child.on('close', () => this.#wake());
    child.on('disconnect', () => this.#wake());
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#output += text;
      });
    }
  }

  get pid(): number {
    return this.child.pid!;
  }

  /** What it printed, on both streams. */
  get output(): string {
    return this.#output;
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
  }

  async #until<T>(find: () => T | undefined, what: string, limit: number): Promise<T> {
    let expired = false;
    const timer = setTimeout(() => {
      expired = true;
      this.#wake();
    }, limit);
    try {
      for (;;) {
        const found = find();
        if (found !== undefined) return found;
        if (expired)
          throw new Error(`no ${what} within ${limit} ms; it said ${JSON.stringify(this.#reports)}\n${this.#output}`);
        if (this.exit !== null && !this.child.connected) {
          throw new Error(
            `no ${what}: ended with ${JSON.stringify(this.exit)}, said ${JSON.stringify(this.#reports)}\n${this.#output}`,
          );
        }
        await new Promise<void>((resolve) => {
          const wake = (): void => {
            this.#waiting.delete(wake);
            resolve();
          };
          this.#waiting.add(wake);
        });
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** The next report of that kind. */
  next<T extends object>(kind: string, limit = reportLimit): Promise<T> {
    const find = (): T | undefined => {
      const i = this.#reports.findIndex((report) => report.kind === kind);
      return i < 0 ? undefined : (this.#reports.splice(i, 1)[0] as unknown as T);
    };
    return this.#until(find, `report '${kind}'`, limit);
  }

  /** Waits for the end of the process. */
  ended(limit = reportLimit): Promise<Exit> {
    return new Promise((resolve, reject) => {
      if (this.exit !== null) {
        resolve(this.exit);
        return;
      }
      const timer = setTimeout(() => reject(new Error(`still running after ${limit} ms\n${this.#output}`)), limit);
      this.child.once('exit', () => {
        clearTimeout(timer);
        resolve(this.exit!);
      });
    });
  }

  /** Tells the program something: programs listen for what they know. */
  tell(order: Report): void {
    // One that is dead does not answer, which is what whoever waits for an answer is told.
    this.child.send(order, () => {});
  }

  kill(signal: NodeJS.Signals = 'SIGKILL'): void {
    this.child.kill(signal);
  }
}

/** One test's processes and rendezvous directory. */
export class Stage {
  readonly directory = mkdtempSync(join(tmpdir(), 'sockets-direct-e2e-'));
  /** SOCKETS_DIRECT_DIR of its programs. */
  readonly rendezvous = join(this.directory, 'rendezvous');
  readonly #programs: Program[] = [];

  /** `t` is the test, or whoever else tells when it is over. */
  constructor(t: Pick<TestContext, 'after'>) {
    t.after(() => this.close());
  }

  /** Starts `test/e2e/programs/<name>.ts`, or the compiled program at that URL, with the preload, and SOCKETS_DIRECT_REQUIRE=shared-memory unless told otherwise. */
  start(name: string | URL, args: readonly (string | number)[] = [], options: StartOptions = {}): Program {
    const { preload = dist, require = preload !== null, flags = [], uid, wrapper, env = {} } = options;
    const path = fileURLToPath(
      typeof name === 'string' ? new URL(`../e2e/programs/${name}.js`, import.meta.url) : name,
    );
    const nodeFlags = [...flags, ...(preload === null ? [] : ['--import', preloadUrl(preload)])];
    const execArgv = wrapper === undefined ? nodeFlags : [...wrapper.slice(1), process.execPath, ...nodeFlags];
    const child = fork(path, args.map(String), {
      execArgv,
      ...(wrapper === undefined ? {} : { execPath: wrapper[0] }),
      ...(uid === undefined ? {} : { uid, gid: uid }),
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: {
        ...process.env,
        NODE_OPTIONS: '',
        NODE_DEBUG: '',
        NODE_V8_COVERAGE: '',
        SOCKETS_DIRECT: '',
        SOCKETS_DIRECT_TRACE: '',
        SOCKETS_DIRECT_CONNECT_BUDGET: '',
        SOCKETS_DIRECT_DIR: this.rendezvous,
        SOCKETS_DIRECT_REQUIRE: require ? 'shared-memory' : '',
        SOCKETS_DIRECT_TEST_INFO: preload === null ? '' : join(preload, 'index.js'),
        ...env,
      },
    });
    const program = new Program(child);
    this.#programs.push(program);
    return program;
  }

  /** Lets other users in, for programs that run as one. */
  open(): void {
    chmodSync(this.directory, 0o755);
  }

  /** Names of the sockets at which event loops tell their status. */
  statusSockets(): string[] {
    const path = join(this.rendezvous, 'status');
    return statSync(path, { throwIfNoEntry: false }) === undefined ? [] : readdirSync(path);
  }

  /** Names of all files in the rendezvous directory by which processes find each other: sockets, and entries of ports. */
  leftovers(): string[] {
    const found: string[] = [];
    const walk = (path: string): void => {
      for (const entry of readdirSync(path, { withFileTypes: true })) {
        if (path === this.rendezvous && entry.name === 'status') continue;
        if (entry.isDirectory()) walk(join(path, entry.name));
        else found.push(join(path, entry.name).slice(this.rendezvous.length + 1));
      }
    };
    if (statSync(this.rendezvous, { throwIfNoEntry: false }) !== undefined) walk(this.rendezvous);
    return found;
  }

  async close(): Promise<void> {
    for (const program of this.#programs) program.kill();
    await Promise.all(this.#programs.map((program) => program.ended()));
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Descriptors and shared mappings of a process, as the kernel counts them. */
export function resourcesOf(pid: number): { descriptors: number; arenas: number } {
  const maps = readFileSync(`/proc/${pid}/maps`, 'utf8');
  return {
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
    arenas: maps.split('\n').filter((line) => line.includes('memfd:')).length,
  };
}

/** Nanoseconds for which a process has run, all threads. */
export function processorTime(pid: number): number {
  let total = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    total += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]);
  }
  return total;
}

/** Looks until the condition holds, for at most five seconds. */
export async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const end = performance.now() + 5000;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`still not: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Runs the test, or says why it cannot: a root user is needed for what it does to others. */
export function needsRoot(t: TestContext): boolean {
  if (process.getuid?.() === 0) return true;
  t.skip('needs root: it starts processes of another user or network namespace');
  return false;
}
