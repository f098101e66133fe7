/**
 * Payload of the negotiation message (WSD-NEG-2, WSD-NEG-4): how many receive buffers are posted, and by proposal of
 * WSD-NEG-15 a version, the size of each buffer and how large sends may come. 24 bytes, far below the limit of 256 (WSD-NEG-6).
 */

export const NEGOTIATION_SIZE = 24;
export const SESSION_VERSION = 1;

const magic = 0x4e445357; // "WSDN"

/** Fewer than four would let credit messages provoke credit messages for ever; see `Session`. */
export const POSTED_BUFFERS_MIN = 4;
export const POSTED_BUFFERS_MAX = 4096;
export const PAYLOAD_SIZE_MIN = 1024;
export const PAYLOAD_SIZE_MAX = 1 << 20;

/**
 * How a side takes large sends (WSD-XFR-10): its provider can read the sender's memory, or the sender has to write into
 * memory that it is granted.
 */
export type LargeMethod = 'read' | 'write';
const largeMethods: readonly (LargeMethod | undefined)[] = [undefined, 'read', 'write'];

/** What one side offers to the other. */
export interface SessionOffer {
  /** Receive buffers posted at this moment: the peer's initial credit (WSD-FLW-2). */
  postedBuffers: number;
  /** Receive buffers that may be posted at most: credits beyond the initial ones tell that more have been posted. */
  postedBuffersMax: number;
  /** Largest payload in bytes that each of them takes (WSD-NEG-7, WSD-LIM-4). */
  payloadSize: number;
  /** Absent: only messages. */
  large?: LargeMethod;
}

/** With fewer buffers a side might wait for ever for the credits that a large transfer needs. */
const LARGE_BUFFERS_MIN = 8;

/** How the peer takes large sends, if both sides can have such; undefined: not at all. */
export function largeMethod(own: SessionOffer, peer: SessionOffer): LargeMethod | undefined {
  const buffers = Math.min(own.postedBuffers, peer.postedBuffers);
  return own.large === undefined || buffers < LARGE_BUFFERS_MIN ? undefined : peer.large;
}

export function writeNegotiation(words: Int32Array, offset: number, offer: SessionOffer): void {
  const i = offset >> 2;
  words[i] = magic;
  words[i + 1] = SESSION_VERSION;
  words[i + 2] = offer.postedBuffers;
  words[i + 3] = offer.payloadSize;
  words[i + 4] = offer.postedBuffersMax;
  words[i + 5] = largeMethods.indexOf(offer.large);
}

/** Null if it is not a negotiation message of this version, or offers something out of bounds. */
export function readNegotiation(words: Int32Array, offset: number, length: number): SessionOffer | null {
  if (length !== NEGOTIATION_SIZE) return null;
  const i = offset >> 2;
  if (words[i] !== magic || words[i + 1] !== SESSION_VERSION) return null;
  const postedBuffers = words[i + 2];
  const payloadSize = words[i + 3];
  const postedBuffersMax = words[i + 4];
  if (postedBuffers < POSTED_BUFFERS_MIN || postedBuffers > postedBuffersMax) return null;
  if (postedBuffersMax > POSTED_BUFFERS_MAX) return null;
  if (payloadSize < PAYLOAD_SIZE_MIN || payloadSize > PAYLOAD_SIZE_MAX) return null;
  // What a later version may say there is no way that we know.
  const large = largeMethods[words[i + 5]];
  return large === undefined
    ? { postedBuffers, postedBuffersMax, payloadSize }
    : { postedBuffers, postedBuffersMax, payloadSize, large };
}
