/**
 * The test of each scenario of a file: its notes on stock Node.js and with Sockets Direct are the same. One pair of
 * processes performs all scenarios of a file in turn, because starting processes takes longer than most of them.
 */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { type Program, Stage } from '../../support/stage.js';
import { type Notes, nodeIsAtLeast, type Scenario, type Scenarios } from './scenario.js';

/** Milliseconds. */
const scenarioLimit = 10_000;

interface Outcome extends Notes {
  readonly carriers: readonly string[];
  readonly reasons: readonly string[];
  readonly problem: string | null;
}

interface Told {
  readonly notes: string[];
  readonly carriers: string[];
  readonly reasons: string[];
}

type Mode = 'required' | 'fallback' | 'stock';

/** The two processes of one mode. */
class Pair {
  readonly #stage: Stage;
  readonly #url: URL;
  readonly #mode: Mode;
  #programs: { server: Program; client: Program } | null = null;

  constructor(stage: Stage, url: URL, mode: Mode) {
    this.#stage = stage;
    this.#url = url;
    this.#mode = mode;
  }

  #start(role: string): Program {
    const options = this.#mode === 'stock' ? { preload: null } : { require: this.#mode === 'required' };
    return this.#stage.start(this.#url, [role], { ...options, flags: ['--expose-gc', '--no-warnings'] });
  }

  async run(title: string): Promise<Outcome> {
    this.#programs ??= { server: this.#start('server'), client: this.#start('client') };
    const { server, client } = this.#programs;
    const both = [server, client];
    let problem: string | null = null;
    try {
      server.tell({ kind: 'run', title, port: 0 });
      const stop = [relay(server, client), relay(client, server)];
      const { port } = await server.next<{ port: number }>('begin', scenarioLimit);
      client.tell({ kind: 'run', title, port });
      await Promise.all(both.map((program) => program.next('done', scenarioLimit)));
      for (const end of stop) end();
    } catch (error) {
      problem = (error as Error).message;
    }
    try {
      for (const program of both) program.tell({ kind: 'collect' });
      const [serverSide, clientSide] = await Promise.all(
        both.map((program) => program.next<Told>('notes', scenarioLimit)),
      );
      const carriers = [...new Set([...serverSide.carriers, ...clientSide.carriers])];
      const reasons = [...new Set([...serverSide.reasons, ...clientSide.reasons])];
      if (problem === null) {
        for (const program of both) program.tell({ kind: 'leave' });
        await Promise.all(both.map((program) => program.next('left', scenarioLimit)));
      }
      return { server: serverSide.notes, client: clientSide.notes, carriers, reasons, problem };
    } finally {
      if (problem !== null) {
        for (const program of both) program.kill();
        this.#programs = null;
      }
    }
  }
}

/** Passes on what one end tells the other. */
function relay(from: Program, to: Program): () => void {
  const pass = (message: { kind: string; word: string }): void => {
    if (message.kind === 'tell') to.tell({ kind: 'told', word: message.word });
  };
  from.child.on('message', pass);
  return () => from.child.off('message', pass);
}

/** Fails with what both ends have noted, unless the condition holds. */
function holds(condition: boolean, what: string, { server, client, reasons }: Outcome): void {
  if (!condition) assert.fail(`${what}\n${JSON.stringify({ server, client, reasons }, null, 1)}`);
}

function check(scenario: Scenario, direct: Outcome, stock: Outcome): void {
  holds(stock.problem === null, `stock: ${stock.problem}`, stock);
  holds(direct.problem === null, `Sockets Direct: ${direct.problem}`, direct);
  holds(stock.server.length + stock.client.length > 0, 'the scenario notes nothing', stock);
  // A connect that was not carried is the cause of whatever else is different.
  const wanted = scenario.carriers ?? ['shared-memory'];
  const carried =
    scenario.fallback === true
      ? direct.carriers.every((one) => wanted.includes(one))
      : [...direct.carriers].sort().join() === wanted.join();
  holds(carried, `carried by ${direct.carriers}, not ${wanted}`, direct);
  if (scenario.differs === undefined) {
    assert.deepEqual({ server: direct.server, client: direct.client }, { server: stock.server, client: stock.client });
  } else {
    scenario.differs(direct, stock);
  }
}

export function declare(url: string, scenarios: Scenarios): void {
  const stage = new Stage({ after: (close) => after(close as () => void) });
  const pair = (mode: Mode): Pair => new Pair(stage, new URL(url), mode);
  const [required, fallback, stock] = [pair('required'), pair('fallback'), pair('stock')];
  for (const [title, scenario] of Object.entries(scenarios)) {
    const { since, fallback: mayFallBack = false } = scenario;
    if (since !== undefined && !nodeIsAtLeast(...since)) continue;
    test(title, { timeout: 60_000 }, async () => {
      const direct = mayFallBack ? fallback : required;
      const ours = direct.run(title);
      const theirs = stock.run(title);
      // Neither pair may still be at it when the next scenario comes.
      await Promise.allSettled([ours, theirs]);
      check(scenario, await ours, await theirs);
    });
  }
}
