/** Where and when figures were taken; without this they cannot be compared later. */

import { execFileSync } from 'node:child_process';
import os from 'node:os';
import { fileURLToPath } from 'node:url';

export interface Provenance {
  date: string;
  node: string;
  /** Of the sources; null where there is no repository. */
  commit: string | null;
  /** True if the sources differ from the commit. */
  modified: boolean;
  kernel: string;
  cpu: string;
  cpus: number;
  /** Of the last minute, before anything was started: others who use the host make figures worse. */
  load: number;
}

export function provenance(): Provenance {
  const commit = git('rev-parse', 'HEAD');
  return {
    date: new Date().toISOString(),
    node: process.version,
    commit,
    modified: commit !== null && git('status', '--porcelain') !== '',
    kernel: `${os.type()} ${os.release()}`,
    cpu: os.cpus()[0]?.model ?? 'unknown',
    cpus: os.availableParallelism(),
    load: os.loadavg()[0] ?? 0,
  };
}

function git(...args: string[]): string | null {
  try {
    const cwd = fileURLToPath(new URL('../..', import.meta.url));
    return execFileSync('git', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return null;
  }
}
