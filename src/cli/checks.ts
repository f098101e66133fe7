/** What `doctor` looks at, one after the other. Each asks the same code that a connection needs. */

import { closeSync, existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { advice } from '../diagnostics/advice.js';
import type { Reason } from '../diagnostics/reasons.js';
import { internals, testedMajors } from '../net/internals.js';
import { loadPlatform, PlatformError } from '../platform/index.js';
import { makePrivateDirectory, rendezvousPaths } from '../platform/private-directory.js';
import { PolicyError, readPolicy } from '../policy/index.js';
import { preload } from './preload.js';

/** `ok`; `warning`: it works, but not as well as it could, or not as one may think; `problem`: nothing is accelerated. */
export type State = 'ok' | 'warning' | 'problem';

export interface Check {
  readonly name: string;
  readonly state: State;
  /** What was found. */
  readonly detail: string;
  /** The reason code that sockets will show. */
  readonly reason?: Reason;
  /** What to do about it. */
  readonly advice?: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Descriptors below which a program with many peers comes to its limit. */
const fewDescriptors = 1024;

function ok(name: string, detail: string): Check {
  return { name, state: 'ok', detail };
}

export function problem(name: string, reason: Reason, detail: string): Check {
  return { name, state: 'problem', detail, reason, advice: advice[reason] };
}

function failed(name: string, error: unknown): Check {
  if (error instanceof PlatformError) return problem(name, error.reason, error.message);
  throw error;
}

/** All checks that need no other process, in the order in which a connection would meet what they check. */
export function hostChecks(environment: Environment): readonly Check[] {
  return [
    switchedOff(environment),
    runtime(),
    ...platform(),
    rendezvous(environment),
    policy(environment),
    descriptors(),
    environmentOf(environment),
  ].filter((check) => check !== null);
}

function switchedOff({ SOCKETS_DIRECT: value }: Environment): Check | null {
  return value === 'off' ? problem('switch', 'off-by-environment', 'SOCKETS_DIRECT=off is set here') : null;
}

function runtime(): Check {
  const name = 'Node.js';
  const found = internals();
  const { version } = process;
  if (found === 'runtime-untested') {
    return problem(name, found, `${version}; tested are ${testedMajors.join(', ')}`);
  }
  if (typeof found === 'string') return problem(name, found, `${version} hides what the drop-in needs`);
  return ok(name, `${version} is among the tested versions (${testedMajors.join(', ')})`);
}

function platform(): readonly Check[] {
  const { platform, arch } = process;
  const host = `${platform} on ${arch}`;
  try {
    loadPlatform();
  } catch (error) {
    if (!(error instanceof PlatformError)) throw error;
    const names: Partial<Record<Reason, string>> = {
      'runtime-untested': 'Node.js',
      'platform-unsupported': 'platform',
      'ffi-unavailable': 'koffi',
    };
    return [failed(names[error.reason] ?? 'shared memory', error)];
  }
  return [
    ok('platform', `${host}${libcVersion()}`),
    ok('koffi', `${koffiVersion()}, which calls the operating system`),
    ok('shared memory', 'memfd can be created, sealed and mapped'),
  ];
}

function libcVersion(): string {
  const { header } = (process.report?.getReport() ?? {}) as { header?: { glibcVersionRuntime?: string } };
  return header?.glibcVersionRuntime === undefined ? '' : `, glibc ${header.glibcVersionRuntime}`;
}

function koffiVersion(): string {
  // The package does not export its description, which lies at or above its main file.
  let folder = dirname(createRequire(import.meta.url).resolve('koffi'));
  for (;;) {
    const text = readOrNothing(join(folder, 'package.json'));
    const { name, version } = (text === '' ? {} : JSON.parse(text)) as { name?: string; version?: string };
    if (name === 'koffi' && version !== undefined) return version;
    if (folder === dirname(folder)) return 'of an unknown version';
    folder = dirname(folder);
  }
}

/** The first one that can be used is where the processes find each other. */
function rendezvous(environment: Environment): Check {
  const name = 'rendezvous directory';
  let failure: unknown = new PlatformError('rendezvous-absent');
  try {
    const uid = loadPlatform().ownUser();
    if (uid === null) throw new PlatformError('user-unknown');
    for (const path of rendezvousPaths(environment, uid)) {
      try {
        if (!existsSync(dirname(path))) throw new PlatformError('rendezvous-absent', dirname(path));
        closeSync(makePrivateDirectory(path, uid));
        return ok(name, `${path} is this user's (${uid}) alone`);
      } catch (error) {
        failure = error;
      }
    }
  } catch (error) {
    failure = error;
  }
  return failed(name, failure);
}

function policy(environment: Environment): Check {
  const name = 'policy';
  try {
    readPolicy(environment);
    const sources = ['SOCKETS_DIRECT_DENY', 'SOCKETS_DIRECT_POLICY'].filter((key) => environment[key]);
    return ok(name, sources.length === 0 ? 'no rules' : `the rules of ${sources.join(' and ')} can be understood`);
  } catch (error) {
    if (error instanceof PolicyError) return problem(name, 'policy-invalid', error.message);
    throw error;
  }
}

function descriptors(): Check | null {
  const match = /^Max open files\s+(\d+)/m.exec(readOrNothing('/proc/self/limits'));
  if (match === null) return null;
  const limit = Number(match[1]);
  const detail = `at most ${limit}; each peer process takes about two`;
  if (limit >= fewDescriptors) return ok('open files', detail);
  return { name: 'open files', state: 'warning', detail, advice: 'Raise the limit with `ulimit -n`.' };
}

function environmentOf(environment: Environment): Check {
  const set = Object.entries(environment).filter(([key, value]) => key.startsWith('SOCKETS_DIRECT') && value !== '');
  const options = environment.NODE_OPTIONS ?? '';
  const preloaded = options.includes(preload) || options.includes('sockets-direct/register');
  const parts = set.map(([key, value]) => `${key}=${value}`);
  if (preloaded) parts.push('NODE_OPTIONS has the preload');
  return ok('environment', parts.length === 0 ? 'no SOCKETS_DIRECT variables' : parts.join(', '));
}

function readOrNothing(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
