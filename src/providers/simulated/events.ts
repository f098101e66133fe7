/** Network events of one socket (section 13 of the digest). */

import {
  type EventObject,
  FD_ACCEPT,
  FD_ACCEPT_BIT,
  FD_CONNECT,
  FD_CONNECT_BIT,
  type Out,
  WSAEINVAL,
  type WSANETWORKEVENTS,
  type WSPUPCALLTABLEEX,
} from '../../spi/index.js';

export class NetworkEvents {
  readonly #upcalls: WSPUPCALLTABLEEX;
  #event: EventObject | null = null;
  #mask = 0;
  /** Events that have occurred, with their errors (WSD-EVT-4). */
  #occurred = 0;
  #acceptError = 0;
  #connectError = 0;
  readonly #errno: Out<number> = { value: 0 };

  constructor(upcalls: WSPUPCALLTABLEEX) {
    this.#upcalls = upcalls;
  }

  /** 0 or WSAEINVAL. Replaces an earlier selection; what is recorded already signals at once (WSD-EVT-8). */
  select(event: EventObject | null, mask: number): number {
    if ((mask & ~(FD_ACCEPT | FD_CONNECT)) !== 0 || (mask !== 0 && event === null)) return WSAEINVAL;
    this.#event = mask === 0 ? null : event;
    this.#mask = mask;
    if ((this.#occurred & mask) !== 0) this.#signal();
    return 0;
  }

  /** True once a selection has made the socket nonblocking (WSD-EVT-9). */
  get selected(): boolean {
    return this.#mask !== 0;
  }

  /** Records an event with its error and signals. */
  record(event: number, error: number): void {
    this.#occurred |= event;
    if (event === FD_ACCEPT) this.#acceptError = error;
    else this.#connectError = error;
    if ((this.#mask & event) !== 0) this.#signal();
  }

  #signal(): void {
    if (this.#event !== null) this.#upcalls.WPUSetEvent(this.#event, this.#errno);
  }

  /** Copies and clears the record and resets the event, in one step (WSD-EVT-6, WSD-EVT-7). */
  enumerate(event: EventObject | null, events: WSANETWORKEVENTS): void {
    events.lNetworkEvents = this.#occurred;
    events.iErrorCode.fill(0);
    events.iErrorCode[FD_ACCEPT_BIT] = this.#acceptError;
    events.iErrorCode[FD_CONNECT_BIT] = this.#connectError;
    this.#occurred = 0;
    this.#acceptError = 0;
    this.#connectError = 0;
    if (event !== null) this.#upcalls.WPUResetEvent(event, this.#errno);
  }

  /** The event of FD_ACCEPT, to be reset when WSPAccept succeeds (WSD-ACC-17). */
  resetAccept(): void {
    if (this.#event !== null && (this.#mask & FD_ACCEPT) !== 0) this.#upcalls.WPUResetEvent(this.#event, this.#errno);
  }
}
