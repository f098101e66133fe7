/** Rounds in which one side of a connection is killed at a step, and what is checked of the survivor afterwards. */

import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { modules } from '../test/support/preload.js';
import { type Program, resourcesOf, type Stage } from '../test/support/stage.js';
import { type Account, plans } from './account.js';
import { accountOf, armPoint, forget, setPlan, sideProgram, within } from './accounts.js';
import type { LastWords, Point } from './points.js';
import type { Outcome, Side, Step } from './steps.js';

export interface KillRound {
  readonly outcome: Outcome;
  /** Milliseconds from the death until the survivor had its outcome. */
  readonly delay: number;
  /** Milliseconds from the death until the kernel had told of it: a busy machine takes its time to end a process. */
  readonly gone: number;
}

/** Bounds in milliseconds: on the way to the step, and from the death to an outcome and to a clean account. */
const stepBound = 15_000;
const outcomeBound = 10_000;
/** After this time it is asked whether the budget of the connect was over before the step was reached. */
const missedAfter = 2000;
const missesMax = 5;
const triesMax = 10;

/** Its socket, and the entry of its port. */
const namesOfListener = 2;

interface Victim {
  readonly process: Program;
  readonly note: string;
  /** Of an acceptor; 0 otherwise. */
  readonly port: Promise<number>;
}

interface Holdings {
  readonly descriptors: number;
  readonly arenas: number;
  readonly names: number;
  readonly census: Account['census'];
}

function other(side: Side): Side {
  return side === 'acceptor' ? 'connector' : 'acceptor';
}

async function readiness(side: Side, process: Program): Promise<number> {
  if (side === 'acceptor') return (await process.next<{ port: number }>('listening')).port;
  await process.next('ready');
  return 0;
}

/** One step with victims on one side, one after the other, and one survivor. */
export class KillRounds {
  readonly #stage: Stage;
  readonly #env: NodeJS.ProcessEnv;
  readonly #step: Step;
  /** The victims' side. */
  readonly #side: Side;
  readonly #survivor: Program;
  /** Plays the victim's part without dying, to see that the survivor goes on. */
  readonly #healthy: Program;
  #port = 0;
  #healthyPort = 0;
  #next: Victim | null = null;
  #before: Holdings | null = null;
  #victims = 0;
  #rounds = 0;

  private constructor(stage: Stage, step: Step, side: Side, env: NodeJS.ProcessEnv) {
    this.#stage = stage;
    this.#env = env;
    this.#step = step;
    this.#side = side;
    // That it falls back where the server is dead is part of what is tested.
    this.#survivor = stage.start(sideProgram, [other(side)], {
      preload: modules,
      require: false,
      flags: ['--expose-gc'],
      env,
    });
    this.#healthy = stage.start(sideProgram, [side], { preload: modules, env });
  }

  /** `env`: more environment variables of all processes, to switch something on or off. */
  static async begin(stage: Stage, step: Step, side: Side, env: NodeJS.ProcessEnv = {}): Promise<KillRounds> {
    const rounds = new KillRounds(stage, step, side, env);
    rounds.#next = rounds.#startVictim(0);
    rounds.#port = await readiness(other(side), rounds.#survivor);
    rounds.#healthyPort = await readiness(side, rounds.#healthy);
    await rounds.#exchange();
    // The first round is for what is made once.
    await rounds.round();
    return rounds;
  }

  #startVictim(round: number): Victim {
    const points = this.#step.points[this.#side];
    const point: Point = points[round % points.length];
    const note = join(this.#stage.directory, `last-words-${this.#victims++}`);
    const process = this.#stage.start(sideProgram, [this.#side, this.#step.victimPlan], {
      preload: modules,
      flags: ['--import', armPoint],
      env: { ...this.#env, STRESS_POINT: JSON.stringify(point), STRESS_NOTE: note },
    });
    const port = readiness(this.#side, process);
    // The last one is not waited for.
    port.catch(() => {});
    return { process, note, port };
  }

  async round(): Promise<KillRound> {
    let victim = this.#next!;
    const round = this.#rounds++;
    this.#next = this.#startVictim(round + 1);
    await setPlan(this.#survivor, this.#step.survivorPlan);
    for (let misses = 0; !(await this.#dies(victim)); misses++) {
      assert.ok(misses < missesMax, `the step is not reached: ${victim.process.output}`);
      victim = this.#startVictim(round);
    }
    const words = lastWords(victim);
    const account = await this.#settled();
    const gone = performance.timeOrigin + victim.process.exit!.time - words.time;
    const result = { ...this.#judge(account, words), gone };
    await forget(this.#survivor, this.#healthy);
    if (this.#side === 'acceptor') await this.#checkRefused(await victim.port);
    await this.#exchange();
    // Its names are there before the count and after it.
    await this.#next.port;
    await this.#checkHoldings();
    return result;
  }

  /** Lets the victim come to its step. False, and nothing is left of it: a busy machine made the connect take another way. */
  async #dies(victim: Victim): Promise<boolean> {
    const { process } = victim;
    this.#connect(process, await victim.port);
    if (await process.ended(missedAfter).catch(() => null)) return true;
    const connector = this.#side === 'acceptor' ? this.#survivor : process;
    let missed = false;
    await within(
      stepBound,
      async () => {
        // Whoever dies while it is asked says nothing.
        const account = await accountOf(connector).catch(() => null);
        if (account === null || process.exit !== null) return process.exit !== null;
        missed = account.failed.length > 0 || account.opened.some(({ provider }) => provider !== 'shared-memory');
        return missed;
      },
      (over) => over,
      'neither dead nor on another way',
    );
    if (!missed) return true;
    process.kill();
    await process.ended();
    await within(
      outcomeBound,
      () => accountOf(this.#survivor),
      ({ opened, ended, census }) => opened.length === ended.length && census.links === 1,
      'what missed the step does not end',
    );
    await forget(this.#survivor, this.#healthy);
    return false;
  }

  /** Connects the survivor and a process of the victim's side. */
  #connect(process: Program, port: number): void {
    if (this.#side === 'acceptor') this.#survivor.tell({ kind: 'connect', port });
    else process.tell({ kind: 'connect', port: this.#port });
  }

  /** The survivor's account once it has an outcome: a failed connect, or the link and all that it was told of is over. */
  #settled(): Promise<Account> {
    return within(
      outcomeBound,
      () => accountOf(this.#survivor),
      ({ opened, ended, failed, lastLinkEnd }) =>
        opened.length === ended.length &&
        (this.#side === 'connector' ? lastLinkEnd > 0 : opened.length + failed.length === 1),
      'the survivor has no outcome',
    );
  }

  #judge({ opened, ended, failed, lastLinkEnd }: Account, words: LastWords): Omit<KillRound, 'gone'> {
    assert.ok(opened.length <= 1, 'more than one connection');
    const [one] = ended;
    const [failure] = failed;
    if (one === undefined) {
      const outcome = failure === undefined ? 'nothing' : (failure.code as Outcome);
      this.#checkOutcome(outcome, failure?.reason ?? '');
      return { outcome, delay: (failure?.time ?? lastLinkEnd) - words.time };
    }
    const { how, time, provider, bytes, correct } = one;
    const outcome = (provider === 'tcpip' ? 'TCP/IP' : how) as Outcome;
    this.#checkOutcome(outcome, how);
    assert.ok(correct, 'bytes that were not sent');
    if (provider === 'shared-memory') {
      assert.ok(!words.waiting, 'one connection cannot fill the ring');
      if (this.#step.inBlock) assert.ok(bytes >= words.sent, `${bytes} of ${words.sent} bytes that it had sent`);
      else assert.equal(bytes, words.sent, 'bytes that the victim had sent');
    }
    // The connection may have been over before the victim was.
    return { outcome, delay: Math.max(0, time - words.time) };
  }

  #checkOutcome(outcome: Outcome, detail: string): void {
    const allowed = this.#step.outcomes[this.#side];
    // Whoever has fallen back connects by TCP/IP, and the kernel may accept for a process that is just dying.
    if (outcome === 'ECONNRESET' && detail === 'connect-timeout' && allowed.includes('TCP/IP')) return;
    assert.ok(allowed.includes(outcome), `${outcome} (${detail}), allowed: ${allowed.join(', ')}`);
  }

  /** Nobody is there any more, and whoever finds that out removes the names of the dead. */
  async #checkRefused(port: number): Promise<void> {
    this.#survivor.tell({ kind: 'connect', port });
    const { failed } = await within(
      outcomeBound,
      () => accountOf(this.#survivor),
      ({ failed }) => failed.length === 1,
      'no answer for a dead port',
    );
    assert.equal(failed[0].code, 'ECONNREFUSED');
    await forget(this.#survivor, this.#healthy);
  }

  /** The survivor goes on with others over shared memory, unless a busy machine exceeds the budget of a connect each time. */
  async #exchange(): Promise<void> {
    await setPlan(this.#survivor, 'exchange');
    for (let tries = 1; (await this.#exchangeOnce()) !== 'shared-memory'; tries++) {
      assert.ok(tries < triesMax, 'the survivor does not use shared memory any more');
    }
  }

  /** What both ends say has carried everything; null: the connect has failed for want of time. */
  async #exchangeOnce(): Promise<string | null> {
    const connector = this.#side === 'acceptor' ? this.#survivor : this.#healthy;
    this.#connect(this.#healthy, this.#healthyPort);
    const carriers: (string | null)[] = [];
    for (const process of [connector, connector === this.#survivor ? this.#healthy : this.#survivor]) {
      const { ended, failed } = await within(
        outcomeBound,
        () => accountOf(process),
        ({ ended, failed }) => ended.length + failed.length === 1,
        'no healthy exchange',
      );
      if (failed.length > 0) {
        assert.equal(failed[0].reason, 'connect-timeout');
        await forget(connector);
        return null;
      }
      const { how, provider, bytes, correct } = ended[0];
      assert.deepEqual({ how, bytes, correct }, { how: 'end', bytes: plans.exchange.bytes, correct: true });
      carriers.push(provider);
    }
    assert.equal(carriers[1], carriers[0], 'both ends agree');
    await forget(this.#survivor, this.#healthy);
    return carriers[0];
  }

  async #holdings(): Promise<Holdings> {
    const { census } = await accountOf(this.#survivor);
    return { ...resourcesOf(this.#survivor.pid), names: this.#stage.leftovers().length, census };
  }

  /** Everything as before the first round that counts, and no name but those of who listens. */
  async #checkHoldings(): Promise<void> {
    const before = this.#before;
    const names = this.#side === 'acceptor' ? 2 * namesOfListener : namesOfListener;
    this.#before = await within(
      outcomeBound,
      () => this.#holdings(),
      (after) => after.names === names && (before === null || isDeepStrictEqual(after, before)),
      `not as before, which was ${JSON.stringify(before)}`,
    );
  }
}

function lastWords({ process, note }: Victim): LastWords {
  const { code, signal } = process.exit!;
  assert.deepEqual({ code, signal }, { code: null, signal: 'SIGKILL' }, process.output);
  const words = JSON.parse(readFileSync(note, 'utf8')) as LastWords;
  rmSync(note);
  return words;
}
