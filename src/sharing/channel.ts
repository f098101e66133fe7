/** A stream of messages between two processes that share a socket. */

import type net from 'node:net';
import { encodeFrame, FrameReader } from './frames.js';

export class ShareChannel {
  /** Called with each message, which is the receiver's. Set before the turn in which the channel came is over. */
  onmessage: ((message: unknown) => void) | null = null;
  /** Called once when the other process has closed its end, or is gone. Never after `end`. */
  onclose: (() => void) | null = null;
  /** Of the other process, as the kernel says. */
  readonly processId: number;
  readonly #socket: net.Socket;
  readonly #reader = new FrameReader();
  #unwritten = 0;
  #over = false;

  constructor(socket: net.Socket, processId: number) {
    this.#socket = socket;
    this.processId = processId;
    socket.unref();
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.on('error', () => {});
    socket.on('close', () => this.#closed());
    socket.resume();
  }

  #read(chunk: Buffer): void {
    try {
      for (const message of this.#reader.push(chunk)) {
        if (this.#over) return;
        this.onmessage?.(message);
      }
    } catch (error) {
      if (!(error instanceof RangeError || error instanceof SyntaxError)) throw error;
      this.#socket.destroy();
    }
  }

  #closed(): void {
    if (this.#over) return;
    this.#over = true;
    this.onclose?.();
  }

  /** What is sent holds the event loop until the kernel has it. */
  send(message: object): void {
    if (this.#over) return;
    const socket = this.#socket;
    this.#unwritten++;
    socket.ref();
    socket.cork();
    const [head, text, bytes] = encodeFrame(message);
    socket.write(head!);
    socket.write(text!);
    socket.write(bytes!, () => {
      if (--this.#unwritten === 0) socket.unref();
    });
    socket.uncork();
  }

  /** What was sent still arrives; nothing is told here any more. */
  end(): void {
    if (this.#over) return;
    this.#over = true;
    const socket = this.#socket;
    socket.ref();
    socket.end();
    socket.resume();
  }
}
