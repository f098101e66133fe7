/**
 * The titles of the tests in a source file: what is given as the first argument to `test()`, `it()`, or `test()` of a test's
 * context. Titles are read from the source, so a rule is covered by a test that exists, run or not.
 *
 * A title is a string, a template, or several of these added up. In a template, `[${provider}]` stands for every provider
 * that the loop variable runs over: `for (const provider of ['shared-memory', 'simulated'])`, or `of providers` where any
 * test file, or the file itself, has `const providers = ['shared-memory', 'simulated']`.
 */

import { argumentsOf, closing, isName, isPunctuation, type Token, tokenize } from '../source/lexer.js';

export interface TestTitle {
  readonly file: string;
  readonly line: number;
  /** As written, with substitutions as `${...}`. */
  readonly title: string;
  /** Providers named in brackets, loops unrolled. */
  readonly tags: readonly string[];
  /** Why the tags could not be read, or null. */
  readonly problem: string | null;
}

/** Lists of strings by the name of the constant that holds them. */
export type StringLists = ReadonlyMap<string, readonly string[]>;

const modifiers = new Set(['only', 'concurrent']);
const tagPattern = /\[([a-z][a-z0-9-]*|\$\{[^}]*\})\]/g;

/** Constants of a source text that are arrays of plain strings. */
export function stringLists(source: string): StringLists {
  const tokens = tokenize(source);
  const lists = new Map<string, readonly string[]>();
  tokens.forEach((token, i) => {
    if (!isName(token, 'const')) return;
    const equals = tokens.findIndex((one, at) => at > i + 1 && (isPunctuation(one, '=') || isPunctuation(one, ';')));
    const list = stringsAt(tokens, equals + 1);
    if (list !== null) lists.set(tokens[i + 1]!.text, list);
  });
  return lists;
}

/** The titles of the tests in a source text. Tests that are always skipped, or only planned, have no part. */
export function testTitles(file: string, source: string, shared: StringLists): readonly TestTitle[] {
  const tokens = tokenize(source);
  const lists = new Map([...shared, ...stringLists(source)]);
  const loops = loopVariables(tokens, lists);
  const titles: TestTitle[] = [];
  tokens.forEach((token, i) => {
    const open = openOfTestCall(tokens, i);
    if (open === null) return;
    const given = argumentsOf(tokens, open);
    const title = titleOf(given[0] ?? []);
    if (title !== null && !isSkipped(given)) titles.push({ file, line: token.line, title, ...tagsOf(title, loops) });
  });
  return titles;
}

/** Where the parenthesis of a test call is, if the name at `i` starts one. */
function openOfTestCall(tokens: readonly Token[], i: number): number | null {
  if (!isName(tokens[i], 'test') && !isName(tokens[i], 'it')) return null;
  const member = isPunctuation(tokens[i - 1], '.');
  const chained = isPunctuation(tokens[i + 1], '.') && modifiers.has(tokens[i + 2]?.text ?? '');
  const open = chained ? i + 3 : i + 1;
  if (!isPunctuation(tokens[open], '(') || isName(tokens[i - 1], 'function')) return null;
  // `/x/.test('text')` takes one argument; a test of a context (`t.test('title', ...)`) has a body.
  if (member && (tokens[i - 2]?.kind !== 'name' || argumentsOf(tokens, open).length < 2)) return null;
  return open;
}

/** The text of a title, or null where it is no literal. */
function titleOf(tokens: readonly Token[]): string | null {
  const pieces = tokens.filter((token) => token.kind === 'string' || token.kind === 'template');
  if (pieces.length === 0) return null;
  return pieces.map((piece) => piece.text).join('');
}

/** `{ skip: true }`, `{ skip: 'reason' }`, `{ todo: ... }` among the options; a condition (`skip: !x`) does not count. */
function isSkipped(given: readonly (readonly Token[])[]): boolean {
  const options = given.slice(1).find((argument) => isPunctuation(argument[0], '{')) ?? [];
  return options.some((token, i) => {
    if (!isPunctuation(options[i + 1], ':')) return false;
    if (token.text === 'todo') return !isName(options[i + 2], 'false');
    return (
      token.text === 'skip' &&
      (isName(options[i + 2], 'true') || options[i + 2]?.kind === 'string') &&
      endsAt(options, i + 3)
    );
  });
}

function endsAt(tokens: readonly Token[], i: number): boolean {
  return isPunctuation(tokens[i], ',') || isPunctuation(tokens[i], '}');
}

/** For `for (const x of list)` and `list.forEach((x) =>`: what `x` runs over. */
function loopVariables(tokens: readonly Token[], lists: StringLists): StringLists {
  const loops = new Map<string, readonly string[]>();
  tokens.forEach((token, i) => {
    if (isName(token, 'const') && isName(tokens[i + 2], 'of')) {
      const list = stringsAt(tokens, i + 3) ?? lists.get(tokens[i + 3]?.text ?? '');
      if (list !== undefined) loops.set(tokens[i + 1]!.text, [...(loops.get(tokens[i + 1]!.text) ?? []), ...list]);
    } else if (isName(token, 'const') && isPunctuation(tokens[i + 2], '=') && tokens[i + 3]?.kind === 'string') {
      loops.set(tokens[i + 1]!.text, [tokens[i + 3]!.text]);
    }
  });
  return loops;
}

/** The strings of an array literal at `open`, or null where it is not one of strings only. */
function stringsAt(tokens: readonly Token[], open: number): readonly string[] | null {
  if (!isPunctuation(tokens[open], '[')) return null;
  const inside = tokens.slice(open + 1, closing(tokens, open)).filter((token) => !isPunctuation(token, ','));
  return inside.every((token) => token.kind === 'string') ? inside.map((token) => token.text) : null;
}

function tagsOf(title: string, loops: StringLists): Pick<TestTitle, 'tags' | 'problem'> {
  const tags = new Set<string>();
  for (const [, tag] of title.matchAll(tagPattern)) {
    const variable = /^\$\{\s*(\w+)\s*\}$/.exec(tag!)?.[1];
    const values = tag!.startsWith('$') ? loops.get(variable ?? '') : [tag!];
    if (values === undefined) return { tags: [], problem: `cannot tell which providers [${tag}] stands for` };
    for (const value of values) tags.add(value);
  }
  return { tags: [...tags], problem: null };
}
