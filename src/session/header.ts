/**
 * The header of every control message (WSD-XFR-1): four little-endian 32-bit words.
 *
 *     word 0   type (bits 0-7), flags (8-15), credits returned (16-31)
 *     word 1   length of the payload in bytes
 *     word 2   sequence number, from 1 in each direction
 *     word 3   with a finish of a closed socket, the sequence number of the last message that it has taken; with the
 *              messages of a large transfer, a number of bytes; else 0
 *
 * The header of a large send goes on behind these words: two more, the first of which is the length of a descriptor, then
 * that descriptor, filled up to a multiple of 8; what follows is data.
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

/**
 * A large send: word 3 is the amount of application data (WSD-XFR-4). Its first portion is in the message (WSD-XFR-3); the
 * rest is to be read from the memory of the descriptor (WSD-XFR-13), or, without one, written to memory of the receiver.
 */
export const TYPE_LARGE = 16;
/** The receiver of a large send: memory for word 3 bytes of it, by the descriptor that follows (WSD-XFR-19); 0: none. */
export const TYPE_GRANT = 17;
/**
 * Transfer complete: the receiver has read word 3 bytes (WSD-XFR-15). What is missing, because its program is slow or memory
 * could not be read, is to come anew; 0: in messages.
 */
export const TYPE_READ = 18;
/** Transfer complete: the sender has written word 3 bytes (WSD-XFR-22). Fewer than granted: the rest comes in messages. */
export const TYPE_WRITTEN = 19;

/** Words of a large send between the header and the descriptor, in bytes. */
export const LARGE_FIELDS_SIZE = 8;
/** Longest descriptor, in bytes. */
export const DESCRIPTOR_SIZE_MAX = 128;
/** Most bytes of one large send. */
export const LARGE_SIZE_MAX = 2 ** 30;
/** One side wants to move to another process (WSD-DUP-13), may (WSD-DUP-17), and has moved or will not (WSD-DUP-34). */
export const TYPE_SUSPEND = 32;
export const TYPE_SUSPENDED = 33;
export const TYPE_RESUME = 34;

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
