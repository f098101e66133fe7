/** Checks on the text of the repository: length, words that mark unfinished work, the type that is none, machine paths. */

import type { SourceFile } from '../source/files.js';
import { isPunctuation, type Token, tokenize } from '../source/lexer.js';
import { sleepsIn } from './sleeps.js';

/** A test file that may sleep, and why no event can be waited for. */
export interface AllowedSleep {
  readonly file: string;
  readonly why: string;
}

export const linesMax = 500;

/** Split, so that these checks do not find themselves. */
const unfinished = new RegExp(`\\b(${['TO', 'FIX'].join('DO|')}ME)\\b`);
const machinePath = new RegExp(`(?<![\\w.\\-/])/(${['work', 'home', 'root'].join('|')})/`);

/** Problems of any source file, be it in `src/`, `test/` or beside them. */
export function textProblems(file: SourceFile): readonly string[] {
  const lines = file.text.split('\n');
  const count = lines.at(-1) === '' ? lines.length - 1 : lines.length;
  const problems = count > linesMax ? [`${file.path}: ${count} lines, at most ${linesMax}`] : [];
  lines.forEach((line, i) => {
    if (unfinished.test(line)) problems.push(`${file.path}:${i + 1}: unfinished work`);
    if (machinePath.test(line)) problems.push(`${file.path}:${i + 1}: a path of one machine`);
  });
  return problems;
}

/** Lines on which the keyword of no type at all is used as a type. */
export function anyProblems(file: SourceFile): readonly string[] {
  const tokens = tokenize(file.text);
  return tokens
    .filter((token, i) => token.kind === 'name' && token.text === 'any' && !isOtherUse(tokens, i))
    .map((token) => `${file.path}:${token.line}: no type`);
}

/** `Promise.any`, a method, a key of an object, a parameter. */
function isOtherUse(tokens: readonly Token[], i: number): boolean {
  const [before, after] = [tokens[i - 1], tokens[i + 1]];
  if (isPunctuation(before, '.') || isPunctuation(before, '?.') || isPunctuation(after, '(')) return true;
  return isPunctuation(after, ':') && ['{', ',', ';', '('].some((text) => isPunctuation(before, text));
}

/** Sleeps in tests that are not allowed, and allowances that nobody needs. */
export function sleepProblems(files: readonly SourceFile[], allowed: readonly AllowedSleep[]): readonly string[] {
  const sleeping = files.map((file) => ({ path: file.path, lines: sleepsIn(file.text) }));
  const problems = sleeping
    .filter((file) => !allowed.some((entry) => entry.file === file.path))
    .flatMap((file) => file.lines.map((line) => `${file.path}:${line}: sleeps; wait for an event`));
  const idle = allowed.filter((entry) => !sleeping.some((file) => file.path === entry.file && file.lines.length > 0));
  return [
    ...problems,
    ...idle.map((entry) => `${entry.file}: is allowed to sleep and does not`),
    ...allowed.filter((entry) => entry.why === '').map((entry) => `${entry.file}: sleeps without a reason`),
  ];
}
