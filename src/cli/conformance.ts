/** `sockets-direct conformance`: tests a service provider against the contract. */

import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import Table from 'cli-table3';
import type { Command } from 'commander';
import { type ConformanceReport, loadSubject, type RuleResult, runConformance } from '../conformance/index.js';

interface Options {
  readonly json?: boolean;
  readonly only?: string;
  readonly patience?: string;
  readonly all?: boolean;
}

export function addConformance(program: Command): void {
  program
    .command('conformance')
    .description('Tests a service provider against the contract: rule by rule, with faults and with malice.')
    .argument(
      '<provider>',
      "module with the provider's subject as its default export; or shared-memory, simulated, tcpip",
    )
    .option('--json', 'for programs')
    .option('--only <pattern>', 'only scenarios whose title fits this regular expression, WSD-ACC for example')
    .option('--patience <milliseconds>', 'how long a scenario waits for something', '15000')
    .option('--all', 'list every rule, those that passed too')
    .addHelpText(
      'after',
      '\nExit code 0: no scenario has failed. 1: one has. 2: there is no such provider, or it cannot be tested.',
    )
    .action(async (provider: string, options: Options) => {
      const { code, text } = await test(provider, options);
      // Whatever the provider has left running must not keep this process.
      process.stdout.write(text, () => process.exit(code));
    });
}

interface Outcome {
  readonly code: number;
  readonly text: string;
}

async function test(provider: string, { json = false, only, patience = '', all = false }: Options): Promise<Outcome> {
  // Only this command needs it.
  const { conformanceSubjects } = createRequire(import.meta.url)('../compose.js') as typeof import('../compose.js');
  const url = conformanceSubjects[provider] ?? pathToFileURL(resolve(provider)).href;
  let report: ConformanceReport;
  try {
    const limit = Number(patience);
    if (!(limit > 0)) throw new Error(`${patience} is no number of milliseconds`);
    report = await runConformance(await loadSubject(url), {
      ...(only === undefined ? {} : { only: new RegExp(only) }),
      patience: limit,
      onResult: ({ title, result, reason }) => {
        if (result === 'failed' && !json) console.error(`failed: ${title}\n        ${reason}`);
      },
    });
  } catch (error) {
    console.error(`sockets-direct: ${error instanceof Error ? error.message : String(error)}`);
    return { code: 2, text: '' };
  }
  const text = json ? JSON.stringify(report, null, 2) : readable(report, all);
  return { code: report.conforms ? 0 : 1, text: `${text}\n` };
}

const signs = {
  passed: 'ok',
  failed: 'FAILED',
  'not-applicable': 'not applicable',
  'not-tested': 'not tested',
} as const;
const columns = { sign: 16, rule: 14 } as const;

function readable(report: ConformanceReport, all: boolean): string {
  const width = Math.max(80, Math.min(process.stdout.columns ?? 120, 140));
  const table = new Table({
    head: ['', 'rule', 'why'],
    style: { head: [], border: [] },
    colWidths: [columns.sign, columns.rule, width - columns.sign - columns.rule - 4],
    wordWrap: true,
  });
  const shown = report.rules.filter(({ result }) => all || result === 'failed');
  for (const rule of shown) table.push([signs[rule.result], rule.id, detail(rule)]);
  if (!all) for (const row of unshown(report.rules)) table.push(row);
  const { counts } = report;
  const lines = [
    `${report.provider}: ${report.conforms ? 'conforms' : 'does NOT conform'}${report.complete ? '' : ', as far as asked for'}`,
    `${counts.passed} binding rules hold, ${counts.failed} do not, ${counts['not-applicable']} are not applicable, ${counts['not-tested']} not tested`,
    ...parts(report),
  ];
  return `${table.length > 0 ? `${table.toString()}\n\n` : ''}${lines.join('\n')}`;
}

/** Rules that were not shown to hold or not to hold, by reason. */
function unshown(rules: readonly RuleResult[]): readonly string[][] {
  const rows = new Map<string, RuleResult[]>();
  for (const rule of rules) {
    if (rule.result !== 'not-applicable' && rule.result !== 'not-tested') continue;
    const key = `${rule.result} ${rule.reason}`;
    rows.set(key, [...(rows.get(key) ?? []), rule]);
  }
  return [...rows.values()].map((same) => {
    const [{ result, reason }] = same as [RuleResult];
    const ids = same.map(({ id }) => id).join(', ');
    return [
      signs[result],
      same.length === 1 ? ids : `${same.length} rules`,
      same.length === 1 ? `${reason}` : `${reason}\n${ids}`,
    ];
  });
}

/** Lines of a finding that are shown; the report has all of it. */
const findingLines = 4;

function detail({ reason, title, level, binding }: RuleResult): string {
  const rule = `${level}${binding ? '' : ' (not binding)'}: ${title}`;
  return reason === null ? rule : `${reason.split('\n').slice(0, findingLines).join('\n')}\n${rule}`;
}

function parts({ scenarios, milliseconds }: ConformanceReport): readonly string[] {
  const lines = (['contract', 'faults', 'malice'] as const).map((part) => {
    const of = scenarios.filter((one) => one.part === part);
    const count = (result: string): number => of.filter((one) => one.result === result).length;
    const other = count('not-applicable') + count('not-tested');
    return `${part}: ${count('passed')} scenarios passed, ${count('failed')} failed, ${other} did not run`;
  });
  return [...lines, `${(milliseconds / 1000).toFixed(1)} s`];
}
