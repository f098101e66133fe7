/**
 * What two providers say to each other on a Unix socket: frames of a length (4 bytes, little-endian: of what follows), a
 * type (1 byte) and a payload.
 */

/** A client asks for a connection: JSON of {@link Request}. */
export const REQUEST = 1;
/** It is accepted. */
export const ACCEPT = 2;
/** It is not: a Winsock error (4 bytes) that the client's WSPConnect ends with. */
export const REFUSE = 3;
/** One WSPSend. */
export const MESSAGE = 4;
/** One WSPRdmaWrite: descriptor (16 bytes), offset (4 bytes, signed), data. */
export const WRITE = 5;
/** WSPCloseSocket was called. A stream that ends without it means that the process has died. */
export const CLOSE = 6;

/** Largest message and largest RDMA write, in bytes. */
export const MESSAGE_MAX = 131_072;
export const WRITE_MAX = 1_048_576;
export const DESCRIPTOR_SIZE = 16;
const HEADER = 5;
const FRAME_MAX = WRITE_MAX + DESCRIPTOR_SIZE + 4 + 1;

export function frame(type, ...parts) {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const header = Buffer.alloc(HEADER);
  header.writeUInt32LE(1 + length, 0);
  header[4] = type;
  return Buffer.concat([header, ...parts]);
}

/** Cuts a stream of bytes into frames. Whoever says something else is not believed any further: it throws. */
export class Frames {
  #rest = Buffer.alloc(0);

  /** Calls `take(type, payload)` for each whole frame. */
  push(chunk, take) {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    while (this.#rest.length >= HEADER) {
      const length = this.#rest.readUInt32LE(0);
      if (length < 1 || length > FRAME_MAX) throw new RangeError(`a frame of ${length} bytes`);
      if (this.#rest.length < 4 + length) return;
      const [type, payload] = [this.#rest[4], this.#rest.subarray(HEADER, 4 + length)];
      this.#rest = this.#rest.subarray(4 + length);
      take(type, payload);
    }
  }
}
