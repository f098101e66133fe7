/** The policy of this process, from its environment: which sockets have to stay on TCP/IP although a SAN could carry them. */

import { readFileSync, statSync } from 'node:fs';
import { Policy, PolicyError, parseRules } from './rules.js';

export { Policy, PolicyError, type Role } from './rules.js';

/** Bytes of a rule file. */
const longestFile = 1_048_576;

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads SOCKETS_DIRECT_DENY, whose rules come first, and the file of SOCKETS_DIRECT_POLICY. Throws PolicyError if the file
 * cannot be read or a rule cannot be understood.
 */
export function readPolicy(environment: Environment): Policy {
  const { SOCKETS_DIRECT_POLICY: file = '', SOCKETS_DIRECT_DENY: denied = '' } = environment;
  const rules = parseRules(denied, 'SOCKETS_DIRECT_DENY', 'tcp-only');
  if (file !== '') rules.push(...parseRules(readRuleFile(file), file, null));
  return new Policy(rules, { path: process.argv[1] ?? '', title: process.title });
}

function readRuleFile(path: string): string {
  try {
    const status = statSync(path);
    // Reading a pipe would wait for somebody to write.
    if (!status.isFile() || status.size > longestFile) throw new PolicyError(`${path}: no file of at most 1 MiB`);
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof PolicyError) throw error;
    throw new PolicyError(`${path}: ${(error as NodeJS.ErrnoException).code ?? error}`);
  }
}
