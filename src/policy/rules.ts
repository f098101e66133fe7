/**
 * Rules of a policy: who may use a SAN, and for what. One rule a line, or several on one line with semicolons:
 *
 *     tcp-only port=5432
 *     use program=*-api.js address=127.0.0.0/8 port=3000-3999
 *     tcp-only role=listen
 */

import { BlockList, isIP } from 'node:net';

/** What a socket is about to do. */
export type Role = 'connect' | 'listen';

interface Rule {
  readonly use: boolean;
  readonly role: Role | null;
  readonly program: RegExp | null;
  readonly addresses: BlockList | null;
  readonly ports: readonly [first: number, last: number] | null;
}

/** A rule that cannot be understood; the message names it. */
export class PolicyError extends Error {
  override readonly name = 'PolicyError';
}

/** Names under which a rule may know this program. */
export interface ProgramNames {
  /** Path of the program's script, `process.argv[1]`. */
  readonly path: string;
  /** `process.title`. */
  readonly title: string;
}

/** The rules that apply to this program, in order. */
export class Policy {
  readonly #rules: readonly Rule[];

  constructor(rules: readonly Rule[], names: ProgramNames) {
    const called = [names.path, names.path.slice(names.path.lastIndexOf('/') + 1), names.title];
    this.#rules = rules.filter(({ program }) => program === null || called.some((name) => program.test(name)));
  }

  /** True if TCP/IP alone may carry it. The first rule that fits decides; without one a SAN may. */
  denies(role: Role, address: string, port: number): boolean {
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
    const rule = this.#rules.find(
      (one) =>
        (one.role === null || one.role === role) &&
        (one.ports === null || (port >= one.ports[0] && port <= one.ports[1])) &&
        (one.addresses === null || one.addresses.check(address, family)),
    );
    return rule !== undefined && !rule.use;
  }
}

/**
 * Reads rules. `source` is named in errors; `action`: what rules do that do not start with an action, or null if each has
 * to. Throws PolicyError for the first rule that is wrong.
 */
export function parseRules(text: string, source: string, action: 'tcp-only' | null): Rule[] {
  const rules: Rule[] = [];
  text.split('\n').forEach((line, i) => {
    for (const part of line.replace(/#.*/, '').split(';')) {
      const words = part.trim().split(/\s+/);
      if (words[0] === '') continue;
      try {
        rules.push(parseRule(words, action));
      } catch (error) {
        if (!(error instanceof PolicyError)) throw error;
        const where = text.includes('\n') ? `${source}, line ${i + 1}` : source;
        throw new PolicyError(`${where}: ${error.message} in '${words.join(' ')}'`);
      }
    }
  });
  return rules;
}

function parseRule(words: readonly string[], action: 'tcp-only' | null): Rule {
  const first = words[0];
  const stated = first === 'use' || first === 'tcp-only' ? first : null;
  const chosen = stated ?? action;
  if (chosen === null) throw new PolicyError("neither 'use' nor 'tcp-only'");
  const values = new Map<string, string>();
  for (const word of stated === null ? words : words.slice(1)) {
    const at = word.indexOf('=');
    // An address or subnet may stand alone.
    const [key, value] = at < 0 ? ['address', word] : [word.slice(0, at), word.slice(at + 1)];
    if (!['role', 'program', 'address', 'port'].includes(key)) throw new PolicyError(`unknown condition '${key}'`);
    if (values.has(key)) throw new PolicyError(`two conditions '${key}'`);
    if (value === '') throw new PolicyError(`'${key}' without a value`);
    values.set(key, value);
  }
  const read = <T>(key: string, parse: (value: string) => T): T | null => {
    const value = values.get(key);
    return value === undefined || value === '*' ? null : parse(value);
  };
  return {
    use: chosen === 'use',
    role: read('role', parseRole),
    program: read('program', parseGlob),
    addresses: read('address', parseAddress),
    ports: read('port', parsePorts),
  };
}

function parseRole(value: string): Role {
  if (value === 'connect' || value === 'listen') return value;
  throw new PolicyError(`'${value}' is no role (connect, listen)`);
}

/** `*` stands for any text, `?` for one character. */
function parseGlob(value: string): RegExp {
  const source = value
    .replace(/[\\^$.|+()[\]{}]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`, 's');
}

function parseAddress(value: string): BlockList {
  const [address, prefix, ...rest] = value.split('/');
  const version = isIP(address);
  const bits = version === 6 ? 128 : 32;
  const length = prefix === undefined ? bits : /^\d{1,3}$/.test(prefix) ? Number(prefix) : -1;
  if (version === 0 || rest.length > 0 || length < 0 || length > bits) {
    throw new PolicyError(`'${value}' is no IP address or subnet`);
  }
  const list = new BlockList();
  list.addSubnet(address, length, version === 6 ? 'ipv6' : 'ipv4');
  return list;
}

function parsePorts(value: string): [number, number] {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(value);
  const first = Number(match?.[1]);
  const last = Number(match?.[2] ?? match?.[1]);
  if (match === null || first > last || last > 65535) throw new PolicyError(`'${value}' is no port or range of ports`);
  return [first, last];
}
