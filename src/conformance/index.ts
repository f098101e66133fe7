/** `sockets-direct/conformance`: tests any service provider against the contract (docs/writing-a-provider.md). */

export { ProviderBench } from './bench.js';
export { loadSubject } from './load.js';
export { Node, type Posted, type Selected } from './node.js';
export { type ConformanceReport, type Result, type RuleResult, reportVersion, type ScenarioResult } from './report.js';
export { type Rule, rules } from './rules.js';
export { excuseOf, hooksOf, type RunOptions, runConformance, runScenario } from './run.js';
export type { Hook, Part, Scenario } from './scenario.js';
export { scenarios } from './scenarios/index.js';
export {
  type Capabilities,
  type Capability,
  defineSubject,
  type Joined,
  type Liar,
  type Malice,
  type Party,
  type RawConnection,
  type Rig,
  type RigOptions,
  type Subject,
} from './subject.js';
