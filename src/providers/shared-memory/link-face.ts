/** What a link knows of a connection, and of a message that waits. */

import type { MemoryRegion, WSAOVERLAPPED } from '../../spi/index.js';

/** A connection as its link sees it. */
export interface LinkConnection {
  /** A message: fills a posted receive buffer and completes it. */
  receive(region: MemoryRegion, offset: number, length: number): void;
  /** A record about RDMA, in shared memory. False: there is none of this type and length. */
  handleRdma(type: number, region: MemoryRegion, offset: number, length: number): boolean;
  /** A send that had to wait for wire has ended: 0, or a Winsock error. */
  sent(overlapped: WSAOVERLAPPED, wsaError: number, bytes: number): void;
  accepted(): void;
  refused(cause: number): void;
  /** The peer has closed: tear down (WSD-CLS-8). */
  closedByPeer(): void;
  /** The link is gone, `violated` by the peer or not. `unconsumed` messages, the last ones sent, were never taken by it. */
  linkLost(unconsumed: number, violated: boolean): void;
}

/** A message that waits for room in the ring. */
export interface Spilled {
  id: number;
  region: MemoryRegion;
  length: number;
  overlapped: WSAOVERLAPPED | null;
  /** Something that the peer has provoked. */
  answer: boolean;
}
