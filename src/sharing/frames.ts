/** Messages on a stream: JSON with byte arrays in it. Those go behind the text, as they are. */

/** Bytes of the two lengths in front. */
const headSize = 8;
const textMax = 1 << 24;
const bytesMax = 2 ** 31;

/** What stands in the text for a byte array: its length. They come in the order of the text. */
interface Placeholder {
  readonly $bytes: number;
}

export function encodeFrame(message: object): Buffer[] {
  const parts: Uint8Array[] = [];
  let length = 0;
  const plain = (value: unknown): unknown => {
    if (value instanceof Uint8Array) {
      parts.push(value);
      length += value.length;
      return { $bytes: value.length } satisfies Placeholder;
    }
    if (Array.isArray(value)) return value.map(plain);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, plain(one)]));
  };
  const text = Buffer.from(JSON.stringify(plain(message)));
  const head = Buffer.alloc(headSize);
  head.writeUInt32LE(text.length, 0);
  head.writeUInt32LE(length, 4);
  // A copy: the caller may use its memory again.
  return [head, text, Buffer.concat(parts, length)];
}

/** Puts frames together. `push` throws for what is none. */
export class FrameReader {
  #chunks: Buffer[] = [];
  #length = 0;

  *push(chunk: Buffer): Generator<unknown> {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    for (;;) {
      if (this.#length < headSize) return;
      const head = this.#peek(headSize);
      const text = head.readUInt32LE(0);
      const bytes = head.readUInt32LE(4);
      if (text > textMax || bytes > bytesMax) throw new RangeError('a frame that is too long');
      const size = headSize + text + bytes;
      if (this.#length < size) return;
      const frame = this.#peek(size);
      this.#chunks = frame.length === this.#length ? [] : [this.#joined().subarray(size)];
      this.#length -= size;
      yield decode(frame.subarray(headSize, headSize + text), frame.subarray(headSize + text, size));
    }
  }

  #joined(): Buffer {
    if (this.#chunks.length > 1) this.#chunks = [Buffer.concat(this.#chunks, this.#length)];
    return this.#chunks[0]!;
  }

  #peek(size: number): Buffer {
    const first = this.#chunks[0]!;
    return (first.length >= size ? first : this.#joined()).subarray(0, size);
  }
}

function decode(text: Buffer, bytes: Buffer): unknown {
  let at = 0;
  const full = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(full);
    if (typeof value !== 'object' || value === null) return value;
    const { $bytes: length } = value as Partial<Placeholder>;
    if (length !== undefined) {
      if (!Number.isInteger(length) || length < 0 || at + length > bytes.length)
        throw new RangeError('bytes of a frame');
      at += length;
      return bytes.subarray(at - length, at);
    }
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, full(one)]));
  };
  return full(JSON.parse(text.toString()));
}
