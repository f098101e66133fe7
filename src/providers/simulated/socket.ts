/** The record of a SAN socket: what the provider's own descriptor stands for (WSD-SOC-7 to WSD-SOC-9). */

import {
  FD_CONNECT,
  type MemoryRegion,
  type Out,
  OVERLAPPED_POLL,
  type ProviderSocket,
  type SOCKADDR,
  type SwitchHandle,
  WSAEFAULT,
  WSAEINVAL,
  WSAENOTCONN,
  type WSAOVERLAPPED,
  type WSPUPCALLTABLEEX,
} from '../../spi/index.js';
import type { Connection } from './connection.js';
import { NetworkEvents } from './events.js';
import type { Listener } from './listener.js';
import { RdmaRegistrations, Registrations } from './memory.js';
import { RegistrationCache } from './registration-cache.js';
import type { Process } from './world.js';

export class SimulatedSocket implements ProviderSocket {
  readonly #upcalls: WSPUPCALLTABLEEX;
  switchHandle!: SwitchHandle;
  readonly events: NetworkEvents;
  readonly #localCache: RegistrationCache;
  readonly #rdmaCache: RegistrationCache;
  readonly registrations: Registrations;
  readonly rdma: RdmaRegistrations;
  local: SOCKADDR | null = null;
  remote: SOCKADDR | null = null;
  listener: Listener | null = null;
  connection: Connection | null = null;
  /** A connect has been started and has not ended. */
  connecting = false;
  closed = false;
  /** It goes on in another process. */
  moved = false;
  /** Ends of operations are not told: WSPCleanup ends them (WSD-CLS-24). */
  silent = false;
  /** SO_DEBUG, which an accepting socket takes over (WSD-ACC-34). */
  debug = false;
  /** Reason code of the last failure. */
  reason: string | null = null;
  /** Ends the timer of the connect under way. */
  stopTimer: (() => void) | null = null;
  readonly #errno: Out<number> = { value: 0 };

  constructor(
    readonly process: Process,
    upcalls: WSPUPCALLTABLEEX,
    readonly family: number,
    /** Memory stays registered with the NIC after it was deregistered. */
    caching: boolean,
  ) {
    this.#upcalls = upcalls;
    this.events = new NetworkEvents(upcalls);
    this.#localCache = new RegistrationCache(process.world, caching);
    this.#rdmaCache = new RegistrationCache(process.world, caching);
    this.registrations = new Registrations(process, this.#localCache);
    this.rdma = new RdmaRegistrations(process.world.random, this.#rdmaCache);
  }

  /** Ranges that the NIC keeps registered for nobody. */
  get cachedRanges(): number {
    return this.#localCache.idle + this.#rdmaCache.idle;
  }

  /** Memory is about to go away (WSD-CCH-10, WSD-CCH-15): 0 or a Winsock error. */
  invalidate(region: MemoryRegion, size: number): number {
    const errors = [this.#localCache, this.#rdmaCache].map((cache) => cache.invalidate(region, size));
    return [WSAEFAULT, 0, WSAEINVAL].find((error) => errors.includes(error))!;
  }

  /** WSD-CCH-11: before the connection is closed. */
  releaseCached(): void {
    this.#localCache.releaseIdle();
    this.#rdmaCache.releaseIdle();
  }

  /** The socket is closed, and nothing of its memory is known any more. */
  forgetMemory(): void {
    this.registrations.clear();
    this.rdma.clear();
    this.#localCache.clear();
    this.#rdmaCache.clear();
  }

  get spi(): 'ProviderSocket' {
    return 'ProviderSocket';
  }

  /** Why a data call cannot be made; 0 if it can. */
  get dataError(): number {
    if (this.connection === null || this.connecting) return WSAENOTCONN;
    return this.connection.isConnected ? 0 : this.connection.error || WSAENOTCONN;
  }

  /** Ends an operation, by an up-call or silently (WSD-OVL-8, WSD-OVL-10, WSD-OVL-14, WSD-OVL-16). */
  complete(overlapped: WSAOVERLAPPED, error: number, bytes: number): void {
    overlapped.Offset = 0;
    overlapped.OffsetHigh = error;
    if ((overlapped.hEvent & OVERLAPPED_POLL) === 0 && !this.silent) {
      this.#upcalls.WPUCompleteOverlappedRequest(this.switchHandle, overlapped, error, bytes, this.#errno);
    } else {
      overlapped.InternalHigh = bytes;
      overlapped.Internal = error;
    }
  }

  recordEvent(event: number, error: number): void {
    if (!this.closed) this.events.record(event, error);
  }

  /** The connect that was under way has ended: 0, or a Winsock error with a reason code. */
  connectEnded(error: number, reason: string | null): void {
    if (!this.connecting) return;
    this.connecting = false;
    this.stopTimer?.();
    this.stopTimer = null;
    this.reason = reason;
    // A failed attempt leaves nothing, so that another may follow.
    if (error !== 0) this.connection = null;
    this.recordEvent(FD_CONNECT, error);
  }
}
