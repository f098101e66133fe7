import { randomBytes } from 'node:crypto';
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  symlinkSync,
  unlinkSync,
} from 'node:fs';
import { errorCode, type Platform, PlatformError } from '../../platform/index.js';
import { rendezvousPaths } from '../../platform/private-directory.js';
import { sweepNotes } from '../../platform/private-notes.js';
import { leaveSocket, type MovedSocket, takeSocket } from './moved-sockets.js';
import { RendezvousDirectory } from './rendezvous-directory.js';

export interface RendezvousOptions {
  /** SOCKETS_DIRECT_DIR and XDG_RUNTIME_DIR are read. */
  environment: Readonly<Record<string, string | undefined>>;
  platform: Platform;
}

/** Somebody who says that it listens. A hint only: the answer of its owner decides. */
export interface RendezvousEntry {
  token: string;
  /** Text of the IP address it listens at, as it was registered. */
  address: string;
}

const tokenPattern = /^[0-9a-f]{24}$/;
const portPattern = /^[1-9][0-9]{0,4}$/;
const addressPattern = /^[0-9A-Fa-f.:]{2,45}$/;
/** Bounds on what others have written. */
const longestTarget = 1024;
const mostEntries = 1024;
/** Bounds on what one start-up cleans. */
const sweptSockets = 64;
const sweptPorts = 256;
/** A hidden name is one for microseconds only, so one of this age, in milliseconds, was left by a crash. */
const hiddenAge = 60_000;
/** Somebody else's rmdir can come between mkdir and the entry, but hardly this often. */
const registerAttempts = 100;

/**
 * How the processes of one user find each other: a directory with one socket per event loop and, per port, one entry for
 * each of them that listens there. Names are random and never used again, so whoever finds a dead one may remove it
 * without a lock.
 */
export class Rendezvous {
  /** Name of this event loop's socket: 96 random bits in hexadecimal. */
  readonly token = randomBytes(12).toString('hex');
  readonly #platform: Platform;
  readonly #uid: number;
  /** Where we publish, then where else to look. */
  readonly #directories: RendezvousDirectory[] = [];
  /** Addresses per port, as often as they were registered. */
  readonly #registered = new Map<number, string[]>();
  readonly #onExit = (): void => this.unpublish();
  #published = false;
  #closed = false;

  /**
   * Opens the directories, and creates them if need be.
   *
   * Throws PlatformError `user-unknown`, `rendezvous-absent`, `rendezvous-unsafe`, `rendezvous-unavailable` or
   * `resources-exhausted`.
   */
  constructor(options: RendezvousOptions) {
    this.#platform = options.platform;
    const uid = options.platform.ownUser();
    if (uid === null) throw new PlatformError('user-unknown');
    this.#uid = uid;
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').slice(0, 8);
    const partition = `v1-${options.platform.networkNamespaceCookie()}-${boot}`;
    let failure = new PlatformError('rendezvous-absent');
    for (const path of rendezvousPaths(options.environment, uid)) {
      try {
        this.#directories.push(new RendezvousDirectory(path, { platform: options.platform, uid, partition }));
      } catch (error) {
        if (!(error instanceof PlatformError)) throw error;
        failure = error;
      }
    }
    if (this.#directories.length === 0) throw failure;
  }

  /** The directory in which this process publishes. */
  get path(): string {
    return this.#home.path;
  }

  /**
   * False if the user of the process has changed, or if the directory was removed: nobody finds this process any more, and
   * the owner had better make a new rendezvous and endpoint.
   */
  get current(): boolean {
    return !this.#closed && process.geteuid!() === this.#uid && !this.#home.removed;
  }

  /**
   * Makes this event loop's socket known. `listen` has to bind the given path and listen on it before it returns; only
   * then does the socket get its name, so a refused connection to it always means that its process is dead.
   *
   * Throws PlatformError `rendezvous-unavailable`, and whatever `listen` throws.
   */
  publish(listen: (path: string) => void): void {
    if (this.#closed || this.#published) throw new PlatformError('rendezvous-unavailable', 'closed or published');
    const hidden = this.#home.socketPath(`.${this.token}`);
    listen(hidden);
    try {
      renameSync(hidden, this.#home.socketPath(this.token));
    } catch (error) {
      throw new PlatformError('rendezvous-unavailable', `rename: ${errorCode(error)}`, errorCode(error));
    }
    this.#published = true;
    process.once('exit', this.#onExit);
    this.sweep();
  }

  /** Takes back the socket's name and all registrations. Closing the socket is the caller's. */
  unpublish(): void {
    if (!this.#published) return;
    this.#published = false;
    process.removeListener('exit', this.#onExit);
    // The entries first: without a socket they would be somebody else's rubbish.
    for (const port of this.#registered.keys()) removeEntry(this.#home, String(port), this.token);
    this.#registered.clear();
    quietly(() => unlinkSync(this.#home.socketPath(this.token)));
  }

  /**
   * Says that this event loop listens at a port. An address may be registered more than once, and then counts as often.
   *
   * Throws PlatformError `rendezvous-unavailable`, RangeError for a port or address that is none.
   */
  register(port: number, addressText: string): void {
    if (!portPattern.test(String(port)) || port > 65535) throw new RangeError(`${port} is not a port`);
    if (!addressPattern.test(addressText)) throw new RangeError(`${addressText} is not an address`);
    if (!this.#published) throw new PlatformError('rendezvous-unavailable', 'not published');
    const addresses = [...(this.#registered.get(port) ?? []), addressText];
    this.#write(port, addresses);
    this.#registered.set(port, addresses);
  }

  /** Takes one registration back, or with no address all of the port. Unknown ones are passed over. */
  unregister(port: number, addressText?: string): void {
    const addresses = this.#registered.get(port);
    if (addresses === undefined) return;
    const at = addressText === undefined ? 0 : addresses.indexOf(addressText);
    if (at < 0) return;
    const left = addressText === undefined ? [] : addresses.toSpliced(at, 1);
    if (left.length > 0) {
      this.#registered.set(port, left);
      // The old entry names too much, which is as good as a hint gets.
      quietly(() => this.#write(port, left));
      return;
    }
    this.#registered.delete(port);
    removeEntry(this.#home, String(port), this.token);
  }

  /** True if somebody may listen at the port. About 1 us, because every connect of the program asks. */
  has(port: number): boolean {
    const name = String(port);
    for (const directory of this.#directories) if (this.#platform.nameExists(directory.ports, name)) return true;
    return false;
  }

  /** Who says that it listens at the port, in no order; a process with several addresses is there several times. */
  list(port: number): RendezvousEntry[] {
    const entries: RendezvousEntry[] = [];
    const name = String(port);
    for (const directory of this.#directories) {
      if (!this.#platform.nameExists(directory.ports, name)) continue;
      for (const token of names(directory.portPath(name), tokenPattern, mostEntries)) {
        for (const address of readAddresses(directory.portPath(name, token))) entries.push({ token, address });
      }
    }
    return entries;
  }

  /** Leaves a socket for that process; the number by which it is found. Throws PlatformError `rendezvous-unavailable`. */
  leave(processId: number, socket: MovedSocket): number {
    return leaveSocket(this.#home.movesPath, processId, socket);
  }

  /** A socket that was left for this process, once; null if there is none of that number. */
  take(token: number): MovedSocket | null {
    for (const { movesPath } of this.#directories) {
      const socket = takeSocket(movesPath, token);
      if (socket !== null) return socket;
    }
    return null;
  }

  /** Path of the socket of this name, or null if there is none. */
  findSocket(token: string): string | null {
    if (!tokenPattern.test(token)) return null;
    for (const directory of this.#directories) {
      if (directory.hasSocket(this.#platform, token)) return directory.socketPath(token);
    }
    return null;
  }

  /** Removes the socket and the entries of a process that is dead. */
  removeStale(token: string): void {
    if (!tokenPattern.test(token) || token === this.token) return;
    for (const directory of this.#directories) {
      for (const port of names(directory.portPath(), portPattern, 65_536)) removeEntry(directory, port, token);
      quietly(() => unlinkSync(directory.socketPath(token)));
    }
  }

  /** Removes what dead processes have left, up to a limit. Returns how many names went. */
  sweep(): number {
    let removed = 0;
    for (const directory of this.#directories) {
      removed += this.#sweepSockets(directory) + this.#sweepPorts(directory) + sweepNotes(directory.movesPath);
    }
    return removed;
  }

  /** Takes everything back and closes the directories. */
  close(): void {
    if (this.#closed) return;
    this.unpublish();
    this.#closed = true;
    for (const directory of this.#directories.splice(1)) directory.close();
    this.#home.close();
    this.#directories.length = 0;
  }

  get #home(): RendezvousDirectory {
    return this.#directories[0]!;
  }

  #write(port: number, addresses: readonly string[]): void {
    const target = [...new Set(addresses)].join(',');
    if (target.length > longestTarget) throw new PlatformError('rendezvous-unavailable', `addresses of port ${port}`);
    const folder = this.#home.portPath(String(port));
    const hidden = `${folder}/.${this.token}`;
    let code = '';
    for (let attempt = 0; attempt < registerAttempts; attempt++) {
      try {
        makeFolder(folder);
        symlinkSync(target, hidden);
        renameSync(hidden, `${folder}/${this.token}`);
        return;
      } catch (error) {
        code = errorCode(error);
        if (code === 'EEXIST') quietly(() => unlinkSync(hidden));
        else if (code !== 'ENOENT') break;
      }
    }
    throw new PlatformError('rendezvous-unavailable', `register: ${code}`, code);
  }

  #sweepSockets(directory: RendezvousDirectory): number {
    const tokens = names(directory.socketPath(), /^\.?[0-9a-f]{24}$/, sweptSockets);
    const others = tokens.filter((name) => !name.endsWith(this.token));
    if (others.length === 0) return 0;
    // The kernel's list spares the living a connection. It can miss one, so a connection has the last word.
    let listening = '';
    quietly(() => {
      listening = readFileSync('/proc/self/net/unix', 'latin1');
    });
    let removed = 0;
    for (const name of others) {
      if (listening.includes(name.slice(-24))) continue;
      const path = directory.socketPath(name);
      quietly(() => {
        if (name.startsWith('.') && Date.now() - lstatSync(path).mtimeMs < hiddenAge) return;
        if (this.#platform.probeListener(path) !== 'dead') return;
        unlinkSync(path);
        removed++;
      });
    }
    return removed;
  }

  #sweepPorts(directory: RendezvousDirectory): number {
    let removed = 0;
    for (const port of names(directory.portPath(), portPattern, sweptPorts)) {
      for (const name of names(directory.portPath(port), /^\.?[0-9a-f]{24}$/, sweptSockets)) {
        // The socket is published before the first entry and unpublished after the last.
        if (directory.hasSocket(this.#platform, name.slice(-24))) continue;
        if (removeEntry(directory, port, name)) removed++;
      }
    }
    return removed;
  }
}

/** Names in a folder that match, at most `limit`; none if the folder is not there. */
function names(folder: string, pattern: RegExp, limit: number): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => pattern.test(name))
      .slice(0, limit);
  } catch {
    return [];
  }
}

function readAddresses(path: string): string[] {
  let target: string;
  try {
    target = readlinkSync(path);
  } catch {
    return [];
  }
  if (target.length > longestTarget) return [];
  return target.split(',').filter((address) => addressPattern.test(address));
}

function makeFolder(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error;
  }
}

/** True if the entry was there. The last entry takes the folder with it, which the lookup of a port relies on. */
function removeEntry(directory: RendezvousDirectory, port: string, name: string): boolean {
  const removed = quietly(() => unlinkSync(directory.portPath(port, name)));
  quietly(() => rmdirSync(directory.portPath(port)));
  return removed;
}

/** For cleaning up among others who do the same: false if the action failed. */
function quietly(action: () => void): boolean {
  try {
    action();
    return true;
  } catch {
    return false;
  }
}
