/**
 * Connections whose peers move to other processes. The old process names the new one and a nonce; the new one brings the
 * nonce on its own link, where the kernel says which process it is. Either may come first.
 */

import type { AwaitingConnection, PeerMoves } from './connection-face.js';
import type { PeerLink } from './link.js';
import { REFUSED_NO_LISTENER } from './records.js';
import type { Scheduler } from './scheduler.js';

/** Milliseconds between two looks whether the processes are still there that are to come. */
const period = 250;
/** Looks for which somebody who has come too early is kept, and for which anybody is waited for at most. */
const earlyLooks = 8;
const expectedLooks = 240;
/** How many of those there may be. */
const earlyMax = 64;

interface Expected {
  /** Null: it is over, and whoever comes is told so. */
  readonly connection: AwaitingConnection | null;
  readonly processId: number;
  looks: number;
}

interface Early {
  readonly link: PeerLink;
  readonly id: number;
  readonly generation: number;
  looks: number;
}

export interface MovesOptions {
  readonly scheduler: Scheduler;
  /** Process id of the link's other end, as the kernel says. */
  peerProcess(link: PeerLink): number | null;
  isAlive(processId: number): boolean;
  /** Makes this event loop one that others can link with. */
  publish(): void;
}

function keyOf(nonce: Int32Array): string {
  return Buffer.from(nonce.buffer, nonce.byteOffset, nonce.byteLength).toString('hex');
}

export class Moves implements PeerMoves {
  readonly #options: MovesOptions;
  readonly #expected = new Map<string, Expected>();
  readonly #early = new Map<string, Early>();
  #cancel: (() => void) | null = null;

  constructor(options: MovesOptions) {
    this.#options = options;
  }

  expect(connection: AwaitingConnection, processId: number, nonce: Int32Array): void {
    const key = keyOf(nonce);
    this.#options.publish();
    this.#expected.set(key, { connection, processId, looks: expectedLooks });
    const early = this.#early.get(key);
    if (early === undefined) {
      this.#watch();
      return;
    }
    this.#early.delete(key);
    this.resumeRequest(early.link, early.id, early.generation, nonce);
  }

  giveUp(connection: AwaitingConnection): boolean {
    for (const [key, expected] of this.#expected) {
      if (expected.connection !== connection) continue;
      this.#expected.set(key, { ...expected, connection: null });
      return true;
    }
    return false;
  }

  resumeRequest(link: PeerLink, id: number, generation: number, nonce: Int32Array): void {
    const key = keyOf(nonce);
    const expected = this.#expected.get(key);
    if (expected === undefined) {
      // What the old process has said may still lie on its link.
      if (this.#early.size >= earlyMax) link.refuse(id, generation, REFUSED_NO_LISTENER);
      else this.#early.set(key, { link, id, generation, looks: earlyLooks });
      this.#watch();
      return;
    }
    const { connection, processId } = expected;
    // A nonce that somebody else has is no nonce any more, but the connection still belongs to whom it was given.
    if (connection === null || this.#options.peerProcess(link) !== processId) {
      link.refuse(id, generation, REFUSED_NO_LISTENER);
      return;
    }
    this.#expected.delete(key);
    if (!connection.rebind(link, id, generation)) connection.peerLost();
  }

  #watch(): void {
    if (this.#cancel !== null || this.#expected.size + this.#early.size === 0) return;
    this.#cancel = this.#options.scheduler.later(() => this.#look(), period);
  }

  #look(): void {
    this.#cancel = null;
    for (const [key, expected] of this.#expected) {
      if (--expected.looks > 0 && this.#options.isAlive(expected.processId)) continue;
      this.#expected.delete(key);
      expected.connection?.peerLost();
    }
    for (const [key, early] of this.#early) {
      if (--early.looks > 0) continue;
      this.#early.delete(key);
      early.link.refuse(early.id, early.generation, REFUSED_NO_LISTENER);
    }
    this.#watch();
  }

  close(): void {
    this.#cancel?.();
    this.#expected.clear();
    this.#early.clear();
  }
}
