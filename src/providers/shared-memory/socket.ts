/** The record of a SAN socket: what the provider's own descriptor stands for (WSD-SOC-7 to WSD-SOC-9). */

import type { Member } from '../../collections/dense-set.js';
import {
  type EventObject,
  FD_ACCEPT,
  FD_ACCEPT_BIT,
  FD_CONNECT,
  FD_CONNECT_BIT,
  type Out,
  OVERLAPPED_POLL,
  type ProviderSocket,
  type SOCKADDR,
  type SwitchHandle,
  type WSABUF,
  WSAEINVAL,
  WSAENOTCONN,
  type WSANETWORKEVENTS,
  type WSAOVERLAPPED,
  type WSPUPCALLTABLEEX,
} from '../../spi/index.js';
import type { Connection } from './connection.js';
import type { ConnectionOwner } from './connection-face.js';
import type { Listener } from './listener.js';
import { type Exposer, RdmaRegistrations, Registrations } from './memory.js';
import { RegistrationCache } from './registration-cache.js';

/** Looks after connects under way. */
export interface Connector {
  connectEnded(socket: SharedMemorySocket): void;
  /** Asks another process of the port; false if there is none. */
  tryElsewhere(socket: SharedMemorySocket): boolean;
}

/** A connect under way: ticks that are left of its budget, and those since the peer, at `decided`, last decided on a connect. */
export class ConnectPatience implements Member {
  place = -1;
  lasted = 0;
  decided = 0;
  constructor(
    readonly socket: SharedMemorySocket,
    public left: number,
  ) {}
}

export class SharedMemorySocket implements ProviderSocket, ConnectionOwner, Member {
  place = -1;
  /** Whose socket it is: no other provider of the process takes it. */
  readonly provider: object;
  readonly #upcalls: WSPUPCALLTABLEEX;
  switchHandle!: SwitchHandle;
  readonly family: number;
  local: SOCKADDR | null = null;
  remote: SOCKADDR | null = null;
  listener: Listener | null = null;
  connection: Connection | null = null;
  /** A connect has been started and has not ended. */
  connecting = false;
  /** Of the connect that was started last. */
  patience: ConnectPatience | null = null;
  closed = false;
  /** It goes on in another process. */
  moved = false;
  /** Reason code of the last failure. */
  reason: string | null = null;
  #registrations: Registrations | null = null;
  #rdma: RdmaRegistrations | null = null;
  #cache: RegistrationCache | null = null;
  /** Outgoing buffer from WSPGetSendBuffer that awaits its WSPSend. */
  sendBuffer: WSABUF | null = null;
  /** Bytes of it. */
  sendBufferLength = 0;
  /** Bytes that a gathering WSPSend has put on the wire itself; 0 otherwise. */
  sendLength = 0;
  /** Who looks after the connect under way. */
  connector: Connector | null = null;
  #event: EventObject | null = null;
  #mask = 0;
  /** Events that have occurred, with their errors (WSD-EVT-4). */
  #occurred = 0;
  #acceptError = 0;
  #connectError = 0;
  readonly #errno: Out<number> = { value: 0 };

  constructor(provider: object, upcalls: WSPUPCALLTABLEEX, family: number) {
    this.provider = provider;
    this.#upcalls = upcalls;
    this.family = family;
  }

  get registrations(): Registrations {
    this.#registrations ??= new Registrations(this.cache);
    return this.#registrations;
  }

  /** To be asked for once there is a connection. */
  get rdma(): RdmaRegistrations {
    this.#rdma ??= new RdmaRegistrations(this.cache, this.#exposer());
    return this.#rdma;
  }

  get cache(): RegistrationCache {
    this.#cache ??= new RegistrationCache((buffer) => this.connection?.link.memory?.addressOf(buffer) ?? null);
    return this.#cache;
  }

  #exposer(): Exposer | null {
    const { connection } = this;
    const memory = connection?.link.memory;
    if (connection === null || !memory) return null;
    return {
      expose: (address, length, flags, key0, key1) => memory.expose(connection.id, address, length, flags, key0, key1),
      hide: (reference) => memory.hide(reference),
      hideSurely: (reference) => memory.hideSurely(reference),
    };
  }

  /** Memory is about to go away: 0 or a Winsock error (WSD-CCH-10). */
  invalidate(buffer: ArrayBufferLike): number {
    return this.#cache?.invalidate(buffer) ?? WSAEINVAL;
  }

  linkChanged(): void {
    this.connectionEnding();
    this.#rdma = null;
  }

  connectionEnding(): void {
    this.#rdma?.hideAll();
    this.#cache?.clear();
  }

  /** Forgets all memory of the socket. */
  forgetMemory(): void {
    this.#registrations?.clear();
    this.#rdma?.clear();
    this.#cache?.clear();
  }

  get spi(): 'ProviderSocket' {
    return 'ProviderSocket';
  }

  /** Why a data call cannot be made; 0 if it can. */
  get dataError(): number {
    if (this.connection === null || this.connecting) return WSAENOTCONN;
    return this.connection.isConnected ? 0 : this.connection.error || WSAENOTCONN;
  }

  /** Ends a send that is done as far as this side is concerned. */
  complete(overlapped: WSAOVERLAPPED, bytes: number): void {
    overlapped.Offset = 0;
    overlapped.OffsetHigh = 0;
    if ((overlapped.hEvent & OVERLAPPED_POLL) === 0) {
      this.#upcalls.WPUCompleteOverlappedRequest(this.switchHandle, overlapped, 0, bytes, this.#errno);
    } else {
      overlapped.InternalHigh = bytes;
      overlapped.Internal = 0;
    }
  }

  // ---- network events (section 13)

  /** 0 or WSAEINVAL. Replaces an earlier selection; what is recorded already signals at once (WSD-EVT-8). */
  select(event: EventObject | null, mask: number): number {
    if ((mask & ~(FD_ACCEPT | FD_CONNECT)) !== 0 || (mask !== 0 && event === null)) return WSAEINVAL;
    this.#event = mask === 0 ? null : event;
    this.#mask = mask;
    if ((this.#occurred & mask) !== 0) this.#signal();
    return 0;
  }

  /** Records an event with its error and signals (WSD-EVT-4). */
  recordEvent(event: number, error: number): void {
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
  resetAcceptEvent(): void {
    if (this.#event !== null && (this.#mask & FD_ACCEPT) !== 0) this.#upcalls.WPUResetEvent(this.#event, this.#errno);
  }

  // ---- connecting

  /** Processes of the port that were asked, once one has refused. */
  tried: string[] | null = null;
  /** Token of the process that is being asked. */
  asked = '';

  connectElsewhere(): boolean {
    this.connection = null;
    return this.connecting && (this.connector?.tryElsewhere(this) ?? false);
  }

  connectEnded(wsaError: number, reason: string | null): void {
    if (!this.connecting) return;
    this.connecting = false;
    this.reason = reason;
    this.connector?.connectEnded(this);
    this.connector = null;
    this.recordEvent(FD_CONNECT, wsaError);
  }
}
