/** The queue of connection requests of a listening socket (WSD-LSN-6 to WSD-LSN-13). */

import { SOMAXCONN } from '../../spi/index.js';
import type { Connection } from './connection.js';
import type { ConnectRequest as Request } from './request.js';

type ConnectRequest = Request<Connection>;

/** What SOMAXCONN means here (WSD-LSN-11): room for bursts of sixteen times the kernel's. */
const backlogMax = 65_536;

export class Listener {
  /** A condition function runs. One request at a time is asked about, so another WSPAccept is out of place. */
  isAsking = false;
  readonly #queue: ConnectRequest[] = [];
  #backlog: number;

  constructor(backlog: number) {
    this.#backlog = clamp(backlog);
  }

  /** A second WSPListen: surplus requests are refused, newest first (WSD-LSN-13). */
  setBacklog(backlog: number): void {
    this.#backlog = clamp(backlog);
    this.#forgetEnded();
    while (this.#queue.length > this.#backlog) this.#queue.pop()!.refuse('refused');
  }

  /** False: the queue is full, the peer is refused, and the switch is not asked (WSD-LSN-8, WSD-LSN-9). */
  add(request: ConnectRequest): boolean {
    if (this.#queue.length >= this.#backlog) this.#forgetEnded();
    if (this.#queue.length >= this.#backlog) {
      request.refuse('refused');
      return false;
    }
    this.#queue.push(request);
    return true;
  }

  /** The oldest request that has not been withdrawn; stays in the queue. */
  get first(): ConnectRequest | null {
    while (this.#queue.length > 0 && !this.#queue[0]!.isPending) this.#queue.shift();
    return this.#queue[0] ?? null;
  }

  remove(request: ConnectRequest): void {
    const i = this.#queue.indexOf(request);
    if (i >= 0) this.#queue.splice(i, 1);
  }

  /** Turns away everything that waits (WSD-LSN-15): nobody listens any more, or nobody is there. */
  close(cause: 'no-listener' | 'peer-gone'): void {
    for (const request of this.#queue.splice(0)) request.refuse(cause);
  }

  #forgetEnded(): void {
    for (let i = this.#queue.length - 1; i >= 0; i--) if (!this.#queue[i]!.isPending) this.#queue.splice(i, 1);
  }
}

function clamp(backlog: number): number {
  return backlog === SOMAXCONN ? backlogMax : Math.max(1, Math.min(backlog, backlogMax));
}
