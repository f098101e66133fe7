/** A child process that speaks JSON lines: commands on its standard input, answers on its standard output. */

import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** How much of what a child complained about is kept for the report. */
const STDERR_TAIL = 2000;

const alive = new Set<Child>();

// Whatever ends this process, its children must not outlive it.
process.on('exit', () => {
  for (const child of alive) child.kill();
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130));

export class Child {
  readonly #process: ChildProcess;
  readonly #name: string;
  readonly #lines: string[] = [];
  readonly #waiting: { resolve: (line: string) => void; reject: (error: Error) => void }[] = [];
  #stderr = '';
  #ended: Error | null = null;
  readonly #closed: Promise<number | null>;

  /** `name` is what messages call the child. */
  constructor(name: string, command: readonly string[], env: NodeJS.ProcessEnv) {
    this.#name = name;
    const [file = process.execPath, ...args] = command;
    this.#process = spawn(file, args, { stdio: ['pipe', 'pipe', 'pipe'], env });
    alive.add(this);
    const { stdin, stdout, stderr } = this.#process;
    stderr?.setEncoding('utf8');
    stderr?.on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-STDERR_TAIL);
    });
    // A child that has ended cannot read; its end is reported by 'close', with more detail than EPIPE.
    stdin?.on('error', () => {});
    if (stdout !== null) createInterface({ input: stdout }).on('line', (line) => this.#take(line));
    this.#closed = new Promise((resolve) => {
      this.#process.on('error', (error) => this.#fail(new Error(`${this.#name} did not start: ${error.message}`)));
      this.#process.on('close', (code, signal) => {
        alive.delete(this);
        this.#fail(new Error(`${this.#name} ended (${signal ?? `exit code ${code}`})${this.complaint}`));
        resolve(code);
      });
    });
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** The last lines on standard error, ready to be put behind a message; empty if there are none. */
  get complaint(): string {
    const text = this.#stderr.trim();
    return text === '' ? '' : `: ${text}`;
  }

  /** The next JSON line on standard output; fails if the child ends or the time is over before it. */
  async next(timeoutMs: number): Promise<unknown> {
    const line = await within(timeoutMs, this.#nextLine(), () => {
      return new Error(`${this.#name} did not answer within ${timeoutMs / 1000} s${this.complaint}`);
    });
    try {
      return JSON.parse(line);
    } catch {
      throw new Error(`${this.#name} printed no JSON: ${line.slice(0, 200)}${this.complaint}`);
    }
  }

  /** Sends one command as a JSON line. */
  send(command: object): void {
    this.#process.stdin?.write(`${JSON.stringify(command)}\n`);
  }

  /** Ends the child's standard input, which asks it to finish. */
  finish(): void {
    this.#process.stdin?.end();
  }

  /** The exit code; null if a signal ended it. */
  async exit(timeoutMs: number): Promise<number | null> {
    return within(timeoutMs, this.#closed, () => new Error(`${this.#name} did not end within ${timeoutMs / 1000} s`));
  }

  /** Without ceremony; does nothing to a child that has ended. */
  kill(): void {
    if (this.#process.exitCode === null && this.#process.signalCode === null) this.#process.kill('SIGKILL');
  }

  #nextLine(): Promise<string> {
    return new Promise((resolve, reject) => {
      const line = this.#lines.shift();
      if (line !== undefined) resolve(line);
      else if (this.#ended !== null) reject(this.#ended);
      else this.#waiting.push({ resolve, reject });
    });
  }

  #take(line: string): void {
    const waiter = this.#waiting.shift();
    if (waiter === undefined) this.#lines.push(line);
    else waiter.resolve(line);
  }

  #fail(error: Error): void {
    this.#ended ??= error;
    for (const waiter of this.#waiting.splice(0)) waiter.reject(this.#ended);
  }
}

/** Fails with `late()` if `work` is not done in time. */
function within<T>(ms: number, work: Promise<T>, late: () => Error): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(late()), ms);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
