/** What net.js and programs expect of a TCP handle, beyond a stream of bytes: names and options. */

import { toUvErrno, UV_EBADF } from '../providers/tcpip/errno.js';
import type { NativeAddress, NativeTcpHandle } from '../providers/tcpip/native.js';
import { WSAEISCONN } from '../spi/index.js';
import type { SanConnection } from '../switch/face.js';
import { writeName } from './addresses.js';
import type { NativeJsStream, NativeJsStreamConstructor } from './node-types.js';

interface TcpFace {
  readonly connection: SanConnection;
  readonly fd: number;
  tcp: NativeTcpHandle | null;
  closing: boolean;
}

/** `family` is that of the socket; an IPv6 socket shows IPv4 addresses mapped. */
type WithTcpFace = new (connection: SanConnection, family: number) => NativeJsStream & TcpFace;

/** The native stream with those members. Options reach the program's own TCP handle, which is not connected. */
export function withTcpFace(JSStream: NativeJsStreamConstructor): WithTcpFace {
  return class extends JSStream implements TcpFace {
    readonly connection: SanConnection;
    tcp: NativeTcpHandle | null = null;
    closing = false;
    readonly fd = -1;
    readonly #family: number;
    #typeOfService = 0;

    constructor(connection: SanConnection, family: number) {
      super();
      this.connection = connection;
      this.#family = family;
    }

    isClosing(): boolean {
      return this.closing;
    }

    getsockname(out: NativeAddress): number {
      if (this.closing) return UV_EBADF;
      writeName(out, this.connection.localAddress, this.#family);
      return 0;
    }

    getpeername(out: NativeAddress): number {
      if (this.closing) return UV_EBADF;
      writeName(out, this.connection.peerAddress, this.#family);
      return 0;
    }

    /** A connected socket is not connected again, and no provider is asked (WSD-CON-20). */
    connect(): number {
      return toUvErrno(WSAEISCONN);
    }

    connect6(): number {
      return toUvErrno(WSAEISCONN);
    }

    setNoDelay(enable: boolean): number {
      return this.tcp?.setNoDelay(enable) ?? 0;
    }

    setKeepAlive(enable: boolean, initialDelay: number, interval?: number, count?: number): number {
      return this.tcp?.setKeepAlive(enable, initialDelay, interval, count) ?? 0;
    }

    setTypeOfService(typeOfService: number): number {
      this.#typeOfService = typeOfService;
      return 0;
    }

    getTypeOfService(): number {
      return this.#typeOfService;
    }

    setBlocking(): number {
      return 0;
    }

    setSimultaneousAccepts(): number {
      return 0;
    }
  };
}
