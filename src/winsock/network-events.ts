/**
 * WSAEventSelect: events of one socket, recorded until WSAEnumNetworkEvents fetches them. An event that has been recorded is
 * not recorded again before the program has called the function that re-enables it, and if what it tells is true then still,
 * it is recorded at once.
 */

import { WSANETWORKEVENTS } from '../spi/index.js';
import type { WSAEVENT } from './event.js';

export class NetworkEvents {
  readonly event: WSAEVENT;
  readonly mask: number;
  #record = new WSANETWORKEVENTS();
  /** Events that are recorded when they happen. */
  #enabled: number;

  constructor(event: WSAEVENT, mask: number) {
    this.event = event;
    this.mask = mask;
    this.#enabled = mask;
  }

  /** The event has happened; `wsaError` is its outcome. */
  note(event: number, wsaError: number): void {
    if ((this.#enabled & event) === 0) return;
    this.#enabled &= ~event;
    this.#record.lNetworkEvents |= event;
    this.#record.iErrorCode[31 - Math.clz32(event)] = wsaError;
    this.event.set();
  }

  enable(events: number): void {
    this.#enabled |= events & this.mask;
  }

  /** What has been recorded since the last time. */
  take(): WSANETWORKEVENTS {
    const record = this.#record;
    this.#record = new WSANETWORKEVENTS();
    return record;
  }
}
