/**
 * The connections that wait on a listening socket of the TCP/IP provider, in the order in which they were established.
 * Those of a SAN stand among them, put there by who mediates (WSD-ACC-3, WSD-ACC-35), so that every accept of a program is
 * one of TCP/IP (WSD-ACC-1).
 */

import type { SOCKADDR } from '../../spi/index.js';

/** An established connection that nobody has accepted yet. */
export interface Arrival<S> {
  /** The TCP/IP descriptor that WSPAccept returns for it. */
  readonly socket: S;
  readonly local: SOCKADDR;
  readonly peer: SOCKADDR;
  /** Ends the connection abortively. */
  refuse(): void;
}

export class AcceptQueue<S> {
  readonly #arrivals: Arrival<S>[] = [];
  /** Connections that may wait; those beyond it are refused (TCP/IP) or not to be put here (SAN). */
  room: number;
  /** Called after each arrival: FD_ACCEPT. */
  onarrival: ((arrival: Arrival<S>) => void) | null = null;

  constructor(room: number) {
    this.room = room;
  }

  get length(): number {
    return this.#arrivals.length;
  }

  get first(): Arrival<S> | null {
    return this.#arrivals[0] ?? null;
  }

  add(arrival: Arrival<S>): void {
    this.#arrivals.push(arrival);
    this.onarrival?.(arrival);
  }

  /** Takes the one of that descriptor, wherever it stands. */
  remove(socket: S): Arrival<S> | null {
    const i = this.#arrivals.findIndex((arrival) => arrival.socket === socket);
    return i < 0 ? null : (this.#arrivals.splice(i, 1)[0] ?? null);
  }

  /** A listening socket that is closed resets what waits. */
  close(): void {
    this.onarrival = null;
    for (const { refuse } of this.#arrivals.splice(0)) refuse();
  }
}
