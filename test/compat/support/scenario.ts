/** What a compatibility scenario is: two ends in two processes, and the notes that each of them takes. */

import type net from 'node:net';

/** Notes of both ends, line by line. */
export interface Notes {
  readonly server: readonly string[];
  readonly client: readonly string[];
}

/** What an end of a scenario works with. */
export interface End {
  /** Takes a note; notes are what is compared. */
  note(...words: unknown[]): void;
  /** Notes these events of an emitter as they come, after the label. */
  watch(emitter: NodeJS.EventEmitter, events?: readonly string[], label?: string): void;
  /** Notes the whole text that comes, when it has ended: how it is cut into pieces is a matter of time. */
  gather(socket: net.Socket): void;
  /** Waits until a socket or server has closed, with an error or without. */
  closed(emitter: net.Socket | net.Server): Promise<void>;
  /** Tells the other end something; the order of what is told is kept. */
  tell(word: string): void;
  /** Waits for that word of the other end. */
  told(word: string): Promise<void>;
}

export interface ServerEnd extends End {
  /** Listens, by default at a free port of 127.0.0.1, and makes the client start with that port. */
  listen(server: net.Server, options?: net.ListenOptions): Promise<number>;
  /** Makes the client start with that port. */
  begin(port: number): void;
}

export interface ClientEnd extends End {
  readonly port: number;
}

/** A program in two processes: once with Sockets Direct, once on stock Node.js, and both take the same notes. */
export interface Scenario {
  server(end: ServerEnd): Promise<void> | void;
  client(end: ClientEnd): Promise<void> | void;
  /** The scenario connects to where nobody listens, so that falling back is no error. */
  readonly fallback?: boolean;
  /** Who carries its connections with Sockets Direct. Default: shared memory. With `fallback` not all of them need to. */
  readonly carriers?: readonly string[];
  /** Where the two are not the same on purpose: checks both. */
  differs?(direct: Notes, stock: Notes): void;
  /** A version of Node.js that has what the scenario uses; on older ones there is no such test. */
  readonly since?: readonly [major: number, minor: number];
}

/** By title, which is the name of the test. */
export type Scenarios = Readonly<Record<string, Scenario>>;

/** Whether this Node.js has what came with that version. */
export function nodeIsAtLeast(major: number, minor: number): boolean {
  const [ownMajor, ownMinor] = process.versions.node.split('.').map(Number);
  return ownMajor > major || (ownMajor === major && ownMinor >= minor);
}
