/**
 * Where event loops can be asked for their status: one Unix socket for each, in the folder `status` of the rendezvous
 * directory. Nothing here needs koffi, so that it also works where that is what is missing.
 */

import { closeSync, existsSync, readdirSync, readlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { PlatformError } from '../platform/error.js';
import { ownUser } from '../platform/host.js';
import { makePrivateDirectory, openPrivateDirectory, rendezvousPaths } from '../platform/private-directory.js';

type Environment = Readonly<Record<string, string | undefined>>;

/** What the name of a socket tells. */
export interface SocketName {
  readonly name: string;
  /** Process ids mean something only to processes of the same namespace. */
  readonly pidNamespace: string;
  readonly pid: number;
  readonly threadId: number;
}

const namePattern = /^(\d{1,12})-(\d{1,10})-(\d{1,10})-[0-9a-f]{8}$/;
const namesMax = 1024;
const isLinux = process.platform === 'linux';

/** Number of the own namespace of process ids; 0 where there are none. */
export function ownPidNamespace(): string {
  return isLinux ? (/\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0] ?? '0') : '0';
}

/** A folder that was opened and checked. Names in it are resolved from its descriptor, which also keeps them short. */
export class StatusDirectory {
  readonly path: string;
  readonly #descriptor: number;

  private constructor(path: string, descriptor: number) {
    this.path = path;
    this.#descriptor = descriptor;
  }

  /** The folder in which this process publishes, made if need be. Throws PlatformError. */
  static make(environment: Environment): StatusDirectory {
    const uid = user();
    let failure = new PlatformError('rendezvous-absent');
    for (const base of rendezvousPaths(environment, uid)) {
      try {
        if (!existsSync(dirname(base))) throw new PlatformError('rendezvous-absent', dirname(base));
        const outer = makePrivateDirectory(base, uid);
        try {
          const path = join(base, 'status');
          return new StatusDirectory(path, makePrivateDirectory(below(outer, base, 'status'), uid));
        } finally {
          closeSync(outer);
        }
      } catch (error) {
        if (!(error instanceof PlatformError)) throw error;
        failure = error;
      }
    }
    throw failure;
  }

  /** Every such folder that there is, and what is wrong with others. Throws PlatformError if the user is not known. */
  static find(environment: Environment): { directories: StatusDirectory[]; problems: string[] } {
    const uid = user();
    const directories: StatusDirectory[] = [];
    const problems: string[] = [];
    for (const base of rendezvousPaths(environment, uid)) {
      try {
        const outer = openPrivateDirectory(base, uid);
        try {
          const inner = openPrivateDirectory(below(outer, base, 'status'), uid);
          directories.push(new StatusDirectory(join(base, 'status'), inner));
        } finally {
          closeSync(outer);
        }
      } catch (error) {
        if (!(error instanceof PlatformError)) throw error;
        if (error.code !== 'ENOENT') problems.push(`${base}: ${error.message}`);
      }
    }
    return { directories, problems };
  }

  socketPath(name: string): string {
    return below(this.#descriptor, this.path, name);
  }

  /** At most 1024. */
  names(): SocketName[] {
    return readdirSync(this.socketPath('.'))
      .map(parseName)
      .filter((name) => name !== null)
      .slice(0, namesMax);
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}

function parseName(name: string): SocketName | null {
  const match = namePattern.exec(name);
  if (match === null) return null;
  const [, namespace = '', pid, thread] = match;
  return { name, pidNamespace: namespace, pid: Number(pid), threadId: Number(thread) };
}

/** The kernel can resolve names from a descriptor only where it shows descriptors as folders. */
function below(descriptor: number, path: string, name: string): string {
  return isLinux ? `/proc/self/fd/${descriptor}/${name}` : join(path, name);
}

function user(): number {
  if (process.geteuid === undefined) throw new PlatformError('platform-unsupported', process.platform);
  const uid = isLinux ? ownUser() : process.geteuid();
  if (uid === null) throw new PlatformError('user-unknown');
  return uid;
}

/** Whether a process of this namespace lives, also if it is of another user. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
