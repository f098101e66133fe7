/**
 * Layout of the memory that joins two event loops: side 0 dialled, side 1 listened. Fresh memory is all zero.
 *
 *     0        control words, each alone on 128 bytes; a tail with a second word of its ring
 *     1024     RDMA memory that side 0 exposes, then that of side 1
 *     4096     request states of side 0's connections, one word a slot
 *     266240   request states of side 1's connections
 *     528384   ring from side 0 to side 1
 *     +2 MiB   ring from side 1 to side 0
 *
 * Pages count only once they are touched.
 */

import { EXPOSURE_SIZE, EXPOSURES } from './exposures.js';

export type Side = 0 | 1;

/** Connection slots of each side; slot 0 is not used. */
export const SLOTS = 65536;

/**
 * Bytes of a ring. At least twice what one connection may have in flight, so that sending hardly ever waits for wire, and
 * so that a record fits whatever its offset.
 */
export const RING_SIZE = 2 * 1024 * 1024;

const line = 128;
const exposures = 1024;
const words = 4096;
const requestBytes = SLOTS * 4;
const rings = words + 2 * requestBytes;

export const ARENA_SIZE = rings + 2 * RING_SIZE;

/** Byte offsets of what one side needs. */
export interface ArenaLayout {
  sendHead: number;
  sendTail: number;
  sendRing: number;
  receiveHead: number;
  receiveTail: number;
  receiveRing: number;
  mySleep: number;
  peerSleep: number;
  /** Request states of the connections that this side initiates. */
  myRequests: number;
  peerRequests: number;
  /** RDMA memory of this side that the peer may read by itself. */
  myExposures: number;
  peerExposures: number;
}

export function arenaLayout(side: Side): ArenaLayout {
  const mine = side;
  const peer = 1 - side;
  return {
    sendHead: 2 * mine * line,
    sendTail: (2 * mine + 1) * line,
    sendRing: rings + mine * RING_SIZE,
    receiveHead: 2 * peer * line,
    receiveTail: (2 * peer + 1) * line,
    receiveRing: rings + peer * RING_SIZE,
    mySleep: (4 + mine) * line,
    peerSleep: (4 + peer) * line,
    myRequests: words + mine * requestBytes,
    peerRequests: words + peer * requestBytes,
    myExposures: exposures + mine * EXPOSURES * EXPOSURE_SIZE,
    peerExposures: exposures + peer * EXPOSURES * EXPOSURE_SIZE,
  };
}
