/** A connection that TCP/IP carries: the public net.Socket over the native handle, which the hooks of net never see. */

import net from 'node:net';
import { type KernelSocket, type TcpipDescriptor, toWsaError, UV_EAGAIN } from '../providers/tcpip/index.js';
import { type SOCKADDR, WSAECONNRESET, WSAEOPNOTSUPP, WSAESHUTDOWN } from '../spi/index.js';
import type { ConnectionEvents, Scheduler } from '../switch/index.js';
import type { Host } from './host.js';
import type { Stream } from './stream.js';

const nowhere: SOCKADDR = Object.freeze({ sa_family: 0, address: '', port: 0 });

/** Milliseconds between two attempts to send an urgent byte for which the kernel has no room; they double. */
const pauseMin = 1;
const pauseMax = 16;

/** Linux tells EPIPE to those who write after a reset; whoever has shut down himself is stopped above. */
function wsaErrorOf(error: NodeJS.ErrnoException): number {
  const wsaError = toWsaError(error.errno ?? 0) || WSAECONNRESET;
  return wsaError === WSAESHUTDOWN ? WSAECONNRESET : wsaError;
}

export class TcpStream implements Stream {
  readonly provider = 'tcpip';
  readonly localAddress: SOCKADDR;
  readonly peerAddress: SOCKADDR;
  events: ConnectionEvents | null = null;
  readonly #scheduler: Scheduler;
  readonly #socket: net.Socket;
  /** Null: there is no urgent data, and net.Socket reads. */
  readonly #kernel: KernelSocket | null;

  /** The handle is the stream's from now on. */
  constructor({ tcpip, scheduler }: Host, s: TcpipDescriptor) {
    this.localAddress = tcpip.WSPGetSockName(s) ?? nowhere;
    this.peerAddress = tcpip.WSPGetPeerName(s) ?? nowhere;
    this.#scheduler = scheduler;
    // `manualStart`: nothing is read before somebody waits for it.
    const options = { handle: s.handle, allowHalfOpen: true, manualStart: true };
    const socket = new net.Socket(options as net.SocketConstructorOpts);
    this.#socket = socket;
    socket.pause();
    socket.on('data', (chunk: Buffer) => this.events?.onData(chunk));
    socket.on('end', () => this.events?.onEnd());
    socket.on('error', (error) => this.events?.onError(wsaErrorOf(error)));
    socket.on('close', () => tcpip.WSPCloseSocket(s, { value: 0 }));
    this.#kernel = tcpip.kernelSocket(s);
    this.#kernel?.takeReads({
      data: (chunk, urgent) => {
        if (urgent) this.events?.onUrgent?.(chunk);
        else this.events?.onData(chunk);
      },
      end: () => {
        socket.push(null);
        socket.resume();
      },
      error: (errno) => socket.destroy(Object.assign(new Error('read'), { errno })),
    });
  }

  get hasUrgent(): boolean {
    return this.#kernel !== null;
  }

  write(chunk: Uint8Array, done: (wsaError: number) => void): boolean {
    this.#socket.write(chunk, (error) => done(error ? wsaErrorOf(error) : 0));
    return false;
  }

  writev(chunks: readonly Uint8Array[], done: (wsaError: number) => void): boolean {
    const last = chunks.length - 1;
    this.#socket.cork();
    for (const chunk of chunks.slice(0, last)) this.#socket.write(chunk);
    this.write(chunks[last]!, done);
    this.#socket.uncork();
    return false;
  }

  writeUrgent(chunk: Uint8Array, done: (wsaError: number) => void): boolean {
    const byte = chunk.subarray(-1);
    const urgent = (wsaError: number): void => {
      if (wsaError === 0) this.#sendUrgent(byte, done, pauseMin);
      else done(wsaError);
    };
    // What libuv has called written is the kernel's, so nothing overtakes it.
    if (chunk.length > 1) this.write(chunk.subarray(0, -1), urgent);
    else this.#scheduler.next(() => urgent(0));
    return false;
  }

  #sendUrgent(byte: Uint8Array, done: (wsaError: number) => void, pause: number): void {
    if (this.#socket.destroyed) return done(WSAECONNRESET);
    const status = this.#kernel?.sendUrgent(byte) ?? null;
    if (status === null) return done(WSAEOPNOTSUPP);
    if (status !== UV_EAGAIN) return done(status === 0 ? 0 : wsaErrorOf({ errno: status } as NodeJS.ErrnoException));
    this.#scheduler.later(() => this.#sendUrgent(byte, done, Math.min(2 * pause, pauseMax)), pause);
  }

  shutdown(done: (wsaError: number) => void): void {
    this.#socket.end(() => done(this.#socket.errored === null ? 0 : WSAECONNRESET));
  }

  readStart(): void {
    if (this.#kernel === null) this.#socket.resume();
    else this.#kernel.start();
  }

  readStop(): void {
    if (this.#kernel === null) this.#socket.pause();
    else this.#kernel.stop();
  }

  close(): void {
    // What has been read off the kernel and by nobody else makes it a reset, as if it were still there.
    if (this.#socket.readableLength > 0) this.reset();
    else this.#socket.destroySoon();
  }

  /** Other processes have the socket too: nothing is said to the peer. */
  release(): void {
    this.events = null;
    this.#socket.destroy();
  }

  reset(): void {
    const socket = this.#socket;
    // libuv does not reset a stream while it shuts down, which takes no time; and it would never close it then.
    const shutsDown = socket.writableEnded && !socket.writableFinished && socket.writableLength === 0;
    if (shutsDown) socket.once('finish', () => socket.resetAndDestroy());
    else socket.resetAndDestroy();
  }
}
