/** Connections that have moved to this event loop: the link with the peer, and the peer's answer (WSD-DUP-37). */

import { type Platform, PlatformError } from '../../platform/index.js';
import { WSAECONNABORTED, WSAENOBUFS } from '../../spi/index.js';
import type { Connection } from './connection.js';
import type { PeerLink } from './link.js';
import type { MovedSocket } from './moved-sockets.js';
import type { Scheduler } from './scheduler.js';

/** Milliseconds until the next attempt to link with the peer, which may be busy or not have made itself known yet. */
const pauseMin = 1;
const pauseMax = 64;
/** Attempts: about five seconds of pauses. */
const attemptsMax = 80;

export interface ArrivalOptions {
  readonly platform: Platform;
  readonly scheduler: Scheduler;
  link(token: string): PeerLink | null;
  dial(token: string): Promise<PeerLink>;
}

/** `connection` becomes what it was, or is told that it cannot be. */
export function arrive(options: ArrivalOptions, connection: Connection, { peerToken, nonce }: MovedSocket): void {
  // What is sent and closed meanwhile is still to reach the peer, as with TCP, so the loop must not end before.
  const hold = setInterval(() => {}, 60_000);
  connection.onArrival = () => clearInterval(hold);
  const attempt = (left: number, pause: number): void => {
    const known = options.link(peerToken);
    if (known !== null) {
      resume(connection, known, nonce);
      return;
    }
    options.dial(peerToken).then(
      (link) => resume(connection, link, nonce),
      (error: unknown) => {
        if (!(error instanceof PlatformError) || left === 0) connection.arrivalFailed(WSAECONNABORTED);
        else options.scheduler.later(() => attempt(left - 1, Math.min(2 * pause, pauseMax)), pause);
      },
    );
  };
  attempt(attemptsMax, pauseMin);
}

function resume(connection: Connection, link: PeerLink, nonce: Int32Array): void {
  const slot = link.isDead ? null : link.open(connection);
  if (slot === null) {
    connection.arrivalFailed(link.isDead ? WSAECONNABORTED : WSAENOBUFS);
    return;
  }
  connection.arriveOn(link, slot.id, slot.generation);
  link.sendResume(slot.id, slot.generation, nonce);
}
