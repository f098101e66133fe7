/** The report on rules as a text for people. */

import { type Catalogue, families } from './catalogue.js';
import type { Coverage, FamilyCount } from './coverage.js';

/** A table by family, then what is missing, excused, and done in another way. */
export function printable(catalogue: Catalogue, coverage: Coverage): string {
  const { report } = coverage;
  const titles = new Map(catalogue.rules.map((rule) => [rule.id, `${rule.level.padEnd(10)} ${rule.title}`]));
  const line = (id: string, text: string): string => `  ${id.padEnd(12)} ${text}`;
  return [
    'Rules of Windows Sockets Direct that a test names',
    '',
    ...coverage.families.map(familyLine),
    '',
    `  ${report.covered} of ${report.normative} covered, ${report.notApplicable.length} not applicable, ${report.missing.length} missing`,
    ...Object.entries(report.byProvider).map(([name, count]) => `  of these on ${name}: ${count.covered}`),
    ...section(
      'Missing',
      report.missing.map((id) => line(id, titles.get(id) ?? '')),
    ),
    ...section(
      'Not applicable',
      report.notApplicable.map((entry) => line(entry.id, entry.why)),
    ),
    ...section(
      'Followed in another way',
      report.deviations.flatMap((entry) => [line(entry.id, entry.what), line('', entry.why)]),
    ),
  ].join('\n');
}

function familyLine(count: FamilyCount): string {
  const share = `${count.covered}/${count.total}`.padStart(7);
  const excused = count.notApplicable > 0 ? `  (${count.notApplicable} not applicable)` : '';
  return `  ${count.family.padEnd(5)} ${(families[count.family] ?? '').padEnd(28)} ${share}${excused}`;
}

function section(title: string, lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : ['', title, '', ...lines];
}
