/** The conformance report: for programs as JSON, and what it is made from. */

import { familyOf, inapplicable, type Rule, rules } from './rules.js';
import { type Part, rulesOf, type Scenario } from './scenario.js';
import { type Capabilities, type Capability, lacking, noSan } from './subject.js';

/** Version of the form of a report. Members may be added to it; anything else makes another version. */
export const reportVersion = 1;

/**
 * `not-applicable`: the provider declares that it has none of what is tested. `not-tested`: the kit has no scenario, was
 * told to leave it out, or the author gives it no means. Both have a reason.
 */
export type Result = 'passed' | 'failed' | 'not-applicable' | 'not-tested';

export interface ScenarioResult {
  readonly title: string;
  readonly part: Part;
  /** Ids of the rules that it shows. */
  readonly rules: readonly string[];
  readonly result: Result;
  readonly milliseconds: number;
  /** Why it did not run, or what it found. Null: it passed. */
  readonly reason: string | null;
}

export interface RuleResult extends Rule {
  readonly result: Result;
  /** Why it was not tested or is not applicable, or what was found. Null: it passed. */
  readonly reason: string | null;
  /** How many scenarios show it, and ran. */
  readonly scenarios: number;
}

export interface ConformanceReport {
  readonly version: typeof reportVersion;
  /** Name of the provider. */
  readonly provider: string;
  readonly capabilities: Capabilities;
  readonly node: string;
  readonly platform: string;
  /** ISO 8601, in UTC. */
  readonly date: string;
  readonly milliseconds: number;
  /** No scenario has failed. */
  readonly conforms: boolean;
  /** False if only some scenarios were asked for. */
  readonly complete: boolean;
  /** Binding rules by result. */
  readonly counts: Readonly<Record<Result, number>>;
  readonly rules: readonly RuleResult[];
  readonly scenarios: readonly ScenarioResult[];
}

/** Families that hang on a capability as a whole. */
const families: Readonly<Record<string, Capability>> = { CCH: 'registrationCache', DUP: 'duplication' };

export interface Run {
  readonly provider: string;
  readonly capabilities: Capabilities;
  readonly isSan: boolean;
  readonly started: Date;
  readonly milliseconds: number;
  readonly complete: boolean;
  readonly scenarios: readonly ScenarioResult[];
}

export function reportOf(run: Run): ConformanceReport {
  const results = rules.map((rule) => ruleResult(rule, run));
  const counts = { passed: 0, failed: 0, 'not-applicable': 0, 'not-tested': 0 };
  for (const { binding, result } of results) if (binding) counts[result]++;
  return {
    version: reportVersion,
    provider: run.provider,
    capabilities: run.capabilities,
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    date: run.started.toISOString(),
    milliseconds: Math.round(run.milliseconds),
    conforms: run.scenarios.every(({ result }) => result !== 'failed'),
    complete: run.complete,
    counts,
    rules: results,
    scenarios: run.scenarios,
  };
}

function ruleResult(rule: Rule, { scenarios, capabilities, isSan }: Run): RuleResult {
  const of = scenarios.filter((one) => one.rules.includes(rule.id));
  const ran = of.filter(({ result }) => result === 'passed' || result === 'failed').length;
  const reasonOf = (wanted: Result): string =>
    [...new Set(of.filter(({ result }) => result === wanted).map(({ reason }) => reason ?? ''))].join('; ');
  const done = (result: Result, reason: string | null): RuleResult => ({ ...rule, result, reason, scenarios: ran });
  for (const result of ['failed', 'passed', 'not-tested', 'not-applicable'] as const) {
    if (!of.some((one) => one.result === result)) continue;
    return done(result, result === 'passed' ? null : reasonOf(result));
  }
  const why = inapplicable[rule.id];
  if (why !== undefined) return done('not-applicable', why);
  const capability = families[familyOf(rule.id)];
  if (capability !== undefined && !capabilities[capability]) return done('not-applicable', lacking[capability]);
  if (!isSan) return done('not-applicable', noSan);
  return done('not-tested', 'the kit has no scenario for it');
}

export function scenarioResult(
  { title, part }: Scenario,
  result: Result,
  reason: string | null,
  milliseconds: number,
): ScenarioResult {
  return { title, part, rules: rulesOf({ title }), result, milliseconds: Math.round(milliseconds), reason };
}
