/** The rows of the compatibility page: what stock Node.js does, what we do, and the test that shows it. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { reasons } from '../../src/diagnostics/reasons.js';
import { filesBelow, readSource } from '../source/files.js';
import { tokenize } from '../source/lexer.js';

/** `same`: nothing differs. `tcpip`: the same, because TCP/IP carries it. `different`: on purpose, and the note says why. */
export type Decision = 'same' | 'tcpip' | 'different';

export interface Row {
  readonly topic: string;
  /** What Node.js does without Sockets Direct. */
  readonly stock: string;
  readonly here: Decision;
  /** The reason code that `connectionInfo` gives, where TCP/IP carries it. */
  readonly reason?: string;
  /** One plain sentence. */
  readonly note: string;
  /** A test file, or one of its tests: `test/compat/events.test.ts#the client ends after a write`. */
  readonly test: string;
}

export interface Table {
  readonly title: string;
  /** Path of the data inside the repository. */
  readonly path: string;
  readonly rows: readonly Row[];
}

export const pagePath = 'docs/compatibility.md';

const folder = 'docs/data';
const prefix = 'compatibility-';

/** Sections in the order of the page; a table that has no title here comes after them, under its own name. */
const titles: Readonly<Record<string, string>> = {
  sockets: 'Sockets and servers',
  protocols: 'TLS, HTTP and HTTP/2',
  processes: 'Processes, handles and workers',
};

const decisions: Readonly<Record<Decision, string>> = {
  same: 'same',
  tcpip: 'same, by TCP/IP',
  different: '**different**',
};

/** All tables, in the order of the page. */
export function readTables(root: string): readonly Table[] {
  const order = Object.keys(titles);
  const rank = (name: string): number => (order.includes(name) ? order.indexOf(name) : order.length);
  return filesBelow(root, folder, '.json')
    .map(({ path, text }) => ({ path, text, name: path.slice(`${folder}/${prefix}`.length, -'.json'.length) }))
    .filter(({ path }) => path.startsWith(`${folder}/${prefix}`))
    .sort((a, b) => rank(a.name) - rank(b.name))
    .map(({ path, text, name }) => ({ title: titles[name] ?? name, path, rows: JSON.parse(text) as Row[] }));
}

/** What is wrong with the rows, one line each. */
export function tableProblems(root: string, tables: readonly Table[]): readonly string[] {
  const topics = new Set<string>();
  return tables.flatMap(({ path, rows }) =>
    rows.flatMap((row) => {
      const problems = rowProblems(root, row);
      if (topics.has(row.topic)) problems.push('another row has this topic');
      topics.add(row.topic);
      return problems.map((problem) => `${path}: ${row.topic}: ${problem}`);
    }),
  );
}

function rowProblems(root: string, row: Row): string[] {
  const problems = [];
  for (const key of ['topic', 'stock', 'note', 'test'] as const) {
    if (typeof row[key] !== 'string' || row[key] === '') problems.push(`no ${key}`);
    else if (key !== 'test' && /[|\n]/.test(row[key])) problems.push(`${key} does not fit into a cell`);
  }
  if (!Object.hasOwn(decisions, row.here)) problems.push(`unknown decision ${row.here}`);
  if (row.reason !== undefined && !Object.hasOwn(reasons, row.reason)) problems.push(`unknown reason ${row.reason}`);
  if (row.here === 'tcpip' && row.reason === undefined) problems.push('TCP/IP carries it without a reason');
  if (typeof row.test === 'string') problems.push(...testProblems(root, row.test));
  return problems;
}

function testProblems(root: string, test: string): string[] {
  const at = test.indexOf('#');
  const path = at < 0 ? test : test.slice(0, at);
  if (!path.endsWith('.test.ts') || !existsSync(join(root, path))) return [`no test file ${path}`];
  if (at < 0) return [];
  const title = test.slice(at + 1);
  return literals(readSource(root, path).text).has(title) ? [] : [`${path} has no test '${title}'`];
}

const known = new Map<string, ReadonlySet<string>>();

/** The strings and templates of a source text; titles are among them. */
function literals(text: string): ReadonlySet<string> {
  let found = known.get(text);
  if (found === undefined) {
    const tokens = tokenize(text).filter(({ kind }) => kind === 'string' || kind === 'template');
    found = new Set(tokens.map((token) => token.text));
    known.set(text, found);
  }
  return found;
}

/** The page, as Markdown. */
export function compatibilityPage(tables: readonly Table[]): string {
  const rows = tables.flatMap((table) => table.rows);
  const count = (here: Decision): number => rows.filter((row) => row.here === here).length;
  return [
    '<!-- Written by npm run docs from docs/data/compatibility-*.json. Do not edit. -->',
    '',
    '# Compatibility',
    '',
    'What a program sees with Sockets Direct, compared with the same program on stock Node.js. Each row has a test that',
    'performs it both ways, in two processes. The tests run on Node.js 20, and on 22, 24 and 26 for what is new there.',
    '',
    `Of ${rows.length} rows, ${count('same')} are the same over shared memory, ${count('tcpip')} are the same because TCP/IP`,
    `carries them, and ${count('different')} are different.`,
    '',
    'A reason code is what `connectionInfo(socket).reason` gives.',
    ...tables.flatMap(section),
    '',
  ].join('\n');
}

function section({ title, rows }: Table): readonly string[] {
  return [
    '',
    `## ${title}`,
    '',
    '| topic | stock Node.js | with Sockets Direct | note | test |',
    '|---|---|---|---|---|',
    ...rows.map((row) => {
      const reason = row.reason === undefined ? '' : ` (\`${row.reason}\`)`;
      return `| ${row.topic} | ${row.stock} | ${decisions[row.here]}${reason} | ${row.note} | ${link(row.test)} |`;
    }),
  ];
}

function link(test: string): string {
  const path = test.split('#')[0]!;
  return `[${path.slice('test/'.length, -'.test.ts'.length)}](../${path})`;
}
