/** The program's socket, opaque, and the record behind it, which is the same whoever carries the connection (WSD-SOC-12). */

import type { Reason } from '../diagnostics/reasons.js';
import type { TcpipDescriptor } from '../providers/tcpip/index.js';
import {
  AF_INET6,
  FD_ACCEPT,
  FD_CLOSE,
  FD_CONNECT,
  FD_OOB,
  FD_READ,
  FD_WRITE,
  INVALID_SOCKET,
  IPPROTO_TCP,
  type Out,
  SO_KEEPALIVE,
  SO_OOBINLINE,
  SO_RCVBUF,
  SO_RDMA_THRESHOLD_SIZE,
  SO_SNDBUF,
  SOCK_STREAM,
  type SOCKADDR,
  SOL_SOCKET,
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
import { NetworkEvents } from './network-events.js';
import type { WSAOVERLAPPED } from './overlapped.js';
import type { Outcome } from './pending.js';
import type { Share } from './share.js';
import type { LINGER, SetOption } from './socket-options.js';
import type { Abandonable, Startup } from './startup.js';
import type { Stream } from './stream.js';
import { TcpStream } from './tcp-stream.js';
import { Transfer } from './transfer.js';
import type { TransferState } from './transfer-state.js';

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

  /** The record of a socket, open or closed; null for what is no socket. */
  static peek(s: SOCKET): SocketRecord | null {
    return typeof s === 'object' && s !== null && #record in s ? s.#record : null;
  }
}

export class SocketRecord implements Abandonable {
  readonly startup: Startup;
  readonly host: Host;
  readonly family: number;
  /** The TCP/IP provider's socket. */
  descriptor: TcpipDescriptor;
  /** Null for accepted sockets, which neither listen nor connect. */
  san: SwitchSocket | null;
  /** Caches, filled at bind, accept and connect (WSD-SOC-25). */
  local: SOCKADDR | null = null;
  peer: SOCKADDR | null = null;
  nonBlocking = false;
  conditional = false;
  lingering: LINGER = { l_onoff: false, l_linger: 0 };
  /** What the program has bound it to. */
  #bound: SOCKADDR | null = null;
  /** Options take effect as soon as there is a connection. */
  readonly #options = new Map<string, SetOption>();
  listener: Listener | null = null;
  /** It listens, and another process has control of that. */
  listensElsewhere = false;
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
  /** Of WSAEventSelect. */
  events: NetworkEvents | null = null;
  /** Called after each change of `conditions`. */
  readonly watchers = new Set<() => void>();
  /** Other processes have the socket as well, or have been given it. */
  share: Share | null = null;
  /** Resolves when the descriptor is the kernel's socket of the connection, or of the listening; null if it never is. */
  kernelSocket: Promise<void> | null = null;
  /** Operations that go on. */
  readonly overlapped = new Set<WSAOVERLAPPED>();
  /** The connection was accepted, so that no connect of the socket has decided on its carrier. */
  #accepted = false;
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
    const { events } = listening;
    if (events !== null) record.selectEvents(new NetworkEvents(events.event, events.mask & ~FD_CONNECT));
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
    for (const [key, option] of listening.#options) this.#options.set(key, option);
    this.#accepted = true;
    this.establish(stream, since);
  }

  /** WSD-CON-19: from now on the program may send and receive. */
  establish(stream: ConstructorParameters<typeof Transfer>[0], since: number): void {
    this.connecting = null;
    this.local = stream.localAddress;
    this.peer = stream.peerAddress;
    this.connectedAt = since;
    this.transfer = new Transfer(stream, (event, wsaError) => this.changed(event, wsaError));
    // The first, because it takes TCP/IP's times for those of the others back.
    const keepAlive = this.#options.get(`${SOL_SOCKET} ${SO_KEEPALIVE}`);
    if (keepAlive !== undefined) this.#apply(keepAlive);
    for (const option of this.#options.values()) if (option !== keepAlive) this.#apply(option);
    this.transfer.begin();
    this.changed(FD_CONNECT, 0);
    this.changed(FD_WRITE, 0);
  }

  /** In a process that shares the connection: what is set here, and what it was connected to. */
  establishShared(local: SOCKADDR, peer: SOCKADDR, options: readonly SetOption[]): void {
    this.#accepted = true;
    this.local = local;
    this.peer = peer;
    this.connectedAt = this.host.now();
    for (const option of options) this.#options.set(`${option.level} ${option.name}`, option);
  }

  /** In a process that shares the listening. */
  establishListening(local: SOCKADDR, conditional: boolean, options: readonly SetOption[]): void {
    this.local = local;
    this.conditional = conditional;
    this.listensElsewhere = true;
    for (const option of options) this.#options.set(`${option.level} ${option.name}`, option);
  }

  get options(): readonly SetOption[] {
    return [...this.#options.values()];
  }

  /** The connection is in this process now. */
  goOn(stream: Stream, state: TransferState): void {
    const transfer = new Transfer(stream, (event, wsaError) => this.changed(event, wsaError));
    this.transfer = transfer;
    transfer.restore(state);
    for (const option of this.#options.values()) this.#apply(option);
    transfer.begin();
    this.#noteAgain(this.events?.mask ?? 0);
    for (const watcher of [...this.watchers]) watcher();
  }

  /** A call that needs the connection or the listening: at once, or when this process has control of it (WSD-DUP-11). */
  operate<T>(
    syscall: string,
    nonBlocking: boolean,
    signal: AbortSignal | undefined,
    begin: (signal: AbortSignal | undefined) => Outcome<T>,
  ): Outcome<T> {
    return this.share === null ? begin(signal) : this.share.run(syscall, nonBlocking, signal, begin);
  }

  /** The connection that AcceptEx had is gone, and the socket is as before. */
  disestablish(): void {
    this.#accepted = false;
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

  /** What the program has set; undefined if it has not. */
  option(level: number, name: number): number | undefined {
    return this.#options.get(`${level} ${name}`)?.value;
  }

  setOption(option: SetOption): void {
    const { level, name, value } = option;
    this.#options.set(`${level} ${name}`, option);
    // A companion that is made later gets it too (WSD-SOC-17).
    this.san?.setOption(level, name, value);
    this.#apply(option);
  }

  /** Gives the option to whom it concerns: the connection, and the kernel where TCP/IP carries it. */
  #apply({ level, name, value }: SetOption): void {
    const { transfer } = this;
    if (transfer === null) return;
    if (level === SOL_SOCKET && name === SO_OOBINLINE) transfer.urgentInline = value === 1;
    if (level === SOL_SOCKET && name === SO_RCVBUF) transfer.receiveBuffer = value;
    if (level === SOL_SOCKET && name === SO_SNDBUF) transfer.sending.bufferSize = value;
    if (level === SOL_SOCKET && name === SO_RDMA_THRESHOLD_SIZE) transfer.largeThreshold = value;
    // What the kernel does not know stays effective up here (WSD-OPT-15).
    if (transfer.provider === 'tcpip') {
      this.host.tcpip.WSPSetSockOpt(this.descriptor, level, name, value, this.#errno);
    }
  }

  /** SO_ERROR. */
  takeError(): number {
    const { lastError } = this;
    this.lastError = 0;
    return lastError;
  }

  // ---- what can be waited for

  /** What is true of the socket now, as FD_ constants; FD_CONNECT for a connect that is over. */
  get conditions(): number {
    const { transfer, listener } = this;
    let conditions = listener?.isAcceptable ? FD_ACCEPT : 0;
    if (this.lastError !== 0) conditions |= FD_CONNECT;
    if (transfer === null || this.onclosed !== null) return conditions;
    conditions |= FD_CONNECT;
    if (transfer.isReadable) conditions |= FD_READ;
    if (transfer.isWritable) conditions |= FD_WRITE;
    if (transfer.hasUrgent) conditions |= FD_OOB;
    if (transfer.isOver) conditions |= FD_CLOSE;
    return conditions;
  }

  /** Something has become true. The end of a connection is told when everything that arrived before it is received. */
  changed(event: number, wsaError: number): void {
    const early = event === FD_CLOSE && this.transfer?.isOver === false;
    if (!early) this.events?.note(event, wsaError);
    if (this.watchers.size > 0) for (const watcher of [...this.watchers]) watcher();
  }

  /** WSAEventSelect: what is true already is recorded at once. */
  selectEvents(events: NetworkEvents | null): void {
    this.events = events;
    this.#noteAgain(events?.mask ?? 0);
  }

  /** The program has called the function that re-enables these events. */
  enableEvents(events: number): void {
    this.events?.enable(events);
    this.#noteAgain(events | FD_CLOSE);
  }

  #noteAgain(events: number): void {
    if (this.events === null) return;
    const conditions = this.conditions & events;
    for (const event of [FD_ACCEPT, FD_CONNECT, FD_OOB, FD_READ, FD_WRITE, FD_CLOSE]) {
      if ((conditions & event) === 0) continue;
      const wsaError = event === FD_CONNECT ? this.lastError : event === FD_CLOSE ? this.transfer!.error : 0;
      this.events.note(event, wsaError);
    }
  }

  bind(name: SOCKADDR): void {
    const { tcpip } = this.host;
    const { descriptor } = this;
    if (this.local !== null || this.connecting !== null) throw new WSAError(WSAEINVAL, 'bind');
    if (tcpip.WSPBind(descriptor, name, this.family === AF_INET6 ? 28 : 16, this.#errno) !== 0) {
      throw new WSAError(this.#errno.value, 'bind');
    }
    this.local = tcpip.WSPGetSockName(descriptor);
    this.#bound = this.local;
  }

  listen(backlog: number): void {
    this.#idle('listen');
    if (this.listener !== null) {
      this.descriptor.queue!.room = Math.max(1, backlog);
      return;
    }
    // How many may wait is the business of who has control.
    if (this.listensElsewhere) return;
    if (this.local === null || this.san === null) throw new WSAError(WSAEINVAL, 'listen');
    const listener = new Listener(this.host, this.descriptor, this.san, this.conditional);
    const wsaError = listener.listen(backlog);
    if (wsaError !== 0) throw new WSAError(wsaError, 'listen');
    this.goOnListening(listener);
  }

  /** The listening is in this process. */
  goOnListening(listener: Listener): void {
    this.listener = listener;
    this.listensElsewhere = false;
    listener.onacceptable = () => this.changed(FD_ACCEPT, 0);
    this.#noteAgain(this.events?.mask ?? 0);
    for (const watcher of [...this.watchers]) watcher();
  }

  /** Throws unless the socket may begin to listen or to connect. */
  #idle(syscall: string): void {
    if (this.transfer !== null) throw new WSAError(WSAEISCONN, syscall);
    if (this.broken || this.connecting !== null || this.onclosed !== null) throw new WSAError(WSAEINVAL, syscall);
  }

  connect(syscall: string, remote: SOCKADDR, nonBlocking: boolean, signal: AbortSignal | undefined): Promise<void> {
    // Nothing is asked of anybody below while a connect is under way, or when it is over (WSD-CON-20).
    if (this.connecting !== null) throw new WSAError(WSAEALREADY, syscall);
    this.#idle(syscall);
    if (this.lastError !== 0) throw new WSAError(this.takeError(), syscall);
    if (this.listener !== null || this.san === null || this.listensElsewhere) throw new WSAError(WSAEINVAL, syscall);
    const { host, descriptor, san } = this;
    const connecting = new Connecting(host, descriptor, san, syscall, remote, nonBlocking, signal, (outcome) => {
      this.connecting = null;
      if (outcome === 'cancelled') this.broken = true;
      else if (typeof outcome === 'number') this.#connectFailed(outcome, nonBlocking);
      else this.establish(outcome === 'tcpip' ? new TcpStream(host, descriptor) : outcome, host.now());
    });
    this.connecting = connecting;
    this.events?.enable(FD_CONNECT | FD_WRITE);
    return connecting.start();
  }

  #connectFailed(wsaError: number, nonBlocking: boolean): void {
    this.lastError = nonBlocking ? wsaError : 0;
    if (nonBlocking) this.changed(FD_CONNECT, wsaError);
  }

  /** TF_REUSE_SOCKET: the connection is over, and the socket is as before it; bound again, if the program had bound it. */
  recycle(syscall: string): void {
    const { tcpip } = this.host;
    this.transfer?.close();
    this.san?.close();
    this.#closeDescriptor();
    this.disestablish();
    const descriptor = tcpip.WSPSocket(this.family, SOCK_STREAM, IPPROTO_TCP, this.#errno);
    if (descriptor === INVALID_SOCKET) {
      this.broken = true;
      throw new WSAError(this.#errno.value, syscall);
    }
    this.descriptor = descriptor;
    this.san = this.host.switch.openSocket(descriptor);
    for (const { level, name, value } of this.#options.values()) this.san.setOption(level, name, value);
    if (this.#bound !== null) this.bind(this.#bound);
  }

  /** What has been decided about the carrier, and why. */
  get decision(): { provider: string | null; reason: Reason | null } {
    const provider = this.transfer?.provider ?? null;
    if (this.san !== null && !this.#accepted)
      return { provider: this.listener === null ? provider : 'tcpip', reason: this.san.reason };
    return { provider, reason: provider === 'tcpip' ? 'accepted-by-tcpip' : 'accelerated' };
  }

  /** The connection; throws WSAENOTCONN. */
  connection(syscall: string): Transfer {
    if (this.share !== null && this.share.error !== 0) throw new WSAError(this.share.error, syscall);
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
    this.events = null;
    this.changed(0, 0);
    return true;
  }

  close(): Promise<void> {
    if (this.listener !== null) this.listening('closesocket');
    this.#begin();
    if (this.#isShared) {
      this.share!.close();
      return Promise.resolve();
    }
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

  /** Others have the socket, or will, and it is closed here alone. */
  get #isShared(): boolean {
    const { share } = this;
    return share !== null && (!share.hasControl || share.isShared || share.error !== 0);
  }

  abandon(): void {
    if (!this.#begin()) return;
    if (this.#isShared) {
      this.share!.abandon();
      return;
    }
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
    if (this.transfer?.provider !== 'tcpip') this.closeDescriptor();
  }

  closeDescriptor(): void {
    this.host.tcpip.WSPCloseSocket(this.descriptor, this.#errno);
  }
}
