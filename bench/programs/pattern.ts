/** The bytes of a stream: each frame is the same, and each byte tells where in the frame it belongs. */

export function frame(size: number): Buffer {
  const bytes = Buffer.allocUnsafe(size);
  for (let at = 0; at < size; at++) bytes[at] = patternAt(at);
  return bytes;
}

export function patternAt(offset: number): number {
  return (offset * 31 + (offset >>> 8) * 7) & 255;
}
