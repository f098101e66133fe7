/**
 * A small scanner for TypeScript source: names, strings, templates and punctuation with their line, without comments and
 * white space. It does not parse; the checks built on it look at short runs of tokens.
 */

export type TokenKind = 'name' | 'string' | 'template' | 'number' | 'regex' | 'punctuation';

/** A piece of a template literal: text, or the source of a `${...}` substitution. */
export interface TemplatePart {
  readonly kind: 'text' | 'substitution';
  readonly value: string;
}

export interface Token {
  readonly kind: TokenKind;
  /** For strings and templates the contents without quotes, for everything else the source text. */
  readonly text: string;
  readonly line: number;
  /** Only for templates. */
  readonly parts: readonly TemplatePart[];
}

const nameStart = /[\p{ID_Start}$_#@]/u;
const nameRest = /[\p{ID_Continue}$\u200c\u200d]/u;
/** After one of these names a slash starts a regular expression. */
const operatorNames = new Set(
  'return typeof instanceof in of new delete void throw case do else yield await'.split(' '),
);
/** The longest first: only those that matter to a check are kept together. */
const joined = ['...', '=>', '?.', '??', '&&', '||', '++', '--'];
const noParts: readonly TemplatePart[] = [];

class Lexer {
  readonly tokens: Token[] = [];
  #at = 0;
  #line = 1;

  constructor(readonly source: string) {}

  run(): readonly Token[] {
    const { source } = this;
    if (source.startsWith('#!')) this.#skipLine();
    while (this.#at < source.length) this.#step(source[this.#at]!);
    return this.tokens;
  }

  #step(char: string): void {
    if (char === '\n') {
      this.#line++;
      this.#at++;
    } else if (/\s/.test(char)) this.#at++;
    else if (this.source.startsWith('//', this.#at)) this.#skipLine();
    else if (this.source.startsWith('/*', this.#at)) this.#skipBlock();
    else if (char === "'" || char === '"') this.#string(char);
    else if (char === '`') this.#template();
    else if (/[0-9]/.test(char)) this.#while('number', /[\w.]/);
    else if (nameStart.test(char)) this.#while('name', nameRest);
    else if (char === '/' && this.#regexAllowed()) this.#regex();
    else this.#punctuation(char);
  }

  #push(kind: TokenKind, text: string, line = this.#line, parts = noParts): void {
    this.tokens.push({ kind, text, line, parts });
  }

  #skipLine(): void {
    const end = this.source.indexOf('\n', this.#at);
    this.#at = end < 0 ? this.source.length : end;
  }

  #skipBlock(): void {
    const end = this.source.indexOf('*/', this.#at + 2);
    const stop = end < 0 ? this.source.length : end + 2;
    this.#advance(stop);
  }

  /** Moves on and counts the lines passed. */
  #advance(to: number): void {
    for (let i = this.#at; i < to; i++) if (this.source[i] === '\n') this.#line++;
    this.#at = to;
  }

  #while(kind: TokenKind, pattern: RegExp): void {
    const start = this.#at++;
    while (this.#at < this.source.length && pattern.test(this.source[this.#at]!)) this.#at++;
    this.#push(kind, this.source.slice(start, this.#at));
  }

  #punctuation(char: string): void {
    const text = joined.find((operator) => this.source.startsWith(operator, this.#at)) ?? char;
    this.#push('punctuation', text);
    this.#at += text.length;
  }

  #string(quote: string): void {
    const line = this.#line;
    let text = '';
    let i = this.#at + 1;
    while (i < this.source.length && this.source[i] !== quote && this.source[i] !== '\n') {
      const escaped = this.source[i] === '\\';
      text += escaped ? unescaped(this.source[i + 1] ?? '') : this.source[i]!;
      i += escaped ? 2 : 1;
    }
    this.#advance(i + 1);
    this.#push('string', text, line);
  }

  #template(): void {
    const line = this.#line;
    const parts: TemplatePart[] = [];
    let text = '';
    let i = this.#at + 1;
    while (i < this.source.length && this.source[i] !== '`') {
      if (this.source[i] === '\\') {
        text += unescaped(this.source[i + 1] ?? '');
        i += 2;
      } else if (this.source.startsWith('${', i)) {
        const end = endOfSubstitution(this.source, i + 2);
        parts.push(
          { kind: 'text', value: text },
          { kind: 'substitution', value: this.source.slice(i + 2, end).trim() },
        );
        text = '';
        i = end + 1;
      } else text += this.source[i++]!;
    }
    parts.push({ kind: 'text', value: text });
    const whole = this.source.slice(this.#at + 1, i);
    this.#advance(i + 1);
    this.#push('template', whole, line, parts);
  }

  #regexAllowed(): boolean {
    const last = this.tokens.at(-1);
    if (last === undefined) return true;
    if (last.kind === 'name') return operatorNames.has(last.text);
    return last.kind === 'punctuation' && ![')', ']', '}', '++', '--'].includes(last.text);
  }

  #regex(): void {
    let i = this.#at + 1;
    let inClass = false;
    while (i < this.source.length && this.source[i] !== '\n' && (inClass || this.source[i] !== '/')) {
      if (this.source[i] === '\\') i++;
      else if (this.source[i] === '[') inClass = true;
      else if (this.source[i] === ']') inClass = false;
      i++;
    }
    i++;
    while (i < this.source.length && /[a-z]/.test(this.source[i]!)) i++;
    this.#push('regex', this.source.slice(this.#at, i));
    this.#advance(i);
  }
}

function unescaped(char: string): string {
  if (char === 'n') return '\n';
  if (char === 't') return '\t';
  return char === '\n' ? '' : char;
}

/** Index of the brace that closes a substitution; knows braces, strings, comments and templates inside it. */
function endOfSubstitution(source: string, start: number): number {
  let depth = 0;
  let i = start;
  while (i < source.length) {
    const char = source[i]!;
    if (char === '}' && depth === 0) return i;
    if (char === '{') depth++;
    else if (char === '}') depth--;
    else if (char === "'" || char === '"') i = endOfString(source, i, char);
    else if (char === '`') i = endOfTemplate(source, i);
    i++;
  }
  return source.length;
}

function endOfString(source: string, start: number, quote: string): number {
  let i = start + 1;
  while (i < source.length && source[i] !== quote && source[i] !== '\n') i += source[i] === '\\' ? 2 : 1;
  return i;
}

function endOfTemplate(source: string, start: number): number {
  let i = start + 1;
  while (i < source.length && source[i] !== '`') {
    if (source.startsWith('${', i)) i = endOfSubstitution(source, i + 2);
    else if (source[i] === '\\') i++;
    i++;
  }
  return i;
}

/** The tokens of a source text. */
export function tokenize(source: string): readonly Token[] {
  return new Lexer(source).run();
}

/** Whether the token is this piece of punctuation. */
export function isPunctuation(token: Token | undefined, text: string): boolean {
  return token?.kind === 'punctuation' && token.text === text;
}

/** Whether the token is this name. */
export function isName(token: Token | undefined, text: string): boolean {
  return token?.kind === 'name' && token.text === text;
}

/** Index of the bracket that closes the one at `open`, or the number of tokens. */
export function closing(tokens: readonly Token[], open: number): number {
  let depth = 0;
  for (let i = open; i < tokens.length; i++) {
    const token = tokens[i]!;
    if (token.kind !== 'punctuation') continue;
    if (token.text === '(' || token.text === '[' || token.text === '{') depth++;
    else if (token.text === ')' || token.text === ']' || token.text === '}') depth--;
    if (depth === 0) return i;
  }
  return tokens.length;
}

/** The argument lists of a call whose parenthesis is at `open`: ranges [from, to) of tokens. */
export function argumentsOf(tokens: readonly Token[], open: number): readonly (readonly Token[])[] {
  const end = closing(tokens, open);
  const found: Token[][] = [];
  let current: Token[] = [];
  for (let i = open + 1; i < end; i++) {
    const token = tokens[i]!;
    if (isPunctuation(token, ',')) {
      found.push(current);
      current = [];
      continue;
    }
    const stop = token.kind === 'punctuation' && '([{'.includes(token.text) ? Math.min(closing(tokens, i), end - 1) : i;
    while (i < stop) current.push(tokens[i++]!);
    current.push(tokens[i]!);
  }
  if (current.length > 0) found.push(current);
  return found;
}
