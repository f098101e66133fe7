/** The planted violations: where they are listed, and what a list must be like. */

import { filesBelow } from '../source/files.js';

/** One way to break the switch, a session or a provider, and the test file that has to notice. */
export interface Planted {
  readonly family: string;
  /** The rule that is broken; without it any test of the family may notice. */
  readonly rule: string | null;
  /** Compiled module below `build/`. */
  readonly file: string;
  /** Text that occurs exactly once in the module, and what stands in its place. */
  readonly find: string;
  readonly replace: string;
  /** Compiled test file below `build/`. */
  readonly tests: string;
  readonly why: string;
}

/** Families of rules each of which needs at least one planted violation. */
export const families: readonly string[] = [
  ...['COMP', 'INI', 'TBL', 'SOC', 'LSN', 'ACC', 'CON', 'NEG', 'FLW'],
  ...['CLS', 'EVT', 'OVL', 'ERR', 'LIM', 'THR', 'BLK', 'XFR', 'DUP'],
];

/** Everything in `tools/data/planted/`, and what is wrong with it. */
export function readPlanted(root: string): { readonly planted: readonly Planted[]; readonly problems: string[] } {
  const planted: Planted[] = [];
  const problems: string[] = [];
  for (const { path, text } of filesBelow(root, 'tools/data/planted', '.json')) {
    const entries: unknown = JSON.parse(text);
    if (!Array.isArray(entries)) {
      problems.push(`${path}: not a list`);
      continue;
    }
    for (const [index, entry] of entries.entries()) {
      const read = readEntry(entry);
      if (typeof read === 'string') problems.push(`${path}, entry ${index + 1}: ${read}`);
      else planted.push(read);
    }
  }
  return { planted, problems };
}

/** The entry, or what is wrong with it. */
export function readEntry(entry: unknown): Planted | string {
  if (typeof entry !== 'object' || entry === null) return 'not an object';
  const given = entry as Readonly<Record<string, unknown>>;
  const text = (name: string): string => {
    const value = given[name];
    return typeof value === 'string' ? value : '';
  };
  for (const name of ['family', 'file', 'find', 'tests', 'why']) {
    if (text(name) === '') return `no ${name}`;
  }
  if (typeof given.replace !== 'string') return 'no replace';
  if (given.find === given.replace) return 'nothing is replaced';
  const rule = text('rule') === '' ? null : text('rule');
  if (rule !== null && !rule.startsWith(`WSD-${text('family')}-`)) return `${rule} is not of family ${text('family')}`;
  return {
    family: text('family'),
    rule,
    file: text('file'),
    find: text('find'),
    replace: text('replace'),
    tests: text('tests'),
    why: text('why'),
  };
}

/** What a title must contain for its test to speak for the planted violation. */
export function titlePattern({ family, rule }: Planted): RegExp {
  return rule === null ? new RegExp(`WSD-${family}-\\d`) : new RegExp(`${rule}(?!\\d)`);
}

/** Families without a planted violation. */
export function missingFamilies(planted: readonly Planted[]): readonly string[] {
  return families.filter((family) => !planted.some((one) => one.family === family));
}
