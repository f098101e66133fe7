/** The SAN service provider between event loops of one host, as it stands in the catalog, and its 17 functions. */

import type { Reason } from '../../diagnostics/reasons.js';
import { loadPlatform, type Platform, PlatformError } from '../../platform/index.js';
import {
  AF_INET,
  AF_INET6,
  BASE_PROTOCOL,
  BIGENDIAN,
  CF_ACCEPT,
  CF_DEFER,
  CF_REJECT,
  FD_ACCEPT,
  INVALID_SOCKET,
  type InvalidSocket,
  IPPROTO_TCP,
  MEM_READ,
  MEM_WRITE,
  type Out,
  PFL_HIDDEN,
  type ProviderSocket,
  type SanServiceProvider,
  SECURITY_PROTOCOL_NONE,
  SIO_ADDRESS_LIST_QUERY,
  SIO_GET_EXTENSION_FUNCTION_POINTER,
  SO_MAX_MSG_SIZE,
  SOCK_STREAM,
  type SOCKADDR,
  type SOCKET_ADDRESS_LIST,
  SOCKET_ERROR,
  SOL_SOCKET,
  WINSOCK_VERSION,
  WSA_FLAG_OVERLAPPED,
  WSA_IO_INCOMPLETE,
  WSA_IO_PENDING,
  type WSABUF,
  WSAEADDRNOTAVAIL,
  WSAEAFNOSUPPORT,
  WSAEALREADY,
  WSAECONNREFUSED,
  WSAECONNRESET,
  WSAEFAULT,
  WSAEINVAL,
  WSAEISCONN,
  WSAEMSGSIZE,
  WSAENOBUFS,
  WSAENOPROTOOPT,
  WSAENOTSOCK,
  WSAEOPNOTSUPP,
  WSAEPROTONOSUPPORT,
  WSAESOCKTNOSUPPORT,
  WSAEWOULDBLOCK,
  WSANOTINITIALISED,
  type WSAPROTOCOL_INFO,
  WSASYSNOTREADY,
  WSATRY_AGAIN,
  WSAVERNOTSUPPORTED,
  type WSPPROC_TABLE,
  type WSPUPCALLTABLEEX,
  WSS_OPERATION_IN_PROGRESS,
  XP1_GRACEFUL_CLOSE,
  XP1_GUARANTEED_DELIVERY,
  XP1_GUARANTEED_ORDER,
  XP1_MESSAGE_ORIENTED,
} from '../../spi/index.js';
import { hostAddresses, isAddress, matchAddress } from './addresses.js';
import { Connection } from './connection.js';
import { extensionFunction } from './extensions.js';
import { MESSAGE_SIZE_MAX } from './limits.js';
import { Links } from './links.js';
import { Listener } from './listener.js';
import { REFUSED_BY_SWITCH, REFUSED_RESOURCES } from './records.js';
import { SharedMemorySocket } from './socket.js';

export const protocolInfo: WSAPROTOCOL_INFO = {
  dwServiceFlags1: XP1_GUARANTEED_DELIVERY | XP1_GUARANTEED_ORDER | XP1_MESSAGE_ORIENTED | XP1_GRACEFUL_CLOSE,
  dwProviderFlags: PFL_HIDDEN,
  ProviderId: '9A3C7B5E-2D41-4F86-A0C2-7E1B6D95F304',
  dwCatalogEntryId: 1002,
  ProtocolChain: { ChainLen: BASE_PROTOCOL },
  iVersion: 2,
  iAddressFamily: AF_INET,
  iMaxSockAddr: 28,
  iMinSockAddr: 16,
  iSocketType: SOCK_STREAM,
  iProtocol: IPPROTO_TCP,
  iProtocolMaxOffset: 0,
  iNetworkByteOrder: BIGENDIAN,
  iSecurityScheme: SECURITY_PROTOCOL_NONE,
  dwMessageSize: MESSAGE_SIZE_MAX,
  dwProviderReserved: 0,
  szProtocol: 'Sockets Direct shared memory',
};

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
}

/** The provider of one event loop. `startFailure` tells, after WSASYSNOTREADY, why. */
export class SharedMemoryProvider implements SanServiceProvider {
  readonly name = 'shared-memory';
  readonly protocolInfo = protocolInfo;
  startFailure: string | null = null;
  readonly #options: SharedMemoryOptions;
  #starts = 0;
  #links: Links | null = null;
  #upcalls: WSPUPCALLTABLEEX | null = null;
  readonly #sockets = new Set<SharedMemorySocket>();

  constructor(options: SharedMemoryOptions) {
    this.#options = options;
  }

  readonly WSPStartupEx: SanServiceProvider['WSPStartupEx'] = (version, data, _protocolInfo, upcalls, table) => {
    // Major version in the low byte (WSD-INI-6): anything below 2.2 is refused (WSD-INI-8).
    const wanted = ((version & 0xff) << 8) | (version >> 8);
    if (wanted < 0x0202) return WSAVERNOTSUPPORTED;
    if (data === null || table === null) return WSAEFAULT;
    if (this.#starts === 0) {
      let platform: Platform;
      try {
        platform = loadPlatform();
        this.#links = new Links({ ...this.#options, platform, upcalls });
      } catch (error) {
        if (!(error instanceof PlatformError)) throw error;
        this.startFailure = error.reason;
        return WSASYSNOTREADY;
      }
      this.#upcalls = upcalls;
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
    if (s instanceof SharedMemorySocket && !s.closed) return s;
    lpErrno.value = WSAENOTSOCK;
    return null;
  }

  #newSocket(family: number, lpErrno: Out<number>): SharedMemorySocket | InvalidSocket {
    const socket = new SharedMemorySocket(this.#upcalls!, family);
    const handle = this.#upcalls!.WPUCreateSocketHandle(this.protocolInfo.dwCatalogEntryId, socket, lpErrno);
    if (handle === INVALID_SOCKET) return INVALID_SOCKET;
    socket.switchHandle = handle;
    this.#sockets.add(socket);
    return socket;
  }

  #accept(
    s: SharedMemorySocket,
    ...[addr, addrlen, condition, callbackData, lpErrno]: AcceptArguments
  ): SharedMemorySocket | InvalidSocket {
    const fail = (error: number): InvalidSocket => {
      lpErrno.value = error;
      return INVALID_SOCKET;
    };
    if (s.listener === null) return fail(WSAEINVAL);
    const request = s.listener.first;
    if (request === null) return fail(WSAEWOULDBLOCK);
    const { link, id, generation, caller, callee } = request;
    const size = caller.sa_family === AF_INET6 ? 28 : 16;
    if (addrlen !== null && addrlen.value < size) return fail(WSAEFAULT);
    const verdict =
      condition === null ? CF_ACCEPT : condition(caller, null, null, null, callee, null, { value: 0 }, callbackData);
    if (verdict === CF_DEFER) return fail(WSATRY_AGAIN);
    s.listener.remove(request);
    const accepting = verdict === CF_ACCEPT ? this.#newSocket(s.family, lpErrno) : INVALID_SOCKET;
    if (accepting === INVALID_SOCKET) {
      const refused = verdict !== CF_ACCEPT;
      link.refuse(id, generation, refused ? REFUSED_BY_SWITCH : REFUSED_RESOURCES);
      this.#announceNext(s);
      return refused ? fail(verdict === CF_REJECT ? WSAECONNREFUSED : WSAEINVAL) : INVALID_SOCKET;
    }
    const connection = new Connection(accepting, this.#upcalls!, link, false);
    connection.id = id;
    connection.generation = generation;
    accepting.connection = connection;
    accepting.local = callee;
    accepting.remote = caller;
    if (!link.accept(id, generation, connection)) {
      // Withdrawn while the condition function was asked.
      this.#forget(accepting, lpErrno);
      this.#announceNext(s);
      return fail(WSAECONNRESET);
    }
    if (addr !== null) Object.assign(addr, caller);
    if (addrlen !== null) addrlen.value = size;
    s.resetAcceptEvent();
    this.#announceNext(s);
    return accepting;
  }

  /** WSD-ACC-18: without this the reset of WSD-ACC-17 could lose a wake-up. */
  #announceNext(s: SharedMemorySocket): void {
    if (s.listener !== null && s.listener.first !== null) s.recordEvent(FD_ACCEPT, 0);
  }

  #forget(s: SharedMemorySocket, lpErrno: Out<number>): void {
    s.closed = true;
    this.#sockets.delete(s);
    s.forgetMemory();
    this.#upcalls!.WPUCloseSocketHandle(s.switchHandle, lpErrno);
  }

  #bind(s: SharedMemorySocket, name: SOCKADDR): number {
    if (s.local !== null) return WSAEINVAL;
    if (name.sa_family !== s.family || !isAddress(name)) return WSAEFAULT;
    if (name.port <= 0 || name.port > 65535) return WSAEFAULT;
    if (name.address !== '0.0.0.0' && name.address !== '::' && !this.#isLocal(name)) return WSAEADDRNOTAVAIL;
    s.local = { ...name };
    return 0;
  }

  #isLocal(name: SOCKADDR): boolean {
    if (name.sa_family === AF_INET && name.address.startsWith('127.')) return true;
    return hostAddresses().some(({ lpSockaddr }) => matchAddress(lpSockaddr.address, name) === 2);
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

  #close(s: SharedMemorySocket, lpErrno: Out<number>): void {
    // At once: those who are told of aborted operations may call again.
    s.closed = true;
    s.connecting = false;
    s.connector?.connectEnded(s);
    s.connector = null;
    if (s.listener !== null) {
      this.#links!.removeListener(s);
      s.listener.close();
    }
    s.connection?.close();
    this.#forget(s, lpErrno);
  }

  #cleanup(lpErrno: Out<number>): number {
    if (this.#starts === 0) {
      lpErrno.value = WSANOTINITIALISED;
      return SOCKET_ERROR;
    }
    if (--this.#starts > 0) return 0;
    for (const socket of [...this.#sockets]) this.#close(socket, lpErrno);
    this.#links?.close();
    this.#links = null;
    return 0;
  }

  readonly #table: WSPPROC_TABLE = {
    WSPAccept: (s, addr, addrlen, condition, callbackData, lpErrno) => {
      const socket = this.#check(s, lpErrno);
      return socket === null ? INVALID_SOCKET : this.#accept(socket, addr, addrlen, condition, callbackData, lpErrno);
    },
    WSPBind: (s, name, _namelen, lpErrno) => this.#result(s, lpErrno, (socket) => this.#bind(socket, name)),
    WSPCleanup: (lpErrno) => this.#cleanup(lpErrno),
    WSPCloseSocket: (s, lpErrno) => {
      const socket = this.#check(s, lpErrno);
      if (socket === null) return SOCKET_ERROR;
      this.#close(socket, lpErrno);
      return 0;
    },
    WSPConnect: (s, name, _namelen, callerData, _calleeData, sqos, _gqos, lpErrno) =>
      this.#result(s, lpErrno, (socket) =>
        callerData !== null ? WSAEPROTONOSUPPORT : sqos !== null ? WSAEOPNOTSUPP : this.#connect(socket, name),
      ),
    WSPDuplicateSocket: (s, _processId, _protocolInfo, lpErrno) => this.#result(s, lpErrno, () => WSAEOPNOTSUPP),
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
        const found = extensionFunction(String(input), (socket, errno) => this.#check(socket, errno));
        if (found === null || found === 'unsupported') {
          lpErrno.value = found === null ? WSAEINVAL : WSAEOPNOTSUPP;
          return SOCKET_ERROR;
        }
        output.value = found;
        returned.value = 8;
        return 0;
      }
      return this.#result(s, lpErrno, () => {
        if (code !== SIO_ADDRESS_LIST_QUERY) return WSAEOPNOTSUPP;
        const Address = hostAddresses();
        returned.value = 4 + Address.reduce((sum, { iSockaddrLength }) => sum + 16 + iSockaddrLength, 0);
        if (outputSize < returned.value) return WSAEFAULT;
        output.value = { iAddressCount: Address.length, Address } satisfies SOCKET_ADDRESS_LIST;
        return 0;
      });
    },
    WSPListen: (s, backlog, lpErrno) => this.#result(s, lpErrno, (socket) => this.#listen(socket, backlog)),
    WSPRecv: (s, buffers, count, _received, _flags, overlapped, _routine, _thread, lpErrno) => {
      const socket = this.#check(s, lpErrno);
      if (socket === null) return SOCKET_ERROR;
      const error = socket.dataError;
      if (error !== 0) lpErrno.value = error;
      else if (count !== 1) lpErrno.value = WSAEINVAL;
      else if (!socket.registrations.covers(buffers[0], MEM_WRITE)) lpErrno.value = WSAEFAULT;
      else {
        socket.connection!.post(buffers[0], overlapped);
        lpErrno.value = WSA_IO_PENDING;
      }
      return SOCKET_ERROR;
    },
    WSPSend: (s, buffers, count, sent, _flags, overlapped, _routine, _thread, lpErrno) => {
      const socket = this.#check(s, lpErrno);
      if (socket === null) return SOCKET_ERROR;
      const connection = socket.connection;
      const error = count > 0 ? socket.dataError : WSAEINVAL;
      if (error !== 0 || connection === null) {
        lpErrno.value = error;
        return SOCKET_ERROR;
      }
      const buffer = buffers[0];
      if (socket.sendBuffer !== buffer) {
        const problem = this.#copyToWire(socket, buffers, count);
        if (problem !== 0) {
          lpErrno.value = problem;
          return SOCKET_ERROR;
        }
      }
      socket.sendBuffer = null;
      const length = socket.sendLength === 0 ? buffer.len : socket.sendLength;
      socket.sendLength = 0;
      if (!connection.link.commit(length, connection.id, overlapped)) {
        overlapped.Internal = WSS_OPERATION_IN_PROGRESS;
        lpErrno.value = WSA_IO_PENDING;
        return SOCKET_ERROR;
      }
      socket.complete(overlapped, length);
      if (sent !== null) sent.value = length;
      return 0;
    },
    WSPSetSockOpt: (s, _level, _name, _value, _length, lpErrno) => this.#result(s, lpErrno, () => WSAENOPROTOOPT),
    WSPSocket: (af, type, protocol, _info, _group, flags, lpErrno) => {
      let error = 0;
      if (this.#starts === 0) error = WSANOTINITIALISED;
      else if (af !== AF_INET && af !== AF_INET6) error = WSAEAFNOSUPPORT;
      else if (type !== SOCK_STREAM) error = WSAESOCKTNOSUPPORT;
      else if (protocol !== IPPROTO_TCP) error = WSAEPROTONOSUPPORT;
      else if ((flags & WSA_FLAG_OVERLAPPED) === 0) error = WSAEINVAL;
      if (error === 0) return this.#newSocket(af, lpErrno);
      lpErrno.value = error;
      return INVALID_SOCKET;
    },
  };

  /** Memory that is not the wire's own: checked, then gathered onto the wire (WSD-XFR-29). */
  #copyToWire(socket: SharedMemorySocket, buffers: readonly WSABUF[], count: number): number {
    let length = 0;
    for (let i = 0; i < count; i++) {
      if (!socket.registrations.covers(buffers[i], MEM_READ)) return WSAEFAULT;
      length += buffers[i].len;
    }
    if (length > MESSAGE_SIZE_MAX) return WSAEMSGSIZE;
    const wire: WSABUF = { len: 0, buf: buffers[0].buf, offset: 0 };
    socket.connection!.link.begin(length, wire);
    let at = wire.offset;
    for (let i = 0; i < count; i++) {
      const { buf, offset, len } = buffers[i];
      wire.buf.bytes.set(buf.bytes.subarray(offset, offset + len), at);
      at += len;
    }
    socket.sendLength = length;
    return 0;
  }

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

type AcceptArguments = [
  addr: SOCKADDR | null,
  addrlen: Out<number> | null,
  condition: Parameters<WSPPROC_TABLE['WSPAccept']>[3],
  callbackData: unknown,
  lpErrno: Out<number>,
];
