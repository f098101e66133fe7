/** The command line of the package under test, in processes of its own. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { dist } from '../support/preload.js';

export const commandPath = join(dist, 'cli/main.js');

export function programPath(name: string): string {
  return fileURLToPath(new URL(`programs/${name}.js`, import.meta.url));
}

export interface Result {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** No command of a test takes longer. */
const limit = 30_000;

/** A command that was started. */
export class Started {
  readonly child: ChildProcess;
  readonly #ended: Promise<[number | null, NodeJS.Signals | null]>;
  stdout = '';
  stderr = '';

  constructor(child: ChildProcess) {
    this.child = child;
    this.#ended = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
  }

  /** Waits until standard output matches. */
  async prints(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.stdout);
      if (match !== null) return match;
      if (this.child.exitCode !== null) throw new Error(`it ended: ${this.stdout}\n${this.stderr}`);
      await Promise.race([once(this.child.stdout!, 'data', { signal: AbortSignal.timeout(limit) }), this.#ended]);
    }
  }

  async ended(): Promise<Result> {
    const [code, signal] = await this.#ended;
    return { code, signal, stdout: this.stdout, stderr: this.stderr };
  }
}

export class CommandLine {
  readonly directory = mkdtempSync(join(tmpdir(), 'sockets-direct-cli-'));
  readonly env: NodeJS.ProcessEnv;
  readonly #started: Started[] = [];

  constructor(t: Pick<TestContext, 'after'>) {
    this.env = {
      ...process.env,
      NODE_OPTIONS: '',
      NODE_DEBUG: '',
      SOCKETS_DIRECT: '',
      SOCKETS_DIRECT_REQUIRE: '',
      // The machine may be busy with other tests.
      SOCKETS_DIRECT_CONNECT_BUDGET: '5000',
      SOCKETS_DIRECT_DIR: join(this.directory, 'rendezvous'),
    };
    t.after(() => this.#close());
  }

  /** Any command. It is the leader of a group of its own, which ends with the test. */
  spawn(command: string, args: readonly (string | number)[], env: NodeJS.ProcessEnv = {}): Started {
    const child = spawn(command, args.map(String), {
      cwd: this.directory,
      env: { ...this.env, ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
      timeout: limit,
    });
    const started = new Started(child);
    this.#started.push(started);
    return started;
  }

  /** `sockets-direct` with these arguments. */
  start(args: readonly (string | number)[], env: NodeJS.ProcessEnv = {}): Started {
    return this.spawn(process.execPath, [commandPath, ...args], env);
  }

  run(args: readonly (string | number)[], env: NodeJS.ProcessEnv = {}): Promise<Result> {
    return this.start(args, env).ended();
  }

  async #close(): Promise<void> {
    for (const { child } of this.#started) {
      try {
        process.kill(-child.pid!, 'SIGKILL');
      } catch {
        // All of the group have ended.
      }
    }
    await Promise.all(this.#started.map((started) => started.ended()));
    rmSync(this.directory, { recursive: true, force: true });
  }
}
