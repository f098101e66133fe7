/** Peers in processes of their own, which can be killed at any step. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { PeerSteps } from './peer-steps.js';
import type { Rig, RigOptions, Subject } from './subject.js';

interface Reply {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: string;
}

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

export interface PeerOptions {
  /** How many descriptors its process may have open at most. Default: as many as this one. */
  readonly descriptors?: number;
}

export class Peer {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  readonly #waiting = new Map<number, Waiting>();
  #last = 0;

  constructor({ url, name }: Subject, { place }: Rig, { connectBudget }: RigOptions, { descriptors }: PeerOptions) {
    if (url === undefined || place === undefined) throw new Error(`${name} cannot be joined from another process`);
    const program = fileURLToPath(new URL('./peer.js', import.meta.url));
    const args = [program, url, place, String(connectBudget)];
    const limit = `ulimit -n ${descriptors ?? '"$(ulimit -n)"'} && exec "$0" "$@"`;
    this.#child = spawn('/bin/sh', ['-c', limit, process.execPath, ...args], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.#ended = once(this.#child, 'exit');
    this.#child.on('message', (message) => this.#take(message as Reply));
    this.#child.on('exit', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error('the other process has ended'));
      this.#waiting.clear();
    });
  }

  #take({ id, value, error }: Reply): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === undefined) waiting?.resolve(value);
    else waiting?.reject(new Error(`in the other process: ${error}`));
  }

  /** Does one step there. Rejects if it fails, or if the process ends before it has answered. */
  call<Step extends keyof PeerSteps>(
    step: Step,
    ...args: Parameters<PeerSteps[Step]>
  ): Promise<Awaited<ReturnType<PeerSteps[Step]>>> {
    const id = ++this.#last;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as Waiting['resolve'], reject });
      this.#child.send({ id, step, args });
    });
  }

  /** Starts a step in which the process dies, and waits for its end. */
  async dies(step: keyof PeerSteps): Promise<void> {
    this.call(step).catch(() => {});
    await this.#ended;
  }

  /** SIGKILL; done when the kernel has taken everything back. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }

  /** SIGSTOP: it stands still until {@link goOn}. */
  standStill(): void {
    this.#child.kill('SIGSTOP');
  }

  goOn(): void {
    this.#child.kill('SIGCONT');
  }
}
