/** The record of a SAN socket: what the descriptor stands for that WSPSocket and WSPAccept return. */

import {
  FD_ACCEPT,
  FD_ACCEPT_BIT,
  FD_CONNECT,
  FD_CONNECT_BIT,
  OVERLAPPED_POLL,
  WSAEINVAL,
  WSAENOTCONN,
} from 'sockets-direct/spi';
import { Memory } from './memory.js';

export class UnixSocket {
  spi = 'ProviderSocket';
  /** Made by WPUCreateSocketHandle; up-calls name it. */
  handle = null;
  memory = new Memory();
  local = null;
  listener = null;
  /** A connect under way. */
  connecting = null;
  connection = null;
  closed = false;
  /** WSPCleanup ends operations without up-calls. */
  silent = false;
  #upcalls;
  #event = null;
  #mask = 0;
  #occurred = 0;
  #errors = new Map();
  #errno = { value: 0 };

  constructor(upcalls, family) {
    this.#upcalls = upcalls;
    this.family = family;
  }

  /** Why no data can be moved; 0 if it can. */
  get dataError() {
    return this.connection === null ? WSAENOTCONN : this.connection.error;
  }

  /** Ends an operation: by an up-call, or in poll mode silently, `Internal` last. */
  complete(overlapped, error, bytes) {
    overlapped.Offset = 0;
    overlapped.OffsetHigh = error;
    if ((overlapped.hEvent & OVERLAPPED_POLL) === 0 && !this.silent) {
      this.#upcalls.WPUCompleteOverlappedRequest(this.handle, overlapped, error, bytes, this.#errno);
    } else {
      overlapped.InternalHigh = bytes;
      overlapped.Internal = error;
    }
  }

  select(event, mask) {
    if ((mask & ~(FD_ACCEPT | FD_CONNECT)) !== 0 || (mask !== 0 && event === null)) return WSAEINVAL;
    this.#event = mask === 0 ? null : event;
    this.#mask = mask;
    if ((this.#occurred & mask) !== 0) this.#upcalls.WPUSetEvent(this.#event, this.#errno);
    return 0;
  }

  /** First the record, then the signal. */
  record(event, error) {
    if (this.closed) return;
    this.#occurred |= event;
    this.#errors.set(event, error);
    if ((this.#mask & event) !== 0) this.#upcalls.WPUSetEvent(this.#event, this.#errno);
  }

  /** Copies and clears the record and resets the event, in one step. */
  enumerate(event, events) {
    events.lNetworkEvents = this.#occurred;
    events.iErrorCode[FD_ACCEPT_BIT] = this.#errors.get(FD_ACCEPT) ?? 0;
    events.iErrorCode[FD_CONNECT_BIT] = this.#errors.get(FD_CONNECT) ?? 0;
    this.#occurred = 0;
    this.#errors.clear();
    if (event !== null) this.#upcalls.WPUResetEvent(event, this.#errno);
    return 0;
  }

  /** One request has been taken. What the event stands for may have gone with it; if there is more, it is set again. */
  accepted() {
    if ((this.#mask & FD_ACCEPT) !== 0) this.#upcalls.WPUResetEvent(this.#event, this.#errno);
  }
}
