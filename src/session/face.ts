/** What a session needs of what is below and above it, and what it is set up with. */

import type { WSABUF } from '../spi/index.js';
import type { SessionOffer } from './negotiation.js';
import type { Done } from './send-queue.js';

/** What a session may ask of the connection below. None of these calls back into the session before it returns. */
export interface SessionWire {
  /** A registered outgoing buffer of `length` bytes, valid until `send`. Null: the connection is lost, or will be for want of memory. */
  getSendBuffer(length: number): WSABUF | null;
  /** Sends the buffer of `getSendBuffer` as one message. */
  send(length: number): void;
  /** Posts a consumed receive buffer again (WSD-FLW-5). */
  repost(buffer: WSABUF): void;
  /** Posts up to `count` more receive buffers; returns how many. */
  postMore(count: number): number;
  /** Puts other memory into `buffer`, so that what it holds can be given to the program; false if there is none. */
  replaceMemory(buffer: WSABUF): boolean;
  /** Asked for only if this side's offer has `large`. */
  readonly rdma?: SessionRdma;
}

/**
 * RDMA, for large sends: at most one in each direction at a time. Nothing here calls back into the session before it returns.
 */
export interface SessionRdma {
  /** Most bytes of one `read`. */
  readonly readMax: number;
  /** Registers the bytes for the peer to read (WSD-XFR-12). Their descriptor, or null where that is not to be had. */
  expose(bytes: Uint8Array): Uint8Array | null;
  /** The peer has read them: ends the registration (WSD-XFR-16). */
  conceal(): void;
  /**
   * Reads from the peer's memory into registered memory (WSD-XFR-14). The bytes, or `'pending'`: then `pieceRead` follows.
   * `'failed'`: it has not begun.
   */
  read(descriptor: Uint8Array, offset: number, length: number): Buffer | 'pending' | 'failed';
  /** Memory of `length` bytes, registered for the peer to write (WSD-XFR-18). Its descriptor, or null. */
  grant(length: number): Uint8Array | null;
  /** The peer has written there: ends the registration (WSD-XFR-23). The memory belongs to the caller. */
  takeGranted(): Buffer;
  /** Writes into the peer's memory (WSD-XFR-20): `'done'`, or `'pending'`, and `pieceWritten` follows. `'failed'`: it has not begun. */
  write(bytes: Uint8Array, descriptor: Uint8Array): 'done' | 'pending' | 'failed';
  /**
   * Ends what is under way, at the latest when the connection is closed for it: whatever the program has lent is its own
   * again when this returns.
   */
  end(): void;
}

/** How a session finishes: both sides said their end, or one of them gave the connection up. */
export type Ending = 'ended' | 'reset' | 'reset-by-peer';

/** Who is told what happens on the session. */
export interface SessionOwner {
  /** The session is agreed: the initiator has the reply, or the acceptor has sent it (WSD-NEG-5). */
  onNegotiated(): void;
  onData(chunk: Buffer): void;
  /** Data whose last byte is urgent (WSD-OOB-7); it stands in the stream where the peer sent it. */
  onUrgent(chunk: Buffer): void;
  /** The peer has finished sending and everything has been delivered. */
  onEnd(): void;
  /** The connection was lost and everything that arrived has been delivered. */
  onError(wsaError: number): void;
  /** The peer broke the protocol: the connection must be closed at once. `what` is for the log. */
  onViolation(what: string): void;
  /** Both directions have ended, or `close` has nothing more to wait for: the companion socket can be closed. */
  onFinished(ending: Ending): void;
  /** Bytes wait, here or with the peer, and the program reads: `deliverStored` is to be called in a later turn. */
  onDeliverable(): void;
  /** Calls `done(error)` in a later turn. */
  defer(done: Done, error: number): void;
  /** The peer may move to another process now; false: it has. Meanwhile nothing comes from it. */
  onPeerSuspended?(suspended: boolean): void;
  /** A write waits for credit: `acceptWaiting` is to be called after a while without progress. */
  onWriteWaiting(): void;
}

export interface SessionOptions {
  /** What this side offers; `postedBuffers` have been posted before the session starts (WSD-NEG-1, WSD-NEG-3). */
  offer: SessionOffer;
  initiator: boolean;
  /** Payloads up to this size in bytes are copied out of the posted buffer; larger ones are handed over. */
  copyMax: number;
  /** Bytes that small writes may gather while there is no credit, before a write has to wait. */
  gatherMax: number;
  /** Bytes that are accepted from a program whose peer does not read: what stock sockets buffer. */
  acceptMax: number;
  /** Larger writes go by RDMA, if the peer takes them so (WSD-XFR-6); absent: none. It can be changed later. */
  largeThreshold?: number;
}
