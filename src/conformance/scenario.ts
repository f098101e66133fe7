/** One thing that a provider must do, with the rules that it shows. */

import type { ProviderSocket } from '../spi/index.js';
import type { ProviderBench } from './bench.js';
import type { Capability, RigOptions } from './subject.js';

/** `contract`: what the documents ask for. `faults`: processes that die, buffers that are late, resources that run out. `malice`: peers that lie. */
export type Part = 'contract' | 'faults' | 'malice';

/** What only some authors can give. A scenario without it is not tested, or not applicable if the author says why. */
export type Hook = 'processes' | 'exhaustion' | 'stranger' | 'greeting' | 'messages' | 'liar';

export interface ScenarioOptions extends Partial<RigOptions> {
  readonly part?: Part;
  /** Not applicable unless the provider declares all of these. */
  readonly needs?: readonly Capability[];
  /** Not applicable if the provider declares any of these. */
  readonly unless?: readonly Capability[];
  readonly hooks?: readonly Hook[];
  /** Holds for TCP/IP as well, which is no SAN provider. */
  readonly anyCarrier?: boolean;
}

export interface Scenario {
  /** Ids of rules first, at most three. */
  readonly title: string;
  readonly part: Part;
  readonly needs: readonly Capability[];
  readonly unless: readonly Capability[];
  readonly hooks: readonly Hook[];
  readonly anyCarrier: boolean;
  readonly rig: Partial<RigOptions>;
  readonly body: (bench: ProviderBench) => void | Promise<void>;
}

export function scenario(title: string, body: Scenario['body'], options: ScenarioOptions = {}): Scenario {
  const { part = 'contract', needs = [], unless = [], hooks = [], anyCarrier = false, ...rig } = options;
  return { title, part, needs, unless, hooks, anyCarrier, rig, body };
}

/** With a connection: the client's socket and the server's. */
export function connectedScenario(
  title: string,
  body: (bench: ProviderBench, mine: ProviderSocket, theirs: ProviderSocket) => void | Promise<void>,
  options: ScenarioOptions = {},
): Scenario {
  return scenario(
    title,
    async (bench) => {
      const { mine, theirs } = await bench.connected();
      await body(bench, mine, theirs);
    },
    options,
  );
}

const idPattern = /\bWSD-[A-Z]+-\d+\b/g;

/** The rules that a scenario shows, each once. */
export function rulesOf({ title }: Pick<Scenario, 'title'>): readonly string[] {
  return [...new Set(title.match(idPattern) ?? [])];
}
