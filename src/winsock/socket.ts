/** The program's socket, opaque, and the record behind it, which is the same whoever carries the connection (WSD-SOC-12). */

import type { Reason } from '../diagnostics/reasons.js';
import type { TcpipDescriptor } from '../providers/tcpip/index.js';
import {
  AF_INET6,
  INVALID_SOCKET,
  type Out,
  type SOCKADDR,
  WSA_OPERATION_ABORTED,
  WSAEALREADY,
  WSAEINPROGRESS,
  WSAEINVAL,
  WSAEISCONN,
  WSAENOTCONN,
  WSAENOTSOCK,
} from '../spi/index.js';
import type { SwitchSocket } from '../switch/index.js';
import { Connecting } from './connecting.js';
import { WSAError } from './error.js';
import type { Host } from './host.js';
import { type Accepted, Listener } from './listener.js';
import type { Abandonable, Startup } from './startup.js';
import { TcpStream } from './tcp-stream.js';
import { Transfer } from './transfer.js';

/** A socket. Programs get them from `WSASocket`, `accept` and the like, and give them back to the functions of this module. */
export class SOCKET {
  readonly #record: SocketRecord;

  /** Not for programs: `socket` and `WSASocket` make sockets. */
  constructor(record: SocketRecord) {
    this.#record = record;
  }

  /** The record of a socket that is open; throws WSANOTINITIALISED or WSAENOTSOCK. */
  static reveal(s: SOCKET, syscall: string): SocketRecord {
    if (typeof s !== 'object' || s === null || !(#record in s)) throw new WSAError(WSAENOTSOCK, syscall);
    const record = s.#record;
    record.startup.started(syscall);
    if (record.closed) throw new WSAError(WSAENOTSOCK, syscall);
    return record;
  }
}

/** SO_LINGER. */
export interface LINGER {
  readonly l_onoff: boolean;
  /** Seconds. */
  readonly l_linger: number;
}

export class SocketRecord implements Abandonable {
  readonly startup: Startup;
  readonly host: Host;
  readonly family: number;
  /** The TCP/IP provider's socket. */
  descriptor: TcpipDescriptor;
  /** Null for accepted sockets, which neither listen nor connect. */
  readonly san: SwitchSocket | null;
  /** Caches, filled at bind, accept and connect (WSD-SOC-25). */
  local: SOCKADDR | null = null;
  peer: SOCKADDR | null = null;
  nonBlocking = false;
  conditional = false;
  lingering: LINGER = { l_onoff: false, l_linger: 0 };
  /** Options that the descriptor gets as soon as there is one in the kernel. */
  readonly options = new Map<string, { level: number; name: number; value: number }>();
  listener: Listener | null = null;
  connecting: Connecting | null = null;
  transfer: Transfer | null = null;
  /** Of `Host.now`. */
  connectedAt: number | null = null;
  /** SO_ERROR. */
  lastError = 0;
  /** After a cancelled connect only closing is possible (WSD-BLK-7). */
  broken = false;
  /** An AcceptEx waits with this socket; called when the socket is closed. */
  onclosed: (() => void) | null = null;
  closed = false;
  readonly #errno: Out<number> = { value: 0 };

  constructor(startup: Startup, host: Host, descriptor: TcpipDescriptor, san: SwitchSocket | null) {
    this.startup = startup;
    this.host = host;
    this.family = descriptor.family;
    this.descriptor = descriptor;
    this.san = san;
    startup.sockets.add(this);
  }

  /** WSD-SOC-1: the TCP/IP provider's socket, and the switch's record of it; nothing else. */
  static create(startup: Startup, syscall: string, af: number, type: number, protocol: number): SOCKET {
    const host = startup.started(syscall);
    const errno: Out<number> = { value: 0 };
    const descriptor = host.tcpip.WSPSocket(af, type, protocol, errno);
    if (descriptor === INVALID_SOCKET) throw new WSAError(errno.value, syscall);
    return new SOCKET(new SocketRecord(startup, host, descriptor, host.switch.openSocket(descriptor)));
  }

  /** A socket for an accepted connection, like its listening socket in what programs can set (WSD-ACC-34). */
  static accepted(listening: SocketRecord, accepted: Accepted): SOCKET {
    const record = new SocketRecord(listening.startup, listening.host, accepted.descriptor, null);
    record.establishAccepted(listening, accepted);
    return new SOCKET(record);
  }

  establishAccepted(listening: SocketRecord, { descriptor, stream, since }: Accepted): void {
    if (descriptor !== this.descriptor) {
      const unused = this.descriptor;
      this.descriptor = descriptor;
      this.host.tcpip.WSPCloseSocket(unused, this.#errno);
    }
    this.nonBlocking = listening.nonBlocking;
    this.lingering = listening.lingering;
    for (const [key, option] of listening.options) this.options.set(key, option);
    this.establish(stream, since);
  }

  /** WSD-CON-19: from now on the program may send and receive. */
  establish(stream: ConstructorParameters<typeof Transfer>[0], since: number): void {
    this.connecting = null;
    this.local = stream.localAddress;
    this.peer = stream.peerAddress;
    this.connectedAt = since;
    this.transfer = new Transfer(stream);
    for (const option of this.options.values()) this.applyOption(option);
    this.transfer.begin();
  }

  /** The connection that AcceptEx had is gone, and the socket is as before. */
  disestablish(): void {
    this.transfer = null;
    this.local = null;
    this.peer = null;
    this.connectedAt = null;
  }

  /** Neither bound nor connected nor about to be. */
  get unused(): boolean {
    return (
      this.local === null &&
      this.transfer === null &&
      this.connecting === null &&
      this.onclosed === null &&
      !this.broken &&
      this.san !== null
    );
  }

  /** Gives the option to the kernel where TCP/IP carries the connection. */
  applyOption({ level, name, value }: { level: number; name: number; value: number }): void {
    if (this.transfer?.provider !== 'tcpip') return;
    this.host.tcpip.WSPSetSockOpt(this.descriptor, level, name, value, this.#errno);
  }

  bind(name: SOCKADDR): void {
    const { tcpip } = this.host;
    const { descriptor } = this;
    if (this.local !== null || this.connecting !== null) throw new WSAError(WSAEINVAL, 'bind');
    if (tcpip.WSPBind(descriptor, name, this.family === AF_INET6 ? 28 : 16, this.#errno) !== 0) {
      throw new WSAError(this.#errno.value, 'bind');
    }
    this.local = tcpip.WSPGetSockName(descriptor);
  }

  listen(backlog: number): void {
    this.#idle('listen');
    if (this.listener !== null) {
      this.descriptor.queue!.room = Math.max(1, backlog);
      return;
    }
    if (this.local === null || this.san === null) throw new WSAError(WSAEINVAL, 'listen');
    const listener = new Listener(this.host, this.descriptor, this.san, this.conditional);
    const wsaError = listener.listen(backlog);
    if (wsaError !== 0) throw new WSAError(wsaError, 'listen');
    this.listener = listener;
  }

  /** Throws unless the socket may begin to listen or to connect. */
  #idle(syscall: string): void {
    if (this.transfer !== null) throw new WSAError(WSAEISCONN, syscall);
    if (this.broken || this.connecting !== null || this.onclosed !== null) throw new WSAError(WSAEINVAL, syscall);
  }

  connect(remote: SOCKADDR, signal: AbortSignal | undefined): Promise<void> {
    // Nothing is asked of anybody below while a connect is under way, or when it is over (WSD-CON-20).
    if (this.connecting !== null) throw new WSAError(WSAEALREADY, 'connect');
    this.#idle('connect');
    if (this.lastError !== 0) {
      const { lastError } = this;
      this.lastError = 0;
      throw new WSAError(lastError, 'connect');
    }
    if (this.listener !== null || this.san === null) throw new WSAError(WSAEINVAL, 'connect');
    const { host, descriptor, san } = this;
    const connecting = new Connecting(host, descriptor, san, remote, this.nonBlocking, signal, (outcome) => {
      this.connecting = null;
      if (outcome === 'cancelled') this.broken = true;
      else if (typeof outcome === 'number') this.lastError = this.nonBlocking ? outcome : 0;
      else this.establish(outcome === 'tcpip' ? new TcpStream(host.tcpip, descriptor) : outcome, host.now());
    });
    this.connecting = connecting;
    return connecting.start();
  }

  /** What has been decided about the carrier, and why. */
  get decision(): { provider: string | null; reason: Reason | null } {
    const provider = this.transfer?.provider ?? null;
    if (this.san !== null) return { provider: this.listener === null ? provider : 'tcpip', reason: this.san.reason };
    return { provider, reason: provider === 'tcpip' ? 'accepted-by-tcpip' : 'accelerated' };
  }

  /** The connection; throws WSAENOTCONN. */
  connection(syscall: string): Transfer {
    if (this.transfer === null || this.onclosed !== null) throw new WSAError(WSAENOTCONN, syscall);
    return this.transfer;
  }

  listening(syscall: string): Listener {
    const { listener } = this;
    if (listener === null) throw new WSAError(WSAEINVAL, syscall);
    if (listener.asking) throw new WSAError(WSAEINPROGRESS, syscall);
    return listener;
  }

  /** Marks the socket closed; false if it was. */
  #begin(): boolean {
    if (this.closed) return false;
    this.closed = true;
    this.startup.sockets.delete(this);
    return true;
  }

  close(): Promise<void> {
    if (this.listener !== null) this.listening('closesocket');
    this.#begin();
    const { transfer, lingering } = this;
    if (transfer === null) {
      this.#closeUnconnected();
      return Promise.resolve();
    }
    const abortive = this.onclosed !== null || (lingering.l_onoff && lingering.l_linger === 0);
    this.#tellClosed();
    if (abortive) transfer.reset();
    else if (lingering.l_onoff) {
      return transfer.linger(this.host.scheduler, lingering.l_linger * 1000).then(() => this.#closeDescriptor());
    } else transfer.close();
    this.#closeDescriptor();
    return Promise.resolve();
  }

  abandon(): void {
    if (!this.#begin()) return;
    this.#tellClosed();
    if (this.transfer === null) {
      this.#closeUnconnected();
      return;
    }
    this.transfer.reset();
    this.#closeDescriptor();
  }

  #tellClosed(): void {
    const { onclosed } = this;
    this.onclosed = null;
    onclosed?.();
  }

  #closeUnconnected(): void {
    this.#tellClosed();
    this.listener?.close();
    this.connecting?.abandon(WSA_OPERATION_ABORTED);
    this.san?.close();
    this.host.tcpip.WSPCloseSocket(this.descriptor, this.#errno);
  }

  /** The descriptor of a SAN connection was never more than a name; that of TCP/IP is closed by its stream. */
  #closeDescriptor(): void {
    if (this.transfer?.provider !== 'tcpip') this.host.tcpip.WSPCloseSocket(this.descriptor, this.#errno);
  }
}
