/** What a connection needs of its socket and of its provider. */

import type { SwitchHandle, WSPUPCALLTABLEEX } from '../../spi/index.js';
import type { AcceptingLink } from './link-face.js';
import type { RdmaRegistrations } from './memory.js';
import type { RegistrationCache } from './registration-cache.js';
import type { Scheduler } from './scheduler.js';

/** Who owns a connection: its socket. */
export interface ConnectionOwner {
  readonly switchHandle: SwitchHandle;
  readonly rdma: RdmaRegistrations;
  readonly cache: RegistrationCache;
  /** The peer must reach nothing any more, and nothing stays cached (WSD-MEM-10, WSD-CCH-11). */
  connectionEnding(): void;
  /** Reason code of the last failure. */
  reason: string | null;
  /** The connection has another link: what was exposed to the peer on the old one is not any more. */
  linkChanged(): void;
  /** The connect that was under way has ended: 0, or a Winsock error with a reason code. */
  connectEnded(wsaError: number, reason: string | null): void;
  /** Nobody listens at this peer any more: true if another one is being asked. */
  connectElsewhere(): boolean;
}

/** A connection whose peer moves to another process. */
export interface AwaitingConnection {
  /** The peer goes on at another place. False: this side does not want any more. */
  rebind(link: AcceptingLink, id: number, generation: number): boolean;
  /** The peer has not come back (WSD-DUP-41). */
  peerLost(): void;
}

/** Who finds the connections again whose peers move to other processes. */
export interface PeerMoves {
  expect(connection: AwaitingConnection, processId: number, nonce: Int32Array): void;
  /** The connection is over; false if it was not expected to come back. */
  giveUp(connection: AwaitingConnection): boolean;
}

/** What a provider has for all its connections. */
export interface ConnectionServices {
  readonly moves: PeerMoves;
  violated(): void;
  readonly upcalls: WSPUPCALLTABLEEX;
  readonly scheduler: Scheduler;
}
