import { closeSync, existsSync, fstatSync } from 'node:fs';
import { dirname } from 'node:path';
import { type Platform, PlatformError } from '../../platform/index.js';
import { makePrivateDirectory } from '../../platform/private-directory.js';

/** What a rendezvous directory has to fit to. */
export interface DirectoryOwner {
  platform: Platform;
  /** Our effective user id. */
  uid: number;
  /** Name of the part for this network namespace and boot. */
  partition: string;
}

/**
 * A rendezvous directory that was opened and checked:
 *
 *     <path>/<partition>/s/<token>            socket of a process, listening ever since it has this name
 *     <path>/<partition>/p/<port>/<token>     symbolic link, never followed; its target is the text of the addresses
 *     <path>/<partition>/m/<number>.<process> symbolic link, never followed: a socket that moves to that process
 *
 * Names are resolved from the open descriptors, so that nobody can exchange the directory after the check, and so that
 * long paths fit into a socket address.
 */
export class RendezvousDirectory {
  readonly path: string;
  /** Descriptors of the partition, of `s` and of `p`. */
  readonly #partition: number;
  readonly #sockets: number;
  readonly ports: number;

  /** Creates what is missing. Throws PlatformError `rendezvous-absent`, `rendezvous-unsafe` or `rendezvous-unavailable`. */
  constructor(path: string, owner: DirectoryOwner) {
    if (!existsSync(dirname(path))) throw new PlatformError('rendezvous-absent', dirname(path));
    const opened: number[] = [];
    const open = (name: string): number => {
      const descriptor = makePrivateDirectory(name, owner.uid);
      opened.push(descriptor);
      return descriptor;
    };
    try {
      const base = open(path);
      this.#partition = open(below(base, owner.partition));
      closeSync(base);
      opened.shift();
      this.#sockets = open(below(this.#partition, 's'));
      this.ports = open(below(this.#partition, 'p'));
      // Services that clean up old temporary files pass over locked directories.
      owner.platform.lockSharedDirectory(this.#partition);
    } catch (error) {
      for (const descriptor of opened) closeSync(descriptor);
      throw error;
    }
    this.path = path;
  }

  /** Path of a process socket, or of the folder of all of them. */
  socketPath(token?: string): string {
    return token === undefined ? `/proc/self/fd/${this.#sockets}` : below(this.#sockets, token);
  }

  /** Path of the folder of all ports, of one port's folder, or of an entry in it. */
  portPath(port?: string, token?: string): string {
    if (port === undefined) return `/proc/self/fd/${this.ports}`;
    return token === undefined ? below(this.ports, port) : `${below(this.ports, port)}/${token}`;
  }

  /** Path of the folder of sockets that move to other processes; it is there as soon as one does. */
  get movesPath(): string {
    return below(this.#partition, 'm');
  }

  hasSocket(platform: Platform, token: string): boolean {
    return platform.nameExists(this.#sockets, token);
  }

  /** True if somebody has removed the directory, as the end of a login session does with that of the user. */
  get removed(): boolean {
    return fstatSync(this.#sockets).nlink === 0;
  }

  close(): void {
    for (const descriptor of [this.#sockets, this.ports, this.#partition]) closeSync(descriptor);
  }
}

function below(descriptor: number, name: string): string {
  return `/proc/self/fd/${descriptor}/${name}`;
}
