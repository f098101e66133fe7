/** The rules of Windows Sockets Direct that bind this package, and what it says about those it does not follow as written. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A rule that binds: level MUST or SHOULD, stated by the documents or derived from them. */
export interface Rule {
  readonly id: string;
  readonly level: string;
  readonly actor: string;
  readonly title: string;
}

/** A rule that cannot apply here. */
export interface NotApplicable {
  readonly id: string;
  readonly why: string;
}

/** A rule that is followed in another way than written. */
export interface Deviation {
  readonly id: string;
  readonly what: string;
  readonly why: string;
}

export interface Catalogue {
  readonly rules: readonly Rule[];
  /** Ids of rules that exist but do not bind (MAY, or only a proposal): a test may name them, they are not counted. */
  readonly otherIds: ReadonlySet<string>;
  readonly notApplicable: readonly NotApplicable[];
  readonly deviations: readonly Deviation[];
}

/** Providers that a test title may name in brackets, and that the report shows one by one. */
export const providers = ['tcpip', 'shared-memory', 'simulated'] as const;

/** What the letters in an id stand for. */
export const families: Readonly<Record<string, string>> = {
  COMP: 'components and roles',
  SPI: 'service provider interface',
  REG: 'installation and discovery',
  INI: 'startup',
  TBL: 'routing table',
  PRX: 'proxy',
  SOC: 'sockets and binding',
  EVT: 'network events',
  OVL: 'overlapped operations',
  MEM: 'memory registration',
  CCH: 'registration cache',
  CON: 'connecting and fallback',
  LSN: 'listening',
  ACC: 'accepting',
  NEG: 'session negotiation',
  FLW: 'flow control',
  XFR: 'data transfer',
  OOB: 'urgent data',
  CLS: 'shutdown, close, cleanup',
  BLK: 'blocking and cancellation',
  OPT: 'options and control codes',
  EXT: 'Microsoft extensions',
  DUP: 'socket duplication',
  THR: 'threads and up-calls',
  ERR: 'error convention',
  LIM: 'limits',
};

/** `WSD-ACC-8` is of family `ACC`. */
export function familyOf(id: string): string {
  return id.split('-')[1] ?? '';
}

/** Reads the catalogue from `tools/data` of the repository; throws where the data contradict themselves. */
export function readCatalogue(root: string): Catalogue {
  const rules = readRecords(root, 'normative-rules.json', ['id', 'level', 'actor', 'title']);
  const others = readRecords(root, 'other-rules.json', ['id', 'level', 'actor', 'title']);
  const catalogue: Catalogue = {
    rules,
    otherIds: new Set(others.map((rule) => rule.id)),
    notApplicable: readRecords(root, 'rules-not-applicable.json', ['id', 'why']),
    deviations: readRecords(root, 'deviations.json', ['id', 'what', 'why']),
  };
  const problems = checkCatalogue(catalogue);
  if (problems.length > 0) throw new Error(problems.join('\n'));
  return catalogue;
}

/** What is wrong with a catalogue: ids twice, of no family, or of rules that do not exist. */
export function checkCatalogue(catalogue: Catalogue): readonly string[] {
  const binding = new Set(catalogue.rules.map((rule) => rule.id));
  return [
    ...twice('rule', catalogue.rules),
    ...twice('rule that is not applicable', catalogue.notApplicable),
    ...twice('deviation', catalogue.deviations),
    ...catalogue.rules.filter((rule) => !(familyOf(rule.id) in families)).map((rule) => `${rule.id}: unknown family`),
    ...[...catalogue.notApplicable, ...catalogue.deviations]
      .filter((entry) => !binding.has(entry.id))
      .map((entry) => `${entry.id}: no such binding rule`),
    ...[...binding].filter((id) => catalogue.otherIds.has(id)).map((id) => `${id}: both binding and not binding`),
  ];
}

function twice(what: string, entries: readonly { readonly id: string }[]): readonly string[] {
  const ids = entries.map((entry) => entry.id);
  return ids.filter((id, index) => ids.indexOf(id) !== index).map((id) => `${id}: ${what} listed twice`);
}

/** A data file: an array of objects, each with exactly these keys, all of them non-empty strings. */
function readRecords<Key extends string>(
  root: string,
  name: string,
  keys: readonly Key[],
): readonly Readonly<Record<Key, string>>[] {
  const data: unknown = JSON.parse(readFileSync(join(root, 'tools', 'data', name), 'utf8'));
  if (!Array.isArray(data)) throw new Error(`${name}: not an array`);
  return data.map((entry: unknown) => {
    if (!isRecord(entry, keys)) throw new Error(`${name}: not {${keys.join(', ')}}: ${JSON.stringify(entry)}`);
    return entry;
  });
}

function isRecord<Key extends string>(value: unknown, keys: readonly Key[]): value is Record<Key, string> {
  if (typeof value !== 'object' || value === null) return false;
  const entries = Object.entries(value);
  const wanted = (key: string, text: unknown): boolean =>
    keys.some((one) => one === key) && typeof text === 'string' && text !== '';
  return entries.length === keys.length && entries.every(([key, text]) => wanted(key, text));
}
