/**
 * Where a connection's message buffers come from (WSD-NEG-14, WSD-FLW-6): from the provider, if it has our extension for
 * that, or from memory of the switch that is registered for the connection.
 */

import { type MemoryRegion, OVERLAPPED_POLL, type ProviderSocket, type WSABUF, WSAOVERLAPPED } from '../spi/index.js';

/** A posted receive buffer with its overlapped record. */
export class ReceiveBuffer extends WSAOVERLAPPED implements WSABUF {
  len = 0;
  buf!: MemoryRegion;
  offset = 0;
  /** The argument of WSPRecv. */
  readonly list: readonly WSABUF[] = [this];
}

/** Memory of one connection, or of all connections of a provider. */
export interface TransferMemory {
  /** A buffer to be posted; null if there is no memory. */
  takeReceive(): ReceiveBuffer | null;
  giveReceive(buffer: ReceiveBuffer): void;
  /** Puts fresh memory into the buffer; what it had belongs to somebody else from now on. False if there is none. */
  replaceMemory(buffer: WSABUF): boolean;
  /** Stores an outgoing buffer of `length` bytes in `buffer`; 0, or a Winsock error. */
  getSendBuffer(socket: ProviderSocket, length: number, buffer: WSABUF): number;
  /** The record for the WSPSend of that buffer, in poll mode (WSD-OVL-7). */
  readonly sendOverlapped: WSAOVERLAPPED;
  /** WSPSend has returned WSA_IO_PENDING: record and buffer stay in use. */
  sendPending(): void;
  /** Deregisters what sends have used, all of which are done (WSD-DUP-14). */
  releaseSends(): void;
  /** Before WSPCloseSocket: deregisters what no transfer is using (WSD-MEM-29). */
  release(): void;
}

/** A record for sends, whose outcome nobody needs to be told (WSD-OVL-7). */
export function pollOverlapped(): WSAOVERLAPPED {
  const overlapped = new WSAOVERLAPPED();
  overlapped.hEvent = OVERLAPPED_POLL;
  return overlapped;
}
