import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import type net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadPlatform } from '../../src/platform/index.js';
import {
  type EndpointOptions,
  type EstablishedLink,
  LinkEndpoint,
} from '../../src/providers/shared-memory/endpoint.js';
import { Rendezvous } from '../../src/providers/shared-memory/rendezvous.js';
import { realTime } from '../support/real-time.js';

export const platform = loadPlatform();
export const arenaSize = 256 * 1024;

/** A test's own directory, open links and processes, all of which end with it. */
export class Bench {
  readonly directory = mkdtempSync(join(tmpdir(), 'sockets-direct-test-'));
  readonly #cleanups: (() => void)[] = [];
  // Links keep no process alive, so a test that waits for one has to.
  readonly #alive = setInterval(() => {}, 60_000);

  cleanup(action: () => void): void {
    this.#cleanups.push(action);
  }

  rendezvous(): Rendezvous {
    const rendezvous = new Rendezvous({ environment: { SOCKETS_DIRECT_DIR: this.directory }, platform });
    this.cleanup(() => rendezvous.close());
    return rendezvous;
  }

  party(options: Partial<EndpointOptions> = {}): Party {
    const party = new Party(this.rendezvous(), options);
    this.cleanup(() => party.close());
    return party;
  }

  /** A process that runs `peer.ts` and has published; its token and port are in what it says first. */
  async process(role: string, ...more: string[]): Promise<{ child: ChildProcess; token: string }> {
    const path = fileURLToPath(new URL('peer.js', import.meta.url));
    const child = fork(path, [role, this.directory, ...more], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.cleanup(() => child.kill('SIGKILL'));
    const [said] = (await once(child, 'message')) as [{ token: string }];
    return { child, token: said.token };
  }

  close(): void {
    for (const action of this.#cleanups.reverse()) action();
    clearInterval(this.#alive);
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** An endpoint with the links it was given. */
export class Party {
  readonly rendezvous: Rendezvous;
  readonly endpoint: LinkEndpoint;
  readonly links: EstablishedLink[] = [];
  readonly #waiting: ((link: EstablishedLink) => void)[] = [];

  constructor(rendezvous: Rendezvous, options: Partial<EndpointOptions> = {}) {
    this.rendezvous = rendezvous;
    this.endpoint = new LinkEndpoint({
      ...realTime,
      platform,
      rendezvous,
      arenaSize,
      onLink: (link) => {
        this.links.push(link);
        this.#waiting.shift()?.(link);
      },
      ...options,
    });
  }

  get token(): string {
    return this.endpoint.token;
  }

  async dial(token: string): Promise<EstablishedLink> {
    const link = await this.endpoint.dial(token);
    if (!this.links.includes(link)) this.links.push(link);
    return link;
  }

  /** The next link that a peer makes. */
  nextLink(): Promise<EstablishedLink> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  close(): void {
    for (const link of this.links) link.socket.destroy();
    this.endpoint.close();
  }
}

/** Resolves at the end of a socket, with or without an error: a killed peer may have left bytes unread. */
export function closeOf(socket: net.Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

/** Open descriptors of this process, as their targets. */
export function openDescriptors(): string[] {
  const targets: string[] = [];
  for (const name of readdirSync('/proc/self/fd')) {
    try {
      targets.push(readlinkSync(`/proc/self/fd/${name}`));
    } catch {
      // The descriptor with which the directory itself was read.
    }
  }
  return targets;
}

/** Waits until the condition holds, looking once a loop turn, and fails after five seconds. */
export async function until(condition: () => boolean, what: string, milliseconds = 5000): Promise<void> {
  const end = performance.now() + milliseconds;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`still not: ${what}`);
    await new Promise(setImmediate);
  }
}
