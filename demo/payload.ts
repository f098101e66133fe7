/** The body of a large response: every byte is known in advance, so that both ends can be held to it. */

import { createHash } from 'node:crypto';

export const CHUNK_BYTES = 64 * 1024;
export const CHUNKS_PER_MIB = 16;

/** The chunk at `index`. It carries its number: chunks in another order give another digest. */
export function chunk(index: number): Buffer {
  const bytes = Buffer.alloc(CHUNK_BYTES, index & 255);
  bytes.writeUInt32LE(index, 0);
  return bytes;
}

export function* payload(mib: number): Generator<Buffer> {
  for (let index = 0; index < mib * CHUNKS_PER_MIB; index++) yield chunk(index);
}

export function digest(mib: number): string {
  const hash = createHash('sha256');
  for (const bytes of payload(mib)) hash.update(bytes);
  return hash.digest('hex');
}
