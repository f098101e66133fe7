/** The SAN service provider between event loops of one host, as it stands in the catalog, and its 17 functions. */

import { DenseSet } from '../../collections/dense-set.js';
import type { Reason } from '../../diagnostics/reasons.js';
import { loadPlatform, type Platform, PlatformError } from '../../platform/index.js';
import {
  AF_INET,
  AF_INET6,
  INVALID_SOCKET,
  type InvalidSocket,
  IPPROTO_TCP,
  type Out,
  type ProviderSocket,
  type SanServiceProvider,
  SIO_GET_EXTENSION_FUNCTION_POINTER,
  SO_MAX_MSG_SIZE,
  SOCK_STREAM,
  type SOCKADDR,
  SOCKET_ERROR,
  SOL_SOCKET,
  WINSOCK_VERSION,
  WSA_FLAG_OVERLAPPED,
  WSA_IO_INCOMPLETE,
  WSAEADDRNOTAVAIL,
  WSAEAFNOSUPPORT,
  WSAEALREADY,
  WSAEFAULT,
  WSAEINVAL,
  WSAEISCONN,
  WSAENOBUFS,
  WSAENOPROTOOPT,
  WSAENOTCONN,
  WSAENOTSOCK,
  WSAEOPNOTSUPP,
  WSAEPROTONOSUPPORT,
  WSAESOCKTNOSUPPORT,
  WSAEWOULDBLOCK,
  WSANOTINITIALISED,
  type WSAPROTOCOL_INFO,
  WSASYSNOTREADY,
  WSAVERNOTSUPPORTED,
  type WSPPROC_TABLE,
  WSS_OPERATION_IN_PROGRESS,
} from '../../spi/index.js';
import { type Acceptor, accept } from './accept.js';
import { isAddress } from './addresses.js';
import { isTcpip, protocolInfo } from './catalog.js';
import { type ExtensionHost, extensionFunction } from './extensions.js';
import { MESSAGE_SIZE_MAX } from './limits.js';
import { Links } from './links.js';
import { Listener } from './listener.js';
import { type NotifyAddresses, ProxyDriver } from './proxy.js';
import type { Scheduler } from './scheduler.js';
import { receive, send } from './send.js';
import { SharedMemorySocket } from './socket.js';

export interface SharedMemoryOptions {
  environment: Readonly<Record<string, string | undefined>>;
  /** Microseconds, monotonic. */
  now(): number;
  /** Uniform in [0, 1): which of several processes of a port is asked first. */
  random(): number;
  /** Told why a link or a connection was ended, or a peer refused, once for each. */
  count(reason: Reason): void;
  /** Milliseconds that a connect may take before TCP/IP is tried. */
  connectBudget: number;
  scheduler: Scheduler;
  /** Tells of the addresses that TCP/IP assigns. Default: the kernel does. */
  notifyAddresses?: NotifyAddresses;
}

/** The provider of one event loop. `startFailure` tells, after WSASYSNOTREADY, why. */
export class SharedMemoryProvider implements SanServiceProvider {
  readonly name = 'shared-memory';
  readonly protocolInfo = protocolInfo;
  startFailure: string | null = null;
  readonly #options: SharedMemoryOptions;
  #starts = 0;
  #links: Links | null = null;
  readonly #sockets = new DenseSet<SharedMemorySocket>();
  #acceptor!: Acceptor;
  readonly #proxy: ProxyDriver;

  constructor(options: SharedMemoryOptions) {
    this.#options = options;
    const { notifyAddresses = (listener) => loadPlatform().notifyAddresses(listener) } = options;
    this.#proxy = new ProxyDriver(notifyAddresses);
  }

  readonly WSPStartupEx: SanServiceProvider['WSPStartupEx'] = (version, data, tcpip, upcalls, table) => {
    // Major version in the low byte (WSD-INI-6): anything below 2.2 is refused (WSD-INI-8).
    const wanted = ((version & 0xff) << 8) | (version >> 8);
    if (wanted < 0x0202) return WSAVERNOTSUPPORTED;
    if (data === null || table === null) return WSAEFAULT;
    // There is no second face for whoever else may come (WSD-INI-5).
    if (!isTcpip(tcpip)) return WSASYSNOTREADY;
    if (this.#starts === 0) {
      let platform: Platform;
      try {
        platform = loadPlatform();
        this.#links = new Links({ ...this.#options, platform, upcalls });
        this.#proxy.load();
        this.#acceptor = {
          services: this.#links.services,
          newSocket: (family, lpErrno) => this.#newSocket(family, lpErrno),
          forget: (s) => this.#forget(s),
        };
      } catch (error) {
        if (!(error instanceof PlatformError)) throw error;
        this.startFailure = error.reason;
        return WSASYSNOTREADY;
      }
    }
    this.#starts++;
    data.wVersion = WINSOCK_VERSION;
    data.wHighVersion = WINSOCK_VERSION;
    data.szDescription = this.protocolInfo.szProtocol;
    table.value = this.#table;
    return 0;
  };

  get links(): Links | null {
    return this.#links;
  }

  #check(s: ProviderSocket | InvalidSocket, lpErrno: Out<number>): SharedMemorySocket | null {
    if (s instanceof SharedMemorySocket && s.provider === this && !s.closed) return s;
    lpErrno.value = WSAENOTSOCK;
    return null;
  }

  #newSocket(family: number, lpErrno: Out<number>): SharedMemorySocket | InvalidSocket {
    const { upcalls } = this.#acceptor.services;
    const socket = new SharedMemorySocket(this, upcalls, family);
    const handle = upcalls.WPUCreateSocketHandle(this.protocolInfo.dwCatalogEntryId, socket, lpErrno);
    if (handle === INVALID_SOCKET) return INVALID_SOCKET;
    socket.switchHandle = handle;
    this.#sockets.add(socket);
    return socket;
  }

  #forget(s: SharedMemorySocket): void {
    s.closed = true;
    this.#sockets.delete(s);
    s.forgetMemory();
    this.#acceptor.services.upcalls.WPUCloseSocketHandle(s.switchHandle, { value: 0 });
  }

  #bind(s: SharedMemorySocket, name: SOCKADDR): number {
    if (s.local !== null) return WSAEINVAL;
    if (name.sa_family !== s.family || !isAddress(name)) return WSAEFAULT;
    if (name.port <= 0 || name.port > 65535) return WSAEFAULT;
    if (name.address !== '0.0.0.0' && name.address !== '::' && !this.#proxy.serves(name)) return WSAEADDRNOTAVAIL;
    s.local = { ...name };
    return 0;
  }

  #connect(s: SharedMemorySocket, name: SOCKADDR): number {
    if (s.listener !== null || s.local === null) return WSAEINVAL;
    if (s.connecting) return WSAEALREADY;
    if (s.connection !== null) return WSAEISCONN;
    if (name.sa_family !== s.family) return WSAEAFNOSUPPORT;
    if (!isAddress(name)) return WSAEFAULT;
    if (name.port <= 0 || name.port > 65535) return WSAEADDRNOTAVAIL;
    s.remote = { ...name };
    return this.#links!.connect(s) || WSAEWOULDBLOCK;
  }

  #listen(s: SharedMemorySocket, backlog: number): number {
    if (s.local === null) return WSAEINVAL;
    if (s.connection !== null || s.connecting) return WSAEISCONN;
    if (s.listener !== null) {
      s.listener.setBacklog(backlog);
      return 0;
    }
    s.listener = new Listener(backlog);
    try {
      this.#links!.addListener(s);
    } catch (error) {
      if (!(error instanceof PlatformError)) throw error;
      s.listener = null;
      s.reason = error.reason;
      return WSAENOBUFS;
    }
    return 0;
  }

  /** `silently`: without telling of the operations that it ends. */
  #close(s: SharedMemorySocket, silently = false): void {
    // At once: those who are told of aborted operations may call again.
    s.closed = true;
    s.connecting = false;
    s.connector?.connectEnded(s);
    s.connector = null;
    if (s.listener !== null) {
      this.#links!.removeListener(s);
      s.listener.close();
    }
    s.connection?.close(silently);
    this.#forget(s);
  }

  #cleanup(lpErrno: Out<number>): number {
    if (this.#starts === 0) {
      lpErrno.value = WSANOTINITIALISED;
      return SOCKET_ERROR;
    }
    if (--this.#starts > 0) return 0;
    for (const socket of this.#sockets) this.#close(socket, true);
    this.#links?.close();
    this.#links = null;
    this.#proxy.unload();
    return 0;
  }

  /** 0, or an error of WSD-DUP-43. */
  #duplicate(s: SharedMemorySocket, processId: number, info: WSAPROTOCOL_INFO | null): number {
    if (info === null || s.moved) return WSAEINVAL;
    if (s.listener === null && s.connection?.isSettled !== true) return WSAENOTCONN;
    try {
      info.dwProviderReserved = this.#links!.duplicate(s, processId >>> 0);
    } catch (error) {
      if (!(error instanceof PlatformError)) throw error;
      s.reason = error.reason;
      return WSAENOBUFS;
    }
    s.moved = true;
    return 0;
  }

  /** A socket that WSPDuplicateSocket of another process has left for this one, as it was there (WSD-DUP-33). */
  #receive(family: number, token: number, lpErrno: Out<number>): SharedMemorySocket | InvalidSocket {
    const moved = this.#links!.takeMoved(token);
    if (moved === null || moved.local.sa_family !== family) {
      lpErrno.value = WSAEINVAL;
      return INVALID_SOCKET;
    }
    const socket = this.#newSocket(family, lpErrno);
    if (socket === INVALID_SOCKET) return INVALID_SOCKET;
    socket.local = moved.local;
    socket.remote = moved.remote;
    if (moved.remote !== null) {
      this.#links!.arrive(socket, moved);
      return socket;
    }
    lpErrno.value = this.#listen(socket, moved.backlog);
    if (lpErrno.value === 0) return socket;
    this.#forget(socket);
    return INVALID_SOCKET;
  }
  readonly #host: ExtensionHost = {
    check: (s, lpErrno) => this.#check(s, lpErrno),
    peerProcess: (link) => this.#links?.peerProcess(link) ?? null,
    sockets: () => this.#sockets,
  };

  readonly #table: WSPPROC_TABLE = {
    WSPAccept: (s, addr, addrlen, condition, callbackData, lpErrno) => {
      const socket = this.#check(s, lpErrno);
      if (socket === null) return INVALID_SOCKET;
      return accept(this.#acceptor, socket, addr, addrlen, condition, callbackData, lpErrno);
    },
    WSPBind: (s, name, _namelen, lpErrno) => this.#result(s, lpErrno, (socket) => this.#bind(socket, name)),
    WSPCleanup: (lpErrno) => this.#cleanup(lpErrno),
    WSPCloseSocket: (s, lpErrno) => {
      const socket = this.#check(s, lpErrno);
      if (socket === null) return SOCKET_ERROR;
      this.#close(socket);
      return 0;
    },
    WSPConnect: (s, name, _namelen, callerData, _calleeData, sqos, _gqos, lpErrno) =>
      this.#result(s, lpErrno, (socket) =>
        callerData !== null ? WSAEPROTONOSUPPORT : sqos !== null ? WSAEOPNOTSUPP : this.#connect(socket, name),
      ),
    WSPDuplicateSocket: (s, processId, protocolInfo, lpErrno) =>
      this.#result(s, lpErrno, (socket) => this.#duplicate(socket, processId, protocolInfo)),
    WSPEnumNetworkEvents: (s, event, events, lpErrno) =>
      this.#result(s, lpErrno, (socket) => {
        socket.enumerate(event, events);
        return 0;
      }),
    WSPEventSelect: (s, event, mask, lpErrno) => this.#result(s, lpErrno, (socket) => socket.select(event, mask)),
    WSPGetOverlappedResult: (s, overlapped, transferred, wait, flags, lpErrno) => {
      if (this.#check(s, lpErrno) === null) return false;
      if (overlapped.Internal === WSS_OPERATION_IN_PROGRESS) {
        // Waiting would block the loop that completes it; the switch only polls, as the real one does (WSD-OVL-18).
        lpErrno.value = wait ? WSAEINVAL : WSA_IO_INCOMPLETE;
        return false;
      }
      transferred.value = overlapped.InternalHigh;
      flags.value = overlapped.Offset;
      lpErrno.value = overlapped.OffsetHigh;
      return overlapped.OffsetHigh === 0;
    },
    WSPGetQOSByName: (s, _name, _qos, lpErrno) => {
      if (this.#check(s, lpErrno) !== null) lpErrno.value = WSAEOPNOTSUPP;
      return false;
    },
    WSPGetSockOpt: (s, level, name, value, length, lpErrno) =>
      this.#result(s, lpErrno, () => {
        if (level !== SOL_SOCKET || name !== SO_MAX_MSG_SIZE) return WSAENOPROTOOPT;
        if (length.value < 4) return WSAEFAULT;
        value.value = MESSAGE_SIZE_MAX;
        length.value = 4;
        return 0;
      }),
    WSPIoctl: (s, code, input, _inputSize, output, outputSize, returned, _overlapped, _routine, _thread, lpErrno) => {
      // The socket may be invalid when an extension is asked for (WSD-INI-17).
      if (code === SIO_GET_EXTENSION_FUNCTION_POINTER) {
        const found = extensionFunction(String(input), this.#host);
        if (found === null) {
          lpErrno.value = WSAEINVAL;
          return SOCKET_ERROR;
        }
        output.value = found;
        returned.value = 8;
        return 0;
      }
      return this.#result(s, lpErrno, () => this.#proxy.deviceControl(code, output, outputSize, returned));
    },
    WSPListen: (s, backlog, lpErrno) => this.#result(s, lpErrno, (socket) => this.#listen(socket, backlog)),
    WSPRecv: (s, buffers, count, _received, _flags, overlapped, _routine, _thread, lpErrno) => {
      const socket = this.#check(s, lpErrno);
      return socket === null ? SOCKET_ERROR : receive(socket, buffers, count, overlapped, lpErrno);
    },
    WSPSend: (s, buffers, count, sent, _flags, overlapped, _routine, _thread, lpErrno) => {
      const socket = this.#check(s, lpErrno);
      return socket === null ? SOCKET_ERROR : send(socket, buffers, count, sent, overlapped, lpErrno);
    },
    WSPSetSockOpt: (s, _level, _name, _value, _length, lpErrno) => this.#result(s, lpErrno, () => WSAENOPROTOOPT),
    WSPSocket: (af, type, protocol, info, _group, flags, lpErrno) => {
      let error = 0;
      if (this.#starts === 0) error = WSANOTINITIALISED;
      else if (af !== AF_INET && af !== AF_INET6) error = WSAEAFNOSUPPORT;
      else if (type !== SOCK_STREAM) error = WSAESOCKTNOSUPPORT;
      else if (protocol !== IPPROTO_TCP) error = WSAEPROTONOSUPPORT;
      else if ((flags & WSA_FLAG_OVERLAPPED) === 0) error = WSAEINVAL;
      const token = info?.dwProviderReserved ?? 0;
      if (error === 0) return token === 0 ? this.#newSocket(af, lpErrno) : this.#receive(af, token, lpErrno);
      lpErrno.value = error;
      return INVALID_SOCKET;
    },
  };

  #result(
    s: ProviderSocket | InvalidSocket,
    lpErrno: Out<number>,
    body: (socket: SharedMemorySocket) => number,
  ): number {
    const socket = this.#check(s, lpErrno);
    if (socket === null) return SOCKET_ERROR;
    const error = body(socket);
    if (error === 0) return 0;
    lpErrno.value = error;
    return SOCKET_ERROR;
  }
}
