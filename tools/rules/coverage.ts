/** Which rules have a test that names them. */

import { type Catalogue, type Deviation, familyOf, type NotApplicable, providers } from './catalogue.js';
import type { TestTitle } from './titles.js';

/** What `npm run rules -- --json` prints. */
export interface Report {
  readonly covered: number;
  readonly normative: number;
  readonly missing: readonly string[];
  readonly notApplicable: readonly NotApplicable[];
  readonly deviations: readonly Deviation[];
  readonly byProvider: Readonly<Record<string, { readonly covered: number; readonly rules: readonly string[] }>>;
}

export interface FamilyCount {
  readonly family: string;
  readonly covered: number;
  readonly notApplicable: number;
  readonly total: number;
}

export interface Coverage {
  readonly report: Report;
  readonly families: readonly FamilyCount[];
  /** Titles that break the rules of the report; with any of these the report is not to be trusted. */
  readonly problems: readonly string[];
}

/** A test that claims more rules than this cannot show each of them. */
export const idsPerTestMax = 3;

const idPattern = /\bWSD-[A-Z]+-\d+\b/g;

/** The ids in a title, each once. */
export function idsOf(title: string): readonly string[] {
  return [...new Set(title.match(idPattern) ?? [])];
}

/** Counts the rules that the titles name. */
export function coverageOf(catalogue: Catalogue, titles: readonly TestTitle[]): Coverage {
  const named = titles.filter((title) => idsOf(title.title).length > 0);
  const covered = new Set(named.flatMap((title) => idsOf(title.title)));
  const excused = new Set(catalogue.notApplicable.map((entry) => entry.id));
  const ids = catalogue.rules.map((rule) => rule.id);
  const report: Report = {
    covered: ids.filter((id) => covered.has(id)).length,
    normative: ids.length,
    missing: ids.filter((id) => !covered.has(id) && !excused.has(id)),
    notApplicable: catalogue.notApplicable,
    deviations: catalogue.deviations,
    byProvider: Object.fromEntries(providers.map((provider) => [provider, providerCount(provider, ids, named)])),
  };
  return { report, families: familyCounts(ids, covered, excused), problems: problemsOf(catalogue, named, covered) };
}

function providerCount(
  provider: string,
  ids: readonly string[],
  titles: readonly TestTitle[],
): Report['byProvider'][string] {
  const tagged = new Set(
    titles.filter((title) => title.tags.includes(provider)).flatMap((title) => idsOf(title.title)),
  );
  const rules = ids.filter((id) => tagged.has(id));
  return { covered: rules.length, rules };
}

function familyCounts(
  ids: readonly string[],
  covered: ReadonlySet<string>,
  excused: ReadonlySet<string>,
): readonly FamilyCount[] {
  const names = [...new Set(ids.map(familyOf))];
  return names.map((family) => {
    const own = ids.filter((id) => familyOf(id) === family);
    return {
      family,
      covered: own.filter((id) => covered.has(id)).length,
      notApplicable: own.filter((id) => excused.has(id)).length,
      total: own.length,
    };
  });
}

function problemsOf(
  catalogue: Catalogue,
  titles: readonly TestTitle[],
  covered: ReadonlySet<string>,
): readonly string[] {
  const known = new Set([...catalogue.rules.map((rule) => rule.id), ...catalogue.otherIds]);
  const problems: string[] = [];
  for (const title of titles) {
    const where = `${title.file}:${title.line}: '${title.title}'`;
    const ids = idsOf(title.title);
    if (ids.length > idsPerTestMax) problems.push(`${where}: names ${ids.length} rules, at most ${idsPerTestMax}`);
    for (const id of ids) if (!known.has(id)) problems.push(`${where}: there is no rule ${id}`);
    for (const tag of title.tags) {
      if (!providers.some((provider) => provider === tag)) problems.push(`${where}: there is no provider '${tag}'`);
    }
    if (title.problem !== null) problems.push(`${where}: ${title.problem}`);
  }
  for (const { id } of catalogue.notApplicable) {
    if (covered.has(id)) problems.push(`${id}: listed as not applicable, but a test names it`);
  }
  return problems;
}
