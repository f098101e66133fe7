/** An established connection: messages into posted buffers, RDMA writes, and its end. */

import {
  WSA_OPERATION_ABORTED,
  WSAECONNABORTED,
  WSAECONNRESET,
  WSAENOTSOCK,
  WSS_OPERATION_IN_PROGRESS,
} from 'sockets-direct/spi';
import { CLOSE, DESCRIPTOR_SIZE, frame, MESSAGE, WRITE } from './wire.js';

/** Bytes of messages that wait for receive buffers; beyond them the peer's sends are held back. */
const waitingMax = 262_144;

const lengthOf = (list) => list.reduce((sum, { len }) => sum + len, 0);
const bytesOf = (list) => list.map(({ buf, offset, len }) => buf.bytes.subarray(offset, offset + len));

export class Connection {
  /** 0 while it lives, then what data calls fail with. */
  error = 0;
  #socket;
  #raw;
  #frames;
  #posted = [];
  #sends = new Set();
  /** Messages without a buffer. */
  #waiting = [];
  #waitingBytes = 0;
  /** What the connection ends with, once all messages that came before are taken. */
  #end = 0;

  /** `frames` may hold the beginning of what follows. */
  constructor(socket, raw, frames) {
    this.#socket = socket;
    this.#raw = raw;
    this.#frames = frames;
    raw.on('data', (chunk) => this.#read(chunk));
    // Without CLOSE before it.
    raw.on('end', () => this.#ends(WSAECONNABORTED));
    raw.on('close', () => this.#ends(WSAECONNABORTED));
  }

  #read(chunk) {
    try {
      this.#frames.push(chunk, (type, payload) => this.take(type, payload));
    } catch {
      this.#violated();
    }
  }

  take(type, payload) {
    if (this.error !== 0 || this.#end !== 0) return;
    if (type === MESSAGE) {
      this.#waiting.push(payload);
      this.#waitingBytes += payload.length;
      this.#deliver();
      if (this.#waitingBytes > waitingMax) this.#raw.pause();
    } else if (type === WRITE && payload.length > DESCRIPTOR_SIZE + 4) {
      const data = payload.subarray(DESCRIPTOR_SIZE + 4);
      if (!this.#socket.memory.write(payload, payload.readInt32LE(DESCRIPTOR_SIZE), data)) this.#violated();
    } else if (type === CLOSE) {
      this.#ends(WSAECONNRESET);
    } else {
      this.#violated();
    }
  }

  /** The peer has asked for what it must not. */
  #violated() {
    this.#raw.destroy();
    this.#fail(WSAECONNRESET);
  }

  #ends(error) {
    if (this.#end === 0) this.#end = error;
    this.#deliver();
  }

  #deliver() {
    while (this.#waiting.length > 0 && this.#posted.length > 0) {
      const message = this.#waiting.shift();
      this.#waitingBytes -= message.length;
      if (message.length > lengthOf(this.#posted[0].list)) {
        this.#violated();
        return;
      }
      const { list, overlapped } = this.#posted.shift();
      let at = 0;
      for (const part of bytesOf(list)) {
        part.set(message.subarray(at, at + part.length));
        at += part.length;
      }
      // Last: whoever is told may post again, or close.
      this.#socket.complete(overlapped, 0, message.length);
    }
    if (this.error !== 0) return;
    if (this.#waitingBytes <= waitingMax && this.#raw.isPaused()) this.#raw.resume();
    if (this.#waiting.length > 0 || this.#end === 0) return;
    this.#raw.destroy();
    this.#fail(this.#end);
  }

  /** Every operation ends, once. */
  #fail(error) {
    if (this.error !== 0) return;
    this.error = error;
    this.#endAll(error);
  }

  #endAll(error) {
    const pending = [...this.#posted, ...this.#sends];
    this.#posted = [];
    this.#sends.clear();
    for (const { overlapped } of pending) this.#socket.complete(overlapped, error, 0);
  }

  post(list, overlapped) {
    overlapped.Internal = WSS_OPERATION_IN_PROGRESS;
    this.#posted.push({ list, overlapped });
    // Never before WSPRecv has returned.
    if (this.#waiting.length > 0 || this.#end !== 0) setImmediate(() => this.#deliver());
  }

  /** True if it is done at once. Else it is told later. */
  send(list, overlapped) {
    return this.#write(frame(MESSAGE, ...bytesOf(list)), list, overlapped);
  }

  write(list, descriptor, offset, overlapped) {
    const at = Buffer.alloc(4);
    at.writeInt32LE(offset);
    return this.#write(frame(WRITE, descriptor.subarray(0, DESCRIPTOR_SIZE), at, ...bytesOf(list)), list, overlapped);
  }

  #write(bytes, list, overlapped) {
    const sending = { list, overlapped };
    overlapped.Internal = WSS_OPERATION_IN_PROGRESS;
    this.#sends.add(sending);
    this.#raw.write(bytes, (error) => {
      // After an error the stream ends, and everything with it.
      if (!error && this.#sends.delete(sending)) this.#socket.complete(overlapped, 0, lengthOf(list));
    });
    if (this.#raw.writableLength > 0) return false;
    this.#sends.delete(sending);
    return true;
  }

  /** Whether a transfer uses some of the memory. */
  isInUse({ region, offset, length }) {
    const overlaps = (one) => one.buf === region && one.offset < offset + length && offset < one.offset + one.len;
    return [...this.#posted, ...this.#sends].some(({ list }) => list.some(overlaps));
  }

  /** WSPCloseSocket: the peer gets what was sent and then the end; here everything is aborted. */
  close() {
    this.error = WSAENOTSOCK;
    this.#waiting = [];
    this.#raw.removeAllListeners('data');
    this.#raw.resume();
    this.#raw.end(frame(CLOSE), () => this.#raw.destroy());
    this.#endAll(WSA_OPERATION_ABORTED);
  }
}
