/** What a measurement needs of the host, how its processes are started to get it, and why it cannot be had. */

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

export type Constraint =
  /** Both processes on the same processor. */
  | { kind: 'one-core' }
  /** This many descriptors in each process, besides its own few. */
  | { kind: 'open-files'; count: number };

/** Either a command to put in front of node, or the reason why the measurement has to be left out. */
export type Provision = { prefix: readonly string[] } | { skip: string };

/** Descriptors that Node.js itself and the preload need. */
const OWN_DESCRIPTORS = 100;

export function provide(constraint: Constraint | undefined): Provision {
  if (constraint === undefined) return { prefix: [] };
  if (constraint.kind === 'one-core') return oneCore();
  return openFiles(constraint.count + OWN_DESCRIPTORS);
}

/** The first processor that this process may use, which in a container need not be number 0. */
function oneCore(): Provision {
  const allowed = /^Cpus_allowed_list:\s*(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  const prefix = ['taskset', '-c', allowed];
  return works(prefix) ? { prefix } : { skip: 'taskset is not there, or may not pin a process' };
}

/** Node.js raises the soft limit to the hard one by itself, so only the hard one matters. */
function openFiles(needed: number): Provision {
  const hard = /^Max open files\s+\d+\s+(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1] ?? '0';
  if (hard === 'unlimited' || Number(hard) >= needed) return { prefix: [] };
  const prefix = ['prlimit', `--nofile=${needed}:${needed}`];
  return works(prefix) ? { prefix } : { skip: `needs ${needed} open files, the limit is ${hard} and cannot be raised` };
}

function works(prefix: readonly string[]): boolean {
  const [file = '', ...args] = prefix;
  return spawnSync(file, [...args, 'true'], { stdio: 'ignore' }).status === 0;
}
