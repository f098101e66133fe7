/**
 * Where the messages of HTTP/2 and TLS end in a stream of bytes.
 *
 * Node's native consumers are called by libuv directly, so every callback that a message causes is the outermost one, and
 * the tick queue runs after it, before the next message. Bytes that come from JavaScript cannot have that: all messages of a
 * chunk would be handled before the first tick. So they are handed over in pieces. HTTP/1 needs none of this: its parser
 * runs no ticks between requests.
 */

/** What a client of HTTP/2 sends before its first frame. */
const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const settingsFrame = 4;
/**
 * Runs of DATA, PRIORITY, SETTINGS, PING and WINDOW_UPDATE are one piece each. What they cause are events of one kind, and
 * in between the consumer would answer each of them with a write of its own, where it looks for floods of them.
 */
const inRuns: readonly boolean[] = [true, false, true, false, true, false, true, false, true];

const headerSizes = { http2: 9, tls: 5 };

type Protocol = keyof typeof headerSizes;

/** Decides by the first bytes. A wrong guess does no harm: a stream of bytes may be cut anywhere. */
function guess(bytes: Uint8Array): Protocol | null {
  if (bytes.length < headerSizes.http2) return null;
  if (bytes[0] >= 0x14 && bytes[0] <= 0x17 && bytes[1] === 3) return 'tls';
  if (preface.subarray(0, bytes.length).equals(bytes.subarray(0, preface.length))) return 'http2';
  const ofConnection = (bytes[5] | bytes[6] | bytes[7] | bytes[8]) === 0;
  return bytes[3] === settingsFrame && ofConnection ? 'http2' : null;
}

export class MessageBoundaries {
  readonly #protocol: Protocol | null;
  readonly #headerSize: number;
  readonly #header = new Uint8Array(headerSizes.http2);
  /** Bytes of the header that have come by. */
  #known = 0;
  /** Bytes of the message after its header that are still to come. */
  #rest = 0;

  /** `first` are the first bytes that the consumer gets. */
  constructor(first: Uint8Array) {
    this.#protocol = guess(first);
    this.#headerSize = this.#protocol === null ? 0 : headerSizes[this.#protocol];
    if (this.#protocol !== 'http2' || first[0] !== preface[0]) return;
    this.#rest = preface.length;
    this.#header[3] = settingsFrame;
  }

  /** How many bytes at the beginning of `chunk`, which follows what was asked before, are the next piece. */
  cut(chunk: Uint8Array): number {
    if (this.#protocol === null) return chunk.length;
    let at = this.#message(chunk, 0);
    if (this.#protocol === 'tls') return at;
    const type = this.#header[3];
    while (inRuns[type] && this.#known === 0 && this.#rest === 0 && chunk[at + 3] === type) {
      at = this.#message(chunk, at);
    }
    return at;
  }

  /** The end of the message that goes on at `from`, or of the chunk. */
  #message(chunk: Uint8Array, from: number): number {
    const { length } = chunk;
    let at = from;
    if (this.#rest === 0) {
      while (this.#known < this.#headerSize) {
        if (at === length) return length;
        this.#header[this.#known++] = chunk[at++];
      }
      this.#known = 0;
      this.#rest = this.#payloadLength();
    }
    const taken = Math.min(this.#rest, length - at);
    this.#rest -= taken;
    return at + taken;
  }

  #payloadLength(): number {
    const header = this.#header;
    if (this.#protocol === 'tls') return (header[3] << 8) | header[4];
    return (header[0] << 16) | (header[1] << 8) | header[2];
  }
}
