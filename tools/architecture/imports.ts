/** The imports of a source file: static ones, re-exports, `import()`, and anything called with the name of a module. */

import { posix } from 'node:path';
import { isName, isPunctuation, type Token } from '../source/lexer.js';

export interface Import {
  readonly specifier: string;
  readonly line: number;
  /** `import type`, `export type`, `import { type A }` with types only, or a type `import('x')` written after `typeof`. */
  readonly typesOnly: boolean;
}

/** All imports among the tokens of a file. */
export function importsOf(tokens: readonly Token[]): readonly Import[] {
  const found: Import[] = [];
  tokens.forEach((token, i) => {
    if (token.kind !== 'string') return;
    const before = tokens[i - 1];
    if (isName(before, 'from')) {
      found.push({ specifier: token.text, line: token.line, typesOnly: bringsTypesOnly(tokens, i - 1) });
    } else if (isName(before, 'import')) {
      found.push({ specifier: token.text, line: token.line, typesOnly: false });
    } else if (isPunctuation(before, '(') && isName(tokens[i - 2], 'import')) {
      found.push({ specifier: token.text, line: token.line, typesOnly: isName(tokens[i - 3], 'typeof') });
    } else if (isPunctuation(before, '(') && /require/i.test(tokens[i - 2]?.text ?? '')) {
      found.push({ specifier: token.text, line: token.line, typesOnly: false });
    }
  });
  return found;
}

/** Walks back from `from` to the statement's `import` or `export`. */
function bringsTypesOnly(tokens: readonly Token[], from: number): boolean {
  let start = from - 1;
  while (start >= 0 && !isName(tokens[start], 'import') && !isName(tokens[start], 'export')) start--;
  if (isName(tokens[start + 1], 'type') && !isName(tokens[start + 2], 'from')) return true;
  const clause = tokens.slice(start + 1, from);
  if (!isPunctuation(clause[0], '{')) return false;
  const names = clause.filter((token, i) => i > 0 && token.kind === 'name' && startsElement(clause[i - 1]));
  return names.length > 0 && names.every((token) => token.text === 'type');
}

function startsElement(before: Token | undefined): boolean {
  return isPunctuation(before, '{') || isPunctuation(before, ',');
}

/** The source file that a relative specifier means, or null for a package or a module of Node.js. */
export function resolveImport(path: string, specifier: string): string | null {
  if (!specifier.startsWith('.')) return null;
  return posix.join(posix.dirname(path), specifier).replace(/\.js$/, '.ts');
}
