/** The demo's server and clients as processes, with the preload or without. */

import { fileURLToPath } from 'node:url';
import { Child } from '../bench/harness/child.js';
import { cleanEnvironment, preload } from '../bench/harness/environment.js';
import type { Command } from './commands.js';

const ANSWER_MS = 20_000;

export interface Start {
  preload: boolean;
  env?: NodeJS.ProcessEnv;
}

export class DemoServer {
  readonly child: Child;

  constructor(start: Start) {
    this.child = spawnProgram('server', [], start);
  }

  async port(): Promise<number> {
    const { port } = Object(await this.child.next(ANSWER_MS)) as { port?: unknown };
    if (typeof port !== 'number') throw new Error('the server told no port');
    return port;
  }
}

/** What the client said instead of a result. */
export class ClientError extends Error {}

export class DemoClient {
  readonly child: Child;

  constructor(port: number, start: Start) {
    this.child = spawnProgram('client', [String(port)], start);
  }

  /** Throws ClientError if the request failed. */
  async ask(command: Command): Promise<Record<string, unknown>> {
    this.child.send(command);
    const answer = Object(await this.child.next(ANSWER_MS)) as Record<string, unknown>;
    if (answer.error !== undefined) {
      throw new ClientError(`${command.do} ${command.path} failed: ${String(answer.error)}`);
    }
    return answer;
  }
}

export function spawnProgram(name: string, args: readonly string[], start: Start): Child {
  const program = fileURLToPath(new URL(`./${name}.js`, import.meta.url));
  const node = [process.execPath, ...(start.preload ? preload : []), program, ...args];
  return new Child(`the ${name}`, node, cleanEnvironment(start.env));
}
