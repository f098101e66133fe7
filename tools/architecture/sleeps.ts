/**
 * Finds sleeps in tests: a test that waits for a time instead of for an event is slow where the machine is fast, and wrong
 * where it is slow. A time limit that rejects (`setTimeout(() => reject(...), ms)`) is not a sleep.
 */

import { argumentsOf, closing, isName, isPunctuation, type Token, tokenize } from '../source/lexer.js';
import { importsOf } from './imports.js';

/** Lines of a source text on which it sleeps. */
export function sleepsIn(source: string): readonly number[] {
  const tokens = tokenize(source);
  const timers = timerPromises(tokens);
  const lines = tokens.flatMap((token, i) => {
    if (isName(token, 'setTimeout') && isResolveCall(tokens, i)) return [token.line];
    return timers.has(token.text) && token.kind === 'name' && isAwaitedLiteral(tokens, i) ? [token.line] : [];
  });
  return [...new Set(lines)];
}

/** `new Promise((resolve) => setTimeout(resolve, 50))`, also with braces, also for a helper that takes the time. */
function isResolveCall(tokens: readonly Token[], i: number): boolean {
  if (!isPunctuation(tokens[i + 1], '(')) return false;
  const [callback, delay] = argumentsOf(tokens, i + 1);
  if (callback?.length !== 1 || callback[0]?.kind !== 'name' || delay === undefined) return false;
  const promise = tokens.findLastIndex(
    (token, at) => at < i && isName(token, 'Promise') && isName(tokens[at - 1], 'new') && callEnd(tokens, at) > i,
  );
  return promise >= 0 && firstParameter(tokens, promise)?.text === callback[0].text;
}

/** The first name after the parenthesis of the call; type arguments are before it. */
function firstParameter(tokens: readonly Token[], promise: number): Token | undefined {
  const open = openOf(tokens, promise);
  return tokens.find((token, at) => at > open && token.kind === 'name');
}

function openOf(tokens: readonly Token[], name: number): number {
  return tokens.findIndex((token, at) => at > name && isPunctuation(token, '('));
}

function callEnd(tokens: readonly Token[], name: number): number {
  return closing(tokens, openOf(tokens, name));
}

/** Names under which a file knows `setTimeout` of node:timers/promises. */
function timerPromises(tokens: readonly Token[]): ReadonlySet<string> {
  if (!importsOf(tokens).some((one) => /^(node:)?timers\/promises$/.test(one.specifier))) return new Set();
  const alias = tokens.findIndex((token, i) => isName(token, 'setTimeout') && isName(tokens[i + 1], 'as'));
  return new Set(['setTimeout', alias < 0 ? 'setTimeout' : tokens[alias + 2]!.text]);
}

/** `await sleep(50)`, `await timers.setTimeout(50)`. */
function isAwaitedLiteral(tokens: readonly Token[], i: number): boolean {
  const start = isPunctuation(tokens[i - 1], '.') ? i - 2 : i;
  return isName(tokens[start - 1], 'await') && isPunctuation(tokens[i + 1], '(') && tokens[i + 2]?.kind === 'number';
}
