/**
 * The header of every control message (WSD-XFR-1): four little-endian 32-bit words.
 *
 *     word 0   type (bits 0-7), flags (8-15), credits returned (16-31)
 *     word 1   length of the payload in bytes
 *     word 2   sequence number, from 1 in each direction
 *     word 3   with a finish of a closed socket, the sequence number of the last message that it has taken; else 0
 */

export const HEADER_SIZE = 16;

/** The one exchange that opens a session (WSD-NEG-5). */
export const TYPE_NEGOTIATE = 1;
/** Application data (WSD-XFR-2). */
export const TYPE_DATA = 2;
/** Returns credits when no other message would carry them (WSD-FLW-8). */
export const TYPE_CREDIT = 3;
/** The sender has finished sending (WSD-CLS-1). */
export const TYPE_FINISH = 4;

/** Flag of a finish: the program has closed its socket and takes nothing any more, as against having ended its sending. */
export const FLAG_CLOSED = 1 << 8;
/** Flag of data whose last byte is urgent (WSD-OOB-2). */
export const FLAG_URGENT = 1 << 15;

/** Highest number of credits that one header can return. */
export const CREDITS_MAX = 0xffff;

export function writeHeader(
  words: Int32Array,
  offset: number,
  type: number,
  credits: number,
  length: number,
  sequence: number,
): void {
  const i = offset >> 2;
  words[i] = type | (credits << 16);
  words[i + 1] = length;
  words[i + 2] = sequence;
  words[i + 3] = 0;
}
