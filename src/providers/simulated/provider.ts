/** The simulated SAN service provider, as it stands in the catalog, and its 17 functions. */

import {
  AF_INET,
  AF_INET6,
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
  type ProviderSocket,
  type SanServiceProvider,
  SIO_GET_EXTENSION_FUNCTION_POINTER,
  SOCK_STREAM,
  type SOCKADDR,
  SOCKET_ERROR,
  WINSOCK_VERSION,
  WSA_FLAG_OVERLAPPED,
  WSA_IO_INCOMPLETE,
  WSA_IO_PENDING,
  WSAEACCES,
  WSAEADDRNOTAVAIL,
  WSAEAFNOSUPPORT,
  WSAEALREADY,
  WSAECONNREFUSED,
  WSAEFAULT,
  WSAEINVAL,
  WSAEISCONN,
  WSAEMSGSIZE,
  WSAENOTSOCK,
  WSAEOPNOTSUPP,
  WSAEPROTONOSUPPORT,
  WSAESOCKTNOSUPPORT,
  WSAETIMEDOUT,
  WSAEWOULDBLOCK,
  WSANOTINITIALISED,
  type WSAPROTOCOL_INFO,
  WSASYSNOTREADY,
  WSATRY_AGAIN,
  WSAVERNOTSUPPORTED,
  type WSPPROC_TABLE,
  type WSPUPCALLTABLEEX,
  WSS_OPERATION_IN_PROGRESS,
} from '../../spi/index.js';
import { isAddress, isWildcard, sockaddrSize } from './addresses.js';
import { catalogEntry, isTcpip } from './catalog.js';
import { Connection, type ConnectionOptions } from './connection.js';
import { duplicate, receive } from './duplication.js';
import { type ExtensionHost, extensionFunction } from './extensions.js';
import { Faults } from './faults.js';
import { Listener } from './listener.js';
import { Network, type Station } from './network.js';
import { checkOption, getOption } from './options.js';
import { AddressAssignments, ProxyDriver } from './proxy.js';
import { ConnectRequest } from './request.js';
import { defaults, type SimulatedOptions } from './settings.js';
import { SimulatedSocket } from './socket.js';
import { travelTime } from './wire.js';
import type { Process } from './world.js';

/** The provider of one process of a world. */
export class SimulatedProvider implements SanServiceProvider {
  readonly name: string;
  readonly protocolInfo: WSAPROTOCOL_INFO;
  readonly process: Process;
  readonly options: SimulatedOptions;
  readonly faults: Faults;
  readonly #network: Network;
  readonly #proxy: ProxyDriver;
  readonly #connectionOptions: ConnectionOptions;
  #starts = 0;
  #upcalls: WSPUPCALLTABLEEX | null = null;
  readonly #sockets = new Set<SimulatedSocket>();
  readonly #station: Station;
  readonly #host: ExtensionHost;

  constructor(process: Process, options: Partial<SimulatedOptions> = {}) {
    this.process = process;
    this.options = { ...defaults, ...options };
    this.name = this.options.name;
    this.faults = this.options.faults ?? new Faults(process.world);
    this.#network = Network.of(process.world, this.options.network);
    this.#proxy = new ProxyDriver(this.options.assignments ?? new AddressAssignments(this.options.addresses));
    this.#connectionOptions = { ...this.options, faults: this.faults };
    const sockets = this.#sockets;
    this.#station = {
      process,
      get listening() {
        return [...sockets].filter(({ listener }) => listener !== null);
      },
      owns: (address) => this.#proxy.serves(address),
    };
    this.#host = {
      ...this.options,
      process,
      faults: this.faults,
      check: (s, lpErrno) => this.#check(s, lpErrno),
      sockets: () => this.#sockets,
    };
    this.protocolInfo = catalogEntry(this.options.messageSizeMax);
  }

  /** Sockets that have not been closed. */
  get sockets(): ReadonlySet<SimulatedSocket> {
    return this.#sockets;
  }

  readonly WSPStartupEx: SanServiceProvider['WSPStartupEx'] = (version, data, tcpip, upcalls, table) => {
    // Major version in the low byte (WSD-INI-6): anything below 2.2 is refused (WSD-INI-8).
    const wanted = ((version & 0xff) << 8) | (version >> 8);
    if (wanted < 0x0202) return WSAVERNOTSUPPORTED;
    if (data === null || table === null) return WSAEFAULT;
    if (!isTcpip(tcpip)) return WSASYSNOTREADY;
    if (this.#starts === 0) {
      this.#upcalls = upcalls;
      this.#network.attach(this.#station);
      this.#proxy.load();
      this.process.onKilled.add(this.#killed);
    }
    this.#starts++;
    data.wVersion = WINSOCK_VERSION;
    data.wHighVersion = WINSOCK_VERSION;
    data.szDescription = this.protocolInfo.szProtocol;
    table.value = this.#table;
    return 0;
  };

  /** The kernel and the NIC notice: peers are told, nobody of this process is. */
  readonly #killed = (): void => {
    this.#network.detach(this.#station);
    this.#network.abandon(this.process.id);
    for (const socket of this.#sockets) {
      socket.listener?.close('peer-gone');
      socket.connection?.processKilled();
    }
    this.#sockets.clear();
  };

  #check(s: ProviderSocket | InvalidSocket, lpErrno: Out<number>): SimulatedSocket | null {
    if (s instanceof SimulatedSocket && s.process === this.process && this.#sockets.has(s) && !s.closed) return s;
    lpErrno.value = WSAENOTSOCK;
    return null;
  }

  #newSocket(family: number, lpErrno: Out<number>): SimulatedSocket | InvalidSocket {
    const socket = new SimulatedSocket(this.process, this.#upcalls!, family, this.options.registrationCache);
    lpErrno.value = this.faults.call('WPUCreateSocketHandle');
    if (lpErrno.value !== 0) return INVALID_SOCKET;
    const handle = this.#upcalls!.WPUCreateSocketHandle(this.protocolInfo.dwCatalogEntryId, socket, lpErrno);
    if (handle === INVALID_SOCKET) return INVALID_SOCKET;
    socket.switchHandle = handle;
    this.#sockets.add(socket);
    return socket;
  }

  /** A socket that another process has left for this one, in the descriptor that it had here if there is one. */
  #receive(family: number, token: number, lpErrno: Out<number>): SimulatedSocket | InvalidSocket {
    const left = this.#network.take(token, this.process.id);
    const origin = left?.connection?.origin;
    const known = [...this.#sockets].find((s) => s.moved && s !== left && s.connection?.origin === origin);
    const socket = this.options.revives && origin !== undefined && known ? known : null;
    if (left === null || left.family !== family) {
      lpErrno.value = WSAEINVAL;
      return INVALID_SOCKET;
    }
    const receiving = socket ?? this.#newSocket(family, lpErrno);
    if (receiving === INVALID_SOCKET) return INVALID_SOCKET;
    receive(receiving, left, this.#connectionOptions);
    return receiving;
  }

  #accept(
    s: SimulatedSocket,
    ...[addr, addrlen, condition, callbackData, lpErrno]: AcceptArguments
  ): SimulatedSocket | InvalidSocket {
    const fail = (error: number): InvalidSocket => {
      lpErrno.value = error;
      return INVALID_SOCKET;
    };
    const { listener } = s;
    if (listener === null || listener.isAsking) return fail(WSAEINVAL);
    const request = listener.first;
    if (request === null) return fail(WSAEWOULDBLOCK);
    const { caller, callee } = request;
    const size = sockaddrSize(caller.sa_family);
    if (addrlen !== null && addrlen.value < size) return fail(WSAEFAULT);
    let verdict = CF_ACCEPT;
    if (condition !== null) {
      listener.isAsking = true;
      try {
        verdict = condition(caller, null, null, null, callee, null, { value: 0 }, callbackData);
      } finally {
        listener.isAsking = false;
      }
    }
    // The condition function may have closed the listener, which has refused everything that waited.
    if (s.closed) return fail(WSAENOTSOCK);
    if (this.faults.withdraws()) this.#withdrawInCondition(request);
    if (verdict === CF_DEFER) return fail(WSATRY_AGAIN);
    listener.remove(request);
    const scarce = verdict === CF_ACCEPT ? this.faults.call('WSPAccept') : 0;
    if (scarce !== 0) lpErrno.value = scarce;
    const accepting = verdict === CF_ACCEPT && scarce === 0 ? this.#newSocket(s.family, lpErrno) : INVALID_SOCKET;
    if (accepting === INVALID_SOCKET) {
      const refused = verdict !== CF_ACCEPT;
      request.refuse(refused ? 'refused' : 'resources-exhausted');
      this.#announceNext(s);
      return refused ? fail(verdict === CF_REJECT ? WSAECONNREFUSED : WSAEINVAL) : INVALID_SOCKET;
    }
    if (!request.accept()) {
      // Withdrawn while the condition function was asked.
      this.#forget(accepting, { value: 0 });
      this.#announceNext(s);
      return fail(WSAEACCES);
    }
    accepting.local = { ...callee };
    accepting.debug = s.debug;
    accepting.remote = { ...caller };
    accepting.connection = new Connection(accepting, this.#connectionOptions, false);
    accepting.connection.accept(request.initiator);
    if (addr !== null) Object.assign(addr, caller);
    if (addrlen !== null) addrlen.value = size;
    s.events.resetAccept();
    this.#announceNext(s);
    return accepting;
  }

  /** As if the connector's budget ended at this very moment. */
  #withdrawInCondition(request: ConnectRequest<Connection>): void {
    if (!request.isPending) return;
    this.process.world.mark('fault: withdrawn in the condition function');
    request.initiator.expire();
  }

  /** WSD-ACC-18: without this the reset of WSD-ACC-17 could lose a wake-up. */
  #announceNext(s: SimulatedSocket): void {
    if (s.listener !== null && s.listener.first !== null) s.recordEvent(FD_ACCEPT, 0);
  }

  #forget(s: SimulatedSocket, lpErrno: Out<number>): void {
    s.closed = true;
    this.#sockets.delete(s);
    s.forgetMemory();
    this.#upcalls!.WPUCloseSocketHandle(s.switchHandle, lpErrno);
  }

  #bind(s: SimulatedSocket, name: SOCKADDR): number {
    if (s.local !== null) return WSAEINVAL;
    if (name.sa_family !== s.family || !isAddress(name)) return WSAEFAULT;
    if (name.port <= 0 || name.port > 65535) return WSAEFAULT;
    if (!isWildcard(name) && !this.#station.owns(name.address)) return WSAEADDRNOTAVAIL;
    const error = this.faults.call('WSPBind');
    if (error === 0) s.local = { ...name };
    return error;
  }

  #connect(s: SimulatedSocket, name: SOCKADDR): number {
    if (s.listener !== null || s.local === null) return WSAEINVAL;
    if (s.connecting) return WSAEALREADY;
    if (s.connection !== null) return WSAEISCONN;
    if (name.sa_family !== s.family) return WSAEAFNOSUPPORT;
    if (!isAddress(name)) return WSAEFAULT;
    if (name.port <= 0 || name.port > 65535) return WSAEADDRNOTAVAIL;
    const scarce = this.faults.call('WSPConnect');
    if (scarce !== 0) return scarce;
    const { world } = this.process;
    const outcome = this.faults.connectOutcome();
    const reason = outcome === WSAETIMEDOUT ? 'peer-unreachable' : null;
    if (outcome !== 0 && world.chance(0.5)) {
      s.reason = reason;
      return outcome;
    }
    s.remote = { ...name };
    s.connecting = true;
    const connection = new Connection(s, this.#connectionOptions, true);
    s.connection = connection;
    const answer = (arrive: () => void): void => {
      world.schedule(arrive, travelTime(world, this.#connectionOptions));
    };
    const request = new ConnectRequest({ ...s.local }, s.remote, connection, answer);
    connection.connect(request, () => {
      if (outcome === 0) this.#network.arrive(request);
      else if (request.withdraw()) connection.refused(outcome, reason);
    });
    s.stopTimer = this.process.schedule(() => connection.expire(), this.options.connectBudget * 1000);
    return WSAEWOULDBLOCK;
  }

  #listen(s: SimulatedSocket, backlog: number): number {
    if (s.local === null) return WSAEINVAL;
    if (s.connection !== null || s.connecting) return WSAEISCONN;
    const error = this.faults.call('WSPListen');
    if (error !== 0) return error;
    if (s.listener === null) s.listener = new Listener(backlog);
    else s.listener.setBacklog(backlog);
    return 0;
  }

  #close(s: SimulatedSocket, lpErrno: Out<number>): void {
    // At once: those who are told of aborted operations may call again.
    s.closed = true;
    s.connecting = false;
    s.stopTimer?.();
    s.stopTimer = null;
    const { listener } = s;
    s.listener = null;
    listener?.close('no-listener');
    s.releaseCached();
    s.connection?.close();
    this.#forget(s, lpErrno);
  }

  #cleanup(lpErrno: Out<number>): number {
    if (this.#starts === 0) {
      lpErrno.value = WSANOTINITIALISED;
      return SOCKET_ERROR;
    }
    if (--this.#starts > 0) return 0;
    for (const socket of [...this.#sockets]) {
      socket.silent = true;
      this.#close(socket, lpErrno);
    }
    this.#network.detach(this.#station);
    this.#proxy.unload();
    this.process.onKilled.delete(this.#killed);
    return 0;
  }

  readonly #table: WSPPROC_TABLE = {
    WSPAccept: (s, addr, addrlen, condition, callbackData, lpErrno) => {
      const socket = this.#check(s, lpErrno);
      return socket === null ? INVALID_SOCKET : this.#accept(socket, addr, addrlen, condition, callbackData, lpErrno);
    },
    WSPBind: (s, name, _namelen, lpErrno) => this.#result(s, lpErrno, (socket) => this.#bind(socket, name)),
    WSPCleanup: (lpErrno) => this.#cleanup(lpErrno),
    WSPCloseSocket: (s, lpErrno) =>
      this.#result(s, lpErrno, (socket) => {
        this.#close(socket, lpErrno);
        return 0;
      }),
    WSPConnect: (s, name, _namelen, callerData, _calleeData, sqos, _gqos, lpErrno) =>
      this.#result(s, lpErrno, (socket) =>
        callerData !== null ? WSAEPROTONOSUPPORT : sqos !== null ? WSAEOPNOTSUPP : this.#connect(socket, name),
      ),
    WSPDuplicateSocket: (s, processId, protocolInfo, lpErrno) =>
      this.#result(s, lpErrno, (socket) => duplicate(socket, processId, protocolInfo, this.#network)),
    WSPEnumNetworkEvents: (s, event, events, lpErrno) =>
      this.#result(s, lpErrno, (socket) => {
        socket.events.enumerate(event, events);
        return 0;
      }),
    WSPEventSelect: (s, event, mask, lpErrno) =>
      this.#result(s, lpErrno, (socket) => this.faults.call('WSPEventSelect') || socket.events.select(event, mask)),
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
      this.#result(s, lpErrno, (socket) => getOption(this.options, socket.debug, level, name, value, length)),
    WSPIoctl: (s, code, input, _inputSize, output, outputSize, returned, _overlapped, _routine, _thread, lpErrno) => {
      // The socket may be invalid when an extension is asked for (WSD-INI-17).
      if (code === SIO_GET_EXTENSION_FUNCTION_POINTER) {
        const found = extensionFunction(String(input), this.#host);
        if (found === null || found === 'unsupported') {
          lpErrno.value = found === null ? WSAEINVAL : WSAEOPNOTSUPP;
          return SOCKET_ERROR;
        }
        output.value = found;
        returned.value = 8;
        return 0;
      }
      return this.#result(s, lpErrno, () => this.#proxy.deviceControl(code, output, outputSize, returned));
    },
    WSPListen: (s, backlog, lpErrno) => this.#result(s, lpErrno, (socket) => this.#listen(socket, backlog)),
    WSPRecv: (s, buffers, count, _received, _flags, overlapped, _routine, _thread, lpErrno) =>
      this.#result(s, lpErrno, (socket) => {
        const list = buffers.slice(0, count);
        if (socket.dataError !== 0) return socket.dataError;
        if (count < 1) return WSAEINVAL;
        if (!list.every((one) => socket.registrations.covers(one, MEM_WRITE))) return WSAEFAULT;
        const error = this.faults.call('WSPRecv');
        if (error !== 0) return error;
        socket.connection!.post(list, overlapped);
        return WSA_IO_PENDING;
      }),
    WSPSend: (s, buffers, count, sent, _flags, overlapped, _routine, _thread, lpErrno) =>
      this.#result(s, lpErrno, (socket) => {
        const list = buffers.slice(0, count);
        if (socket.dataError !== 0) return socket.dataError;
        if (count < 1) return WSAEINVAL;
        if (!list.every((one) => socket.registrations.covers(one, MEM_READ))) return WSAEFAULT;
        const length = list.reduce((sum, { len }) => sum + len, 0);
        if (length > this.options.messageSizeMax) return WSAEMSGSIZE;
        const error = this.faults.call('WSPSend');
        if (error !== 0) return error;
        if (!socket.connection!.send(list, overlapped)) return WSA_IO_PENDING;
        if (sent !== null) sent.value = length;
        socket.complete(overlapped, 0, length);
        return 0;
      }),
    WSPSetSockOpt: (s, level, name, value, length, lpErrno) =>
      this.#result(s, lpErrno, (socket) => {
        const error = checkOption(level, name, value, length) || this.faults.call('WSPSetSockOpt');
        if (error === 0) socket.debug = value === 1;
        return error;
      }),
    WSPSocket: (af, type, protocol, info, _group, flags, lpErrno) => {
      let error = 0;
      if (this.#starts === 0) error = WSANOTINITIALISED;
      else if (af !== AF_INET && af !== AF_INET6) error = WSAEAFNOSUPPORT;
      else if (type !== SOCK_STREAM) error = WSAESOCKTNOSUPPORT;
      else if (protocol !== IPPROTO_TCP) error = WSAEPROTONOSUPPORT;
      else if ((flags & WSA_FLAG_OVERLAPPED) === 0) error = WSAEINVAL;
      else error = this.faults.call('WSPSocket');
      const token = info?.dwProviderReserved ?? 0;
      if (error === 0) return token === 0 ? this.#newSocket(af, lpErrno) : this.#receive(af, token, lpErrno);
      lpErrno.value = error;
      return INVALID_SOCKET;
    },
  };

  #result(s: ProviderSocket | InvalidSocket, lpErrno: Out<number>, body: (socket: SimulatedSocket) => number): number {
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
