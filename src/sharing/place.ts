/**
 * Where a process leaves something for another one of the same user, and how the two come together:
 *
 *     <rendezvous directory>/share/<24 hex digits>      socket of a process that has left something
 *     <rendezvous directory>/share/<number>.<process>   what was left: a private note
 *
 * The kernel says which process connects.
 */

import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, lstatSync, readdirSync, unlinkSync } from 'node:fs';
import type net from 'node:net';
import { dirname } from 'node:path';
import { descriptorOf, loadPlatform, type Platform, PlatformError } from '../platform/index.js';
import { makePrivateDirectory, rendezvousPaths } from '../platform/private-directory.js';
import { leaveNote, sweepNotes, takeNote, withdrawNote } from '../platform/private-notes.js';
import { leaveUnannounced } from '../platform/unannounced.js';
import { connectUnix, listenUnix, UnixServer, UnixSocket } from '../platform/unix-connect.js';
import { ShareChannel } from './channel.js';

type Environment = Readonly<Record<string, string | undefined>>;

const greeting = 0x3173_6473;
const greetingSize = 16;
/** Bytes of a description: what a symbolic link holds on every file system. */
const textMax = 3000;
/** Milliseconds after which the socket of a dead process is removed. */
const ageMax = 60_000;

export interface Offer {
  /** By which it is found, in the process that it is for. */
  readonly number: number;
  /** Nobody may have it any more. */
  withdraw(): void;
}

/** What was left for this process. */
export interface Found {
  readonly description: unknown;
  /** Asks the other process, once. Both arguments are null if it is gone, or does not let us. The descriptor is the receiver's. */
  open(opened: (channel: ShareChannel | null, descriptor: number | null) => void): void;
}

interface Left {
  readonly processId: number;
  descriptor(): Promise<number | null>;
  taken(channel: ShareChannel): void;
}

export class SharePlace {
  readonly #environment: Environment;
  readonly #left = new Map<number, Left>();
  #folder: number | null = null;
  #socketName = '';

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  /**
   * Leaves a description for that process. When it has come, `descriptor` is asked for one that goes along, which stays open
   * here, and then `taken` is called, once. Throws PlatformError.
   */
  leave(
    processId: number,
    description: object,
    descriptor: () => Promise<number | null>,
    taken: (channel: ShareChannel) => void,
  ): Offer {
    const platform = loadPlatform();
    const folder = this.#open();
    if (this.#socketName === '') this.#socketName = listen(folder, (socket) => this.#accept(platform, socket));
    const text = JSON.stringify([this.#socketName, description]);
    if (Buffer.byteLength(text) > textMax) throw new PlatformError('resources-exhausted', 'description');
    const number = leaveNote(folder, processId, text);
    this.#left.set(number, { processId, descriptor, taken });
    return {
      number,
      withdraw: () => {
        if (this.#left.delete(number)) withdrawNote(folder, number, processId);
      },
    };
  }

  /** What was left for this process under the number, once; null if there is nothing. Throws PlatformError. */
  take(number: number): Found | null {
    const platform = loadPlatform();
    const folder = this.#open();
    const note = takeNote(folder, number);
    if (note === null) return null;
    let text: unknown;
    try {
      text = JSON.parse(note);
    } catch {
      return null;
    }
    if (!Array.isArray(text) || text.length !== 2 || !/^[0-9a-f]{24}$/.test(String(text[0]))) return null;
    const [name, description] = text as [string, unknown];
    return { description, open: (opened) => connect(platform, `${folder}/${name}`, number, opened) };
  }

  #open(): string {
    this.#folder ??= openFolder(this.#environment);
    return `/proc/self/fd/${this.#folder}`;
  }

  async #accept(platform: Platform, socket: net.Socket): Promise<void> {
    socket.on('error', () => {});
    socket.unref();
    try {
      const descriptor = descriptorOf(socket);
      const { pid, uid } = platform.peerCredentials(descriptor);
      const hello = await receive(platform, descriptor);
      for (const surplus of hello.descriptors) platform.closeDescriptor(surplus);
      const number = hello.data.readUInt32LE(4);
      const left = this.#left.get(number);
      if (uid !== process.geteuid!() || left?.processId !== pid)
        throw new PlatformError('peer-permission', 'not for it');
      this.#left.delete(number);
      const own = await left.descriptor();
      const rights = own === null ? [] : [own];
      if (platform.sendMessage(descriptor, greet(number), rights) !== greetingSize)
        throw new PlatformError('peer-gone');
      left.taken(new ShareChannel(socket, pid));
    } catch (error) {
      socket.destroy();
      if (!(error instanceof PlatformError)) throw error;
    }
  }
}

function greet(number: number): Buffer {
  const bytes = Buffer.alloc(greetingSize);
  bytes.writeUInt32LE(greeting, 0);
  bytes.writeUInt32LE(number, 4);
  return bytes;
}

/** A greeting. Throws PlatformError `peer-gone` or `peer-protocol`. */
async function receive(platform: Platform, descriptor: number): Promise<{ data: Buffer; descriptors: number[] }> {
  for (;;) {
    const received = platform.receiveMessage(descriptor, greetingSize);
    if (received === 'end') throw new PlatformError('peer-gone');
    if (received !== null) {
      const { data, descriptors } = received;
      if (data.length === greetingSize && data.readUInt32LE(0) === greeting) return { data, descriptors };
      for (const surplus of descriptors) platform.closeDescriptor(surplus);
      throw new PlatformError('peer-protocol', 'greeting');
    }
    await platform.waitReadable(descriptor).promise;
  }
}

function connect(
  platform: Platform,
  path: string,
  number: number,
  opened: (channel: ShareChannel | null, descriptor: number | null) => void,
): void {
  const socket = new UnixSocket();
  socket.pause();
  socket.on('error', () => {});
  let settled = false;
  const settle = (channel: ShareChannel | null, descriptor: number | null): void => {
    if (settled) return;
    settled = true;
    if (channel === null) socket.destroy();
    opened(channel, descriptor);
  };
  socket.once('close', () => settle(null, null));
  socket.once('connect', () => {
    const own = descriptorOf(socket);
    const { pid, uid } = platform.peerCredentials(own);
    platform.sendMessage(own, greet(number));
    receive(platform, own).then(
      ({ descriptors }) => {
        if (uid !== process.geteuid!()) settle(null, null);
        else settle(new ShareChannel(socket, pid), descriptors[0] ?? null);
      },
      () => settle(null, null),
    );
  });
  connectUnix(socket, path);
}

function openFolder(environment: Environment): number {
  const uid = process.geteuid!();
  let failure = new PlatformError('rendezvous-absent');
  for (const base of rendezvousPaths(environment, uid)) {
    try {
      if (!existsSync(dirname(base))) throw new PlatformError('rendezvous-absent', dirname(base));
      const outer = makePrivateDirectory(base, uid);
      try {
        const folder = makePrivateDirectory(`/proc/self/fd/${outer}/share`, uid);
        sweep(`/proc/self/fd/${folder}`);
        return folder;
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

/** To be removed at the end of the process. */
const sockets = new Set<string>();

/** Name of the socket. Throws PlatformError `rendezvous-unavailable`. */
function listen(folder: string, accept: (socket: net.Socket) => void): string {
  const name = randomBytes(12).toString('hex');
  const server = new UnixServer({ pauseOnConnect: true }, (socket) => {
    leaveUnannounced();
    accept(socket);
  });
  server.on('error', () => {});
  listenUnix(server, `${folder}/${name}`);
  server.unref();
  if (!server.listening) throw new PlatformError('rendezvous-unavailable', 'listen');
  if (sockets.size === 0) process.on('exit', () => sockets.forEach(remove));
  sockets.add(`${folder}/${name}`);
  return name;
}

function remove(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Somebody has it, or has swept.
  }
}

/** Removes what nobody has come for, and the sockets of dead processes. */
function sweep(folder: string): void {
  sweepNotes(folder);
  try {
    const platform = loadPlatform();
    for (const name of readdirSync(folder).slice(0, 128)) {
      const path = `${folder}/${name}`;
      if (name.includes('.') || Date.now() - lstatSync(path).mtimeMs < ageMax) continue;
      if (platform.probeListener(path) === 'dead') unlinkSync(path);
    }
  } catch {
    // Others sweep as well.
  }
}
