/** Runs scenarios on a provider, each on a rig of its own. */

import { ProviderBench } from './bench.js';
import { type ConformanceReport, type Result, reportOf, type ScenarioResult, scenarioResult } from './report.js';
import type { Hook, Scenario } from './scenario.js';
import { scenarios as allScenarios } from './scenarios/index.js';
import { lacking, noSan, type Rig, type RigOptions, type Subject } from './subject.js';
import { usualPatience } from './waiting.js';

export interface RunOptions {
  /** Only scenarios whose title matches. Default: all. */
  readonly only?: RegExp;
  /** Milliseconds that a scenario may wait for something; the whole of it may take three times as long. Default: 15000. */
  readonly patience?: number;
  /** Told of each scenario as it ends. */
  readonly onResult?: (result: ScenarioResult) => void;
}

/** Why a scenario does not run, or null if it does. */
export interface Excuse {
  readonly result: Exclude<Result, 'passed' | 'failed'>;
  readonly reason: string;
}

/** The hooks that the author gives. */
export async function hooksOf(subject: Subject): Promise<ReadonlySet<Hook>> {
  const rig = await open(subject, {}, usualPatience);
  const { malice = {}, place, server } = rig;
  const hooks = new Set<Hook>();
  if (place !== undefined && subject.join !== undefined && subject.url !== undefined) hooks.add('processes');
  if (server.exhaust !== undefined) hooks.add('exhaustion');
  for (const hook of ['stranger', 'greeting', 'messages', 'liar'] as const) {
    if (malice[hook] !== undefined) hooks.add(hook);
  }
  rig.close();
  return hooks;
}

const hookReasons: Readonly<Record<Hook, string>> = {
  processes: 'the author gives no way to join from another process',
  exhaustion: 'the author gives no way to let its memory run out',
  stranger: 'the author gives no access to its transport',
  greeting: 'the author gives no bytes of a proper client',
  messages: 'the author gives no bytes of a proper client after its acceptance',
  liar: 'the author gives no peer that shares memory',
};

export function excuseOf(subject: Subject, hooks: ReadonlySet<Hook>, scenario: Scenario): Excuse | null {
  const { capabilities, notApplicable = {} } = subject;
  if (subject.carrier === 'tcpip' && !scenario.anyCarrier) return { result: 'not-applicable', reason: noSan };
  const lacks = scenario.needs.find((capability) => !capabilities[capability]);
  if (lacks !== undefined) return { result: 'not-applicable', reason: lacking[lacks] };
  const has = scenario.unless.find((capability) => capabilities[capability]);
  if (has !== undefined) return { result: 'not-applicable', reason: `the provider declares ${has}` };
  const missing = scenario.hooks.find((hook) => !hooks.has(hook));
  if (missing === undefined) return null;
  const why = missing === 'processes' || missing === 'exhaustion' ? notApplicable[missing] : notApplicable.malice;
  if (why !== undefined) return { result: 'not-applicable', reason: why };
  return { result: 'not-tested', reason: hookReasons[missing] };
}

async function open(subject: Subject, wishes: Partial<RigOptions>, patience: number): Promise<Rig> {
  return subject.open({ connectBudget: patience, ...wishes });
}

/** Rejects with what the scenario found. What must hold at the end of every scenario is checked as well. */
export async function runScenario(subject: Subject, scenario: Scenario, patience = usualPatience): Promise<void> {
  // Nothing of a provider has to keep a process alive.
  const alive = setInterval(() => {}, 60_000);
  try {
    const rig = await open(subject, scenario.rig, patience);
    const bench = startBench(rig, subject, patience);
    try {
      await scenario.body(bench);
    } finally {
      await bench.close();
    }
    bench.checkEnd();
  } finally {
    clearInterval(alive);
  }
}

function startBench(rig: Rig, subject: Subject, patience: number): ProviderBench {
  try {
    return new ProviderBench(rig, subject, patience);
  } catch (error) {
    rig.close();
    throw error;
  }
}

/** Runs everything that applies, one after the other, and never rejects because of the provider. */
export async function runConformance(subject: Subject, options: RunOptions = {}): Promise<ConformanceReport> {
  const { only = null, patience = usualPatience, onResult = () => {} } = options;
  const started = new Date();
  const from = performance.now();
  const hooks = await hooksOf(subject);
  const results: ScenarioResult[] = [];
  const strays = new Strays();
  try {
    for (const scenario of allScenarios) {
      const excuse = excuseOf(subject, hooks, scenario);
      let result: ScenarioResult;
      if (excuse !== null) result = scenarioResult(scenario, excuse.result, excuse.reason, 0);
      else if (only !== null && !only.test(scenario.title))
        result = scenarioResult(scenario, 'not-tested', 'left out', 0);
      else result = await attempt(subject, scenario, patience, strays);
      results.push(result);
      onResult(result);
    }
  } finally {
    strays.close();
  }
  return reportOf({
    provider: subject.name,
    isSan: subject.carrier === undefined,
    capabilities: subject.capabilities,
    started,
    milliseconds: performance.now() - from,
    complete: only === null,
    scenarios: results,
  });
}

/** What a provider throws from its own timers and sockets. It counts against the scenario that runs. */
class Strays {
  #reject: ((error: unknown) => void) | null = null;
  readonly #take = (error: unknown): void => this.#reject?.(error);

  constructor() {
    process.on('uncaughtException', this.#take);
    process.on('unhandledRejection', this.#take);
  }

  /** Rejects with the next one. */
  next(): Promise<never> {
    return new Promise((_, reject) => {
      this.#reject = reject;
    });
  }

  close(): void {
    process.off('uncaughtException', this.#take);
    process.off('unhandledRejection', this.#take);
  }
}

/** Milliseconds that a scenario has to end in after something was thrown beside it. */
const strayLimit = 1000;

async function attempt(
  subject: Subject,
  scenario: Scenario,
  patience: number,
  strays: Strays,
): Promise<ScenarioResult> {
  const from = performance.now();
  const running = runScenario(subject, scenario, patience);
  try {
    await Promise.race([running, strays.next(), endAfter(3 * patience)]);
    return scenarioResult(scenario, 'passed', null, performance.now() - from);
  } catch (error) {
    // The next scenario must not meet what this one has left running.
    await Promise.race([running, endAfter(strayLimit)]).catch(() => {});
    return scenarioResult(scenario, 'failed', messageOf(error), performance.now() - from);
  }
}

function endAfter(milliseconds: number): Promise<never> {
  return new Promise((_, reject) => {
    setTimeout(() => reject(new Error('the scenario has come to no end')), milliseconds).unref();
  });
}

/** With the line of the scenario, which is where an author looks first. */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const line = /scenarios\/[\w-]+\.js:\d+/.exec(error.stack ?? '')?.[0];
  return line === undefined ? error.message : `${error.message} (${line})`;
}
