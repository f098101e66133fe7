/** What the two processes of a link know of each other's RDMA memory, apart from what they say on the ring. */

import type { PeerMemoryReason } from '../../diagnostics/peer-memory.js';
import { arenaLayout, type Side } from './arena.js';
import { type ExposedRange, Exposures, PeerExposures } from './exposures.js';
import { PeerMemory, type PeerMemoryOptions } from './peer-memory.js';

export interface LinkMemoryOptions extends PeerMemoryOptions {
  readonly arena: ArrayBuffer;
  readonly side: Side;
}

export class LinkMemory {
  readonly #exposures: Exposures;
  readonly #peerExposures: PeerExposures;
  readonly #peer: PeerMemory;
  readonly #options: LinkMemoryOptions;

  constructor(options: LinkMemoryOptions) {
    const layout = arenaLayout(options.side);
    this.#options = options;
    this.#exposures = new Exposures(options.arena, layout.myExposures);
    this.#peerExposures = new PeerExposures(options.arena, layout.peerExposures);
    this.#peer = new PeerMemory(options);
  }

  /** Whether RDMA memory of the peer is read directly, as far as that is known. */
  get access(): PeerMemoryReason {
    return this.#peer.access;
  }

  try(): PeerMemoryReason {
    return this.#peer.try();
  }

  // ---- our memory, for the peer

  addressOf(buffer: ArrayBufferLike): bigint | null {
    return this.#options.platform.addressOf(buffer);
  }

  /** Lets the peer read a registration by itself. The last word of its descriptor: 0 if it cannot be done. */
  expose(connection: number, address: bigint, length: number, flags: number, key0: number, key1: number): number {
    return this.#options.allowed ? this.#exposures.add(connection, address, length, flags, key0, key1) : 0;
  }

  /** False, and nothing is done: the peer is reading. */
  hide(reference: number): boolean {
    return reference === 0 || this.#exposures.remove(reference);
  }

  hideSurely(reference: number): void {
    if (reference !== 0) this.#exposures.drop(reference);
  }

  // ---- the peer's memory

  /** Begins a read; null if it has to go over the ring. */
  begin(descriptor: Buffer, connection: number, offset: number, length: number): ExposedRange | null {
    if (this.#peer.try() !== 'direct') return null;
    return this.#peerExposures.begin(descriptor, connection, offset, length);
  }

  /** Copies a part of the range to our memory. False: what is there now says nothing. */
  read(range: ExposedRange, at: number, into: bigint, length: number): boolean {
    return this.#peer.read(range.address + BigInt(at), into, length) && this.#peerExposures.isThere(range);
  }

  end(range: ExposedRange): void {
    this.#peerExposures.end(range);
  }

  /** The link has ended. */
  close(): void {
    this.#peer.close();
  }
}
