/** What a link knows of a connection, and of a message that waits. */

import type { MemoryRegion, WSABUF, WSAOVERLAPPED } from '../../spi/index.js';
import type { LinkMemory } from './link-memory.js';
import type { Pumps } from './pumps.js';

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
  /** The peer goes on in that process, whose link brings the same nonce. */
  peerMoves(processId: number, nonce: Int32Array): void;
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

/** What a connection needs of its link, or of what stands for a link that is not there yet. */
export interface ConnectionLink {
  readonly isDead: boolean;
  readonly memory: LinkMemory | null;
  readonly pumps: Pumps;
  readonly hasRecords: boolean;
  readonly lastReceived: number;
  readonly decided: number;
  begin(length: number, buffer: WSABUF): void;
  commit(length: number, id: number, overlapped: WSAOVERLAPPED | null): boolean;
  /** The same as `begin`, if there is room for it on the ring now. */
  tryBegin(length: number, buffer: WSABUF): boolean;
  sendRecord(words: readonly number[]): boolean;
  sendClose(id: number, generation: number): void;
  endSends(id: number, connection: LinkConnection, wsaError: number): void;
  withdraw(id: number, generation: number): boolean;
  replace(id: number, connection: LinkConnection): void;
  release(id: number): void;
  forget(id: number): void;
}

/** A link on which the peer asks for a connection. */
export interface AcceptingLink extends ConnectionLink {
  /** False: the peer does not want it any more. */
  accept(id: number, generation: number, connection: LinkConnection): boolean;
}
