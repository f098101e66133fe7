/** The queue of connection requests of a listening socket (WSD-LSN-6 to WSD-LSN-13). */

import { type SOCKADDR, SOMAXCONN } from '../../spi/index.js';
import type { PeerLink } from './link.js';
import { REFUSED_BY_SWITCH, REFUSED_NO_LISTENER } from './records.js';

export interface ConnectionRequest {
  readonly link: PeerLink;
  readonly id: number;
  readonly generation: number;
  readonly callee: SOCKADDR;
  readonly caller: SOCKADDR;
}

/** What SOMAXCONN means here (WSD-LSN-11): room for any burst that one link can bring, and sixteen of the kernel's. */
const backlogMax = 65536;

export class Listener {
  /** A condition function runs. One request at a time is asked about, so another WSPAccept is out of place. */
  isAsking = false;
  #queue: ConnectionRequest[] = [];
  #backlog: number;

  constructor(backlog: number) {
    this.#backlog = Listener.#clamp(backlog);
  }

  static #clamp(backlog: number): number {
    return backlog === SOMAXCONN ? backlogMax : Math.max(1, Math.min(backlog, backlogMax));
  }

  get backlog(): number {
    return this.#backlog;
  }

  /** A second WSPListen: surplus requests are refused, newest first (WSD-LSN-13). */
  setBacklog(backlog: number): void {
    this.#backlog = Listener.#clamp(backlog);
    this.#dropWithdrawn();
    while (this.#queue.length > this.#backlog) Listener.#refuse(this.#queue.pop()!, REFUSED_BY_SWITCH);
  }

  /** False: the queue is full, the peer has been refused, and the switch is not to be asked (WSD-LSN-8, WSD-LSN-9). */
  add(request: ConnectionRequest): boolean {
    // Whoever has withdrawn takes nobody's place.
    if (this.#queue.length >= this.#backlog) this.#dropWithdrawn();
    if (this.#queue.length >= this.#backlog) {
      Listener.#refuse(request, REFUSED_BY_SWITCH);
      return false;
    }
    this.#queue.push(request);
    return true;
  }

  #dropWithdrawn(): void {
    this.#queue = this.#queue.filter(({ link, id, generation }) => link.isPending(id, generation));
  }

  /** The oldest request that has not been withdrawn; stays in the queue. */
  get first(): ConnectionRequest | null {
    while (this.#queue.length > 0) {
      const request = this.#queue[0];
      if (request.link.isPending(request.id, request.generation)) return request;
      this.#queue.shift();
    }
    return null;
  }

  remove(request: ConnectionRequest): void {
    const i = this.#queue.indexOf(request);
    if (i >= 0) this.#queue.splice(i, 1);
  }

  /**
   * Turns away everything that waits (WSD-LSN-15), and says that nobody listens rather than that somebody refused: another
   * process may have the port, or TCP/IP.
   */
  close(): void {
    for (const request of this.#queue.splice(0)) Listener.#refuse(request, REFUSED_NO_LISTENER);
  }

  static #refuse(request: ConnectionRequest, cause: number): void {
    request.link.refuse(request.id, request.generation, cause);
  }
}
