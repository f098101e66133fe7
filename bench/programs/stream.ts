/** The agreement between the stream's client and its server. */

/** Acknowledgements are rare enough to cost nothing, and a multiple of the frame, so that a stream can end at one. */
export function ackBytes(size: number): number {
  return Math.max(1 << 20, size * 16);
}
