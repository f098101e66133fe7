/** Checks that the sources keep to the rooms: no import upwards, no cycle, no stranger's tool in the wrong room. */

import type { SourceFile } from '../source/files.js';
import { isName, isPunctuation, type Token, tokenize } from '../source/lexer.js';
import { importsOf, resolveImport } from './imports.js';
import { isRoom, mayImport, packages, privateRooms, roomOf } from './rooms.js';

/** Properties of Node's own objects that are nobody's contract. */
const privateNames = new Set([
  '_handle',
  '_readableState',
  '_writableState',
  '_sockname',
  '_peername',
  '_connections',
  '_server',
  '_events',
  '_getActiveHandles',
  'getOwnPropertySymbols',
  'internalBinding',
]);
const privateModules = /^(node:)?(_\w+|internal\/.*)$/;

/** What is wrong with the layering of the files below `src/`. */
export function layeringProblems(files: readonly SourceFile[]): readonly string[] {
  const paths = new Set(files.map((file) => file.path));
  const graph = new Map<string, readonly string[]>();
  const problems: string[] = [];
  for (const file of files) {
    const tokens = tokenize(file.text);
    const room = roomOf(file.path);
    if (!isRoom(room)) problems.push(`${file.path}: '${room}' is no room of the architecture`);
    problems.push(...importProblems(file.path, tokens, paths), ...privacyProblems(file.path, tokens));
    const targets = importsOf(tokens).map((one) => resolveImport(file.path, one.specifier));
    graph.set(file.path, [...new Set(targets.filter((target) => target !== null))]);
  }
  return [...problems, ...cycles(graph).map((cycle) => `cycle: ${cycle.join(' -> ')}`)];
}

function importProblems(path: string, tokens: readonly Token[], paths: ReadonlySet<string>): readonly string[] {
  const room = roomOf(path);
  const problems: string[] = [];
  for (const { specifier, line, typesOnly } of importsOf(tokens)) {
    const where = `${path}:${line}`;
    const target = resolveImport(path, specifier);
    const owners = Object.hasOwn(packages, specifier) ? packages[specifier] : undefined;
    if (target !== null) {
      const other = roomOf(target);
      const what = typesOnly ? 'types of' : 'from';
      if (!paths.has(target)) problems.push(`${where}: '${specifier}' is no source file`);
      else if (!mayImport(room, other, typesOnly)) problems.push(`${where}: ${room} must not import ${what} ${other}`);
    } else if (owners !== undefined) {
      if (!owners.includes(room)) problems.push(`${where}: only ${owners.join(', ')} may import ${specifier}`);
    } else if (!specifier.startsWith('node:')) {
      problems.push(`${where}: '${specifier}' is neither a source file, a module of Node.js (node:) nor a dependency`);
    }
  }
  return problems;
}

function privacyProblems(path: string, tokens: readonly Token[]): readonly string[] {
  if (privateRooms.includes(roomOf(path))) return [];
  const found = tokens.filter((token, i) => usesPrivate(token, i, tokens));
  const modules = importsOf(tokens).filter((one) => privateModules.test(one.specifier));
  return [
    ...found.map((token) => `${path}:${token.line}: only ${privateRooms.join(', ')} may use '${token.text}'`),
    ...modules.map((one) => `${path}:${one.line}: only ${privateRooms.join(', ')} may import '${one.specifier}'`),
  ];
}

/** `process.binding`, `process['binding']`, `x._handle`, `x['_handle']`, `Object.getOwnPropertySymbols`. */
function usesPrivate(token: Token, i: number, tokens: readonly Token[]): boolean {
  const dot = isPunctuation(tokens[i - 1], '.') || isPunctuation(tokens[i - 1], '?.');
  const bracket = token.kind === 'string' && isPunctuation(tokens[i - 1], '[') && isPunctuation(tokens[i + 1], ']');
  if (!dot && !bracket) return isName(token, 'internalBinding');
  if (token.text === 'binding' || token.text === '_linkedBinding') return isName(tokens[i - 2], 'process');
  // A class may have fields of such a name itself.
  return privateNames.has(token.text) && !isName(tokens[i - 2], 'this');
}

/** Cycles in a graph of files, as paths that end where they start. A graph without cycles has none; not all are listed. */
export function cycles(graph: ReadonlyMap<string, readonly string[]>): readonly (readonly string[])[] {
  const found: (readonly string[])[] = [];
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path);
    if (start >= 0) found.push([...trail.slice(start), path]);
    if (start >= 0 || done.has(path)) return;
    for (const target of graph.get(path) ?? []) visit(target, [...trail, path]);
    done.add(path);
  };
  for (const path of graph.keys()) visit(path, []);
  return found;
}
