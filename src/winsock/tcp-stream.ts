/** A connection that TCP/IP carries: the public net.Socket over the native handle, which the hooks of net never see. */

import net from 'node:net';
import { type TcpipDescriptor, type TcpipServiceProvider, toWsaError } from '../providers/tcpip/index.js';
import { type SOCKADDR, WSAECONNRESET, WSAESHUTDOWN } from '../spi/index.js';
import type { ConnectionEvents } from '../switch/index.js';
import type { Stream } from './stream.js';

const nowhere: SOCKADDR = Object.freeze({ sa_family: 0, address: '', port: 0 });

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
  readonly #socket: net.Socket;

  /** The handle is the stream's from now on. */
  constructor(tcpip: TcpipServiceProvider, s: TcpipDescriptor) {
    this.localAddress = tcpip.WSPGetSockName(s) ?? nowhere;
    this.peerAddress = tcpip.WSPGetPeerName(s) ?? nowhere;
    // `manualStart`: nothing is read before somebody waits for it.
    const options = { handle: s.handle, allowHalfOpen: true, manualStart: true };
    const socket = new net.Socket(options as net.SocketConstructorOpts);
    this.#socket = socket;
    socket.pause();
    socket.on('data', (chunk: Buffer) => this.events?.onData(chunk));
    socket.on('end', () => this.events?.onEnd());
    socket.on('error', (error) => this.events?.onError(wsaErrorOf(error)));
    socket.on('close', () => tcpip.WSPCloseSocket(s, { value: 0 }));
  }

  write(chunk: Uint8Array, done: (wsaError: number) => void): boolean {
    this.#socket.write(chunk, (error) => done(error ? wsaErrorOf(error) : 0));
    return false;
  }

  shutdown(done: (wsaError: number) => void): void {
    this.#socket.end(() => done(this.#socket.errored === null ? 0 : WSAECONNRESET));
  }

  readStart(): void {
    this.#socket.resume();
  }

  readStop(): void {
    this.#socket.pause();
  }

  close(): void {
    // What has been read off the kernel and by nobody else makes it a reset, as if it were still there.
    if (this.#socket.readableLength > 0) this.reset();
    else this.#socket.destroySoon();
  }

  reset(): void {
    const socket = this.#socket;
    // libuv does not reset a stream while it shuts down, which takes no time; and it would never close it then.
    const shutsDown = socket.writableEnded && !socket.writableFinished && socket.writableLength === 0;
    if (shutsDown) socket.once('finish', () => socket.resetAndDestroy());
    else socket.resetAndDestroy();
  }
}
