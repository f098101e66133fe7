/** A SAN service provider over Unix sockets: the processes of one host that share a directory. */

import { isIP } from 'node:net';
import {
  AF_INET,
  AF_INET6,
  BASE_PROTOCOL,
  BIGENDIAN,
  CF_ACCEPT,
  CF_DEFER,
  CF_REJECT,
  FD_ACCEPT,
  FD_CONNECT,
  INVALID_SOCKET,
  IPPROTO_TCP,
  MEM_READ,
  MEM_WRITE,
  PFL_HIDDEN,
  SECURITY_PROTOCOL_NONE,
  SIO_ADDRESS_LIST_QUERY,
  SIO_GET_EXTENSION_FUNCTION_POINTER,
  SO_MAX_MSG_SIZE,
  SO_MAX_RDMA_SIZE,
  SOCK_STREAM,
  SOCKET_ERROR,
  SOL_SOCKET,
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
  WSAENOBUFS,
  WSAENOPROTOOPT,
  WSAENOTCONN,
  WSAENOTSOCK,
  WSAEOPNOTSUPP,
  WSAEPROTONOSUPPORT,
  WSAESOCKTNOSUPPORT,
  WSAETIMEDOUT,
  WSAEWOULDBLOCK,
  WSANOTINITIALISED,
  WSASYSNOTREADY,
  WSATRY_AGAIN,
  WSAVERNOTSUPPORTED,
  WSPDeregisterMemoryGuid,
  WSPDeregisterRdmaMemoryGuid,
  WSPMemoryRegistrationCacheCallbackGuid,
  WSPRdmaReadGuid,
  WSPRdmaWriteGuid,
  WSPRegisterMemoryGuid,
  WSPRegisterRdmaMemoryGuid,
  WSS_OPERATION_IN_PROGRESS,
  XP1_GRACEFUL_CLOSE,
  XP1_GUARANTEED_DELIVERY,
  XP1_GUARANTEED_ORDER,
  XP1_MESSAGE_ORIENTED,
} from 'sockets-direct/spi';
import { Connecting } from './connecting.js';
import { Connection } from './connection.js';
import { Listener } from './listener.js';
import { Rendezvous } from './rendezvous.js';
import { UnixSocket } from './socket.js';
import { ACCEPT, DESCRIPTOR_SIZE, frame, MESSAGE_MAX, WRITE_MAX } from './wire.js';

/** As it would stand in the catalog. */
const protocolInfo = {
  dwServiceFlags1: XP1_GUARANTEED_DELIVERY | XP1_GUARANTEED_ORDER | XP1_MESSAGE_ORIENTED | XP1_GRACEFUL_CLOSE,
  dwProviderFlags: PFL_HIDDEN,
  ProviderId: '0C5B6A34-7D2E-4B1F-9E08-3A6F51C2D784',
  dwCatalogEntryId: 1101,
  ProtocolChain: { ChainLen: BASE_PROTOCOL },
  iVersion: 2,
  iAddressFamily: AF_INET,
  iMaxSockAddr: 16,
  iMinSockAddr: 16,
  iSocketType: SOCK_STREAM,
  iProtocol: IPPROTO_TCP,
  iProtocolMaxOffset: 0,
  iNetworkByteOrder: BIGENDIAN,
  iSecurityScheme: SECURITY_PROTOCOL_NONE,
  dwMessageSize: MESSAGE_MAX,
  dwProviderReserved: 0,
  szProtocol: 'Unix sockets (example)',
};

const SOCKADDR_SIZE = 16;
const OPTION_SIZE = 4;
const POINTER_SIZE = 8;

const isPort = (port) => port > 0 && port <= 65_535;
const familyOf = (address) => ({ 4: AF_INET, 6: AF_INET6 })[isIP(address)];
const isAddress = ({ sa_family, address }) => familyOf(address) === sa_family;
const sizeOf = (list) => list.reduce((sum, { len }) => sum + len, 0);

/** Only the switch shows TCP/IP's own entry. */
function isTcpip({ iProtocol, iSocketType, dwProviderFlags, dwServiceFlags1 }) {
  const stream = iProtocol === IPPROTO_TCP && iSocketType === SOCK_STREAM;
  return stream && (dwProviderFlags & PFL_HIDDEN) === 0 && (dwServiceFlags1 & XP1_MESSAGE_ORIENTED) === 0;
}

export class UnixSocketProvider {
  name = 'unix-socket';
  protocolInfo = protocolInfo;
  #addresses;
  /** What listeners and connects need: `opened` is told of every kernel socket. */
  #host;
  #upcalls = null;
  #starts = 0;
  #sockets = new Set();

  /** `directory`: where the processes meet. `connectBudget`: milliseconds that a connect may take. */
  constructor({ directory, addresses = ['127.0.0.1'], connectBudget = 1000, opened = () => {} }) {
    this.#addresses = addresses;
    this.#host = {
      rendezvous: new Rendezvous(directory),
      connectBudget,
      opened: (one) => {
        opened(one);
        return one;
      },
    };
  }

  WSPStartupEx = (version, data, tcpip, upcalls, table) => {
    // Major version in the low byte.
    if ((((version & 0xff) << 8) | (version >> 8)) < 0x0202) return WSAVERNOTSUPPORTED;
    if (data === null || table === null) return WSAEFAULT;
    if (!isTcpip(tcpip)) return WSASYSNOTREADY;
    if (this.#starts++ === 0) this.#upcalls = upcalls;
    Object.assign(data, {
      wVersion: WINSOCK_VERSION,
      wHighVersion: WINSOCK_VERSION,
      szDescription: protocolInfo.szProtocol,
    });
    table.value = this.#table;
    return 0;
  };

  /** Runs the body with the record of a socket; what it returns, if not 0, is the error. */
  #with(s, lpErrno, body) {
    const error = this.#sockets.has(s) ? body(s) : WSAENOTSOCK;
    if (error === 0) return 0;
    lpErrno.value = error;
    return SOCKET_ERROR;
  }

  #newSocket(family, lpErrno) {
    const socket = new UnixSocket(this.#upcalls, family);
    const handle = this.#upcalls.WPUCreateSocketHandle(protocolInfo.dwCatalogEntryId, socket, lpErrno);
    if (handle === INVALID_SOCKET) return INVALID_SOCKET;
    socket.handle = handle;
    this.#sockets.add(socket);
    return socket;
  }

  #bind(socket, name) {
    if (socket.local !== null) return WSAEINVAL;
    if (name.sa_family !== socket.family || !isAddress(name) || !isPort(name.port)) return WSAEFAULT;
    if (name.address !== '0.0.0.0' && !this.#addresses.includes(name.address)) return WSAEADDRNOTAVAIL;
    socket.local = { ...name };
    return 0;
  }

  #listen(socket, backlog) {
    if (socket.local === null) return WSAEINVAL;
    if (socket.connection !== null || socket.connecting !== null) return WSAEISCONN;
    if (socket.listener !== null) {
      socket.listener.setBacklog(backlog);
      return 0;
    }
    try {
      socket.listener = new Listener(socket, backlog, this.#host);
      return 0;
    } catch {
      return WSAENOBUFS;
    }
  }

  #connect(socket, name) {
    if (socket.listener !== null || socket.local === null) return WSAEINVAL;
    if (socket.connecting !== null) return WSAEALREADY;
    if (socket.connection !== null) return WSAEISCONN;
    if (name.sa_family !== socket.family) return WSAEAFNOSUPPORT;
    if (!isAddress(name)) return WSAEFAULT;
    if (!isPort(name.port)) return WSAEADDRNOTAVAIL;
    try {
      const paths = this.#host.rendezvous.find(name);
      // Nobody listens here. It says nothing of TCP/IP, so it is none of the errors that are final.
      if (paths.length === 0) return WSAETIMEDOUT;
      const names = { caller: socket.local, callee: name };
      socket.connecting = new Connecting(this.#host, paths, names, (error, raw, frames) => {
        socket.connecting = null;
        if (error === 0) socket.connection = new Connection(socket, raw, frames);
        socket.record(FD_CONNECT, error);
        return socket.connection;
      });
      return WSAEWOULDBLOCK;
    } catch {
      return WSAENOBUFS;
    }
  }

  /** The first request of the queue: accepted, refused, or left where it is, as the condition function wants. */
  #accept(s, addr, addrlen, condition, callbackData, lpErrno) {
    const fail = (error) => {
      lpErrno.value = error;
      return INVALID_SOCKET;
    };
    const { listener } = s;
    if (listener === null || listener.isAsking) return fail(WSAEINVAL);
    const request = listener.first;
    if (request === null) return fail(WSAEWOULDBLOCK);
    if (addrlen !== null && addrlen.value < SOCKADDR_SIZE) return fail(WSAEFAULT);
    const { caller, callee } = request;
    let verdict = CF_ACCEPT;
    if (condition !== null) {
      listener.isAsking = true;
      try {
        verdict = condition({ ...caller }, null, null, null, { ...callee }, null, { value: 0 }, callbackData);
      } finally {
        listener.isAsking = false;
      }
    }
    // It may have closed the listener, which has turned everybody away.
    if (s.closed) return fail(WSAENOTSOCK);
    if (verdict === CF_DEFER) return fail(WSATRY_AGAIN);
    listener.remove(request);
    if (verdict !== CF_ACCEPT) {
      request.refuse(WSAECONNREFUSED);
      this.#announceNext(s);
      return fail(verdict === CF_REJECT ? WSAECONNREFUSED : WSAEINVAL);
    }
    const accepted = this.#newSocket(s.family, lpErrno);
    if (accepted === INVALID_SOCKET) {
      request.refuse(WSAENOBUFS);
      this.#announceNext(s);
      return INVALID_SOCKET;
    }
    if (!request.accept()) {
      this.#forget(accepted, lpErrno);
      this.#announceNext(s);
      return fail(WSAEACCES);
    }
    accepted.local = { ...callee };
    request.raw.removeAllListeners('data');
    accepted.connection = new Connection(accepted, request.raw, request.frames);
    request.raw.write(frame(ACCEPT));
    if (addr !== null) Object.assign(addr, caller);
    if (addrlen !== null) addrlen.value = SOCKADDR_SIZE;
    s.accepted();
    this.#announceNext(s);
    return accepted;
  }

  /** The event was reset, so whoever else waits has to be announced again. */
  #announceNext(s) {
    if (s.listener?.first) s.record(FD_ACCEPT, 0);
  }

  #close(socket, lpErrno) {
    // First of all: who is told of aborted operations may call again.
    socket.closed = true;
    this.#sockets.delete(socket);
    socket.connecting?.cancel();
    socket.listener?.close();
    socket.connection?.close();
    this.#forget(socket, lpErrno);
  }

  /** The last up-call for a socket. */
  #forget(socket, lpErrno) {
    socket.closed = true;
    this.#sockets.delete(socket);
    socket.memory.clear();
    this.#upcalls.WPUCloseSocketHandle(socket.handle, lpErrno);
  }

  #cleanup(lpErrno) {
    if (this.#starts === 0) {
      lpErrno.value = WSANOTINITIALISED;
      return SOCKET_ERROR;
    }
    if (--this.#starts > 0) return 0;
    for (const socket of [...this.#sockets]) {
      socket.silent = true;
      this.#close(socket, lpErrno);
    }
    return 0;
  }

  /** What is wrong with the buffers of a data call, 0 if nothing is. */
  #checkList(socket, list, max, isCovered) {
    if (socket.dataError !== 0) return socket.dataError;
    if (list.length < 1) return WSAEINVAL;
    if (!list.every(isCovered)) return WSAEFAULT;
    return sizeOf(list) > max ? WSAEMSGSIZE : 0;
  }

  /** A transfer that is done when it returns has been told by then. */
  #started(socket, isDone, overlapped, bytes) {
    if (!isDone) return WSA_IO_PENDING;
    socket.complete(overlapped, 0, bytes);
    return 0;
  }

  #table = {
    WSPSocket: (af, type, protocol, info, _group, flags, lpErrno) => {
      if (this.#starts === 0) lpErrno.value = WSANOTINITIALISED;
      else if (af !== AF_INET && af !== AF_INET6) lpErrno.value = WSAEAFNOSUPPORT;
      else if (type !== SOCK_STREAM) lpErrno.value = WSAESOCKTNOSUPPORT;
      else if (protocol !== IPPROTO_TCP) lpErrno.value = WSAEPROTONOSUPPORT;
      else if ((flags & WSA_FLAG_OVERLAPPED) === 0) lpErrno.value = WSAEINVAL;
      // A token of WSPDuplicateSocket, which we have given to nobody.
      else if (info !== null && info.dwProviderReserved !== 0) lpErrno.value = WSAEINVAL;
      else return this.#newSocket(af, lpErrno);
      return INVALID_SOCKET;
    },
    WSPBind: (s, name, _namelen, lpErrno) => this.#with(s, lpErrno, (socket) => this.#bind(socket, name)),
    WSPListen: (s, backlog, lpErrno) => this.#with(s, lpErrno, (socket) => this.#listen(socket, backlog)),
    WSPAccept: (s, addr, addrlen, condition, callbackData, lpErrno) => {
      if (this.#sockets.has(s)) return this.#accept(s, addr, addrlen, condition, callbackData, lpErrno);
      lpErrno.value = WSAENOTSOCK;
      return INVALID_SOCKET;
    },
    WSPConnect: (s, name, _namelen, callerData, _calleeData, sqos, _gqos, lpErrno) =>
      this.#with(s, lpErrno, (socket) => {
        if (callerData !== null) return WSAEPROTONOSUPPORT;
        return sqos !== null ? WSAEOPNOTSUPP : this.#connect(socket, name);
      }),
    WSPCloseSocket: (s, lpErrno) =>
      this.#with(s, lpErrno, (socket) => {
        this.#close(socket, lpErrno);
        return 0;
      }),
    WSPCleanup: (lpErrno) => this.#cleanup(lpErrno),
    WSPEventSelect: (s, event, mask, lpErrno) => this.#with(s, lpErrno, (socket) => socket.select(event, mask)),
    WSPEnumNetworkEvents: (s, event, events, lpErrno) =>
      this.#with(s, lpErrno, (socket) => socket.enumerate(event, events)),
    WSPRecv: (s, buffers, count, _received, _flags, overlapped, _routine, _thread, lpErrno) =>
      this.#with(s, lpErrno, (socket) => {
        const list = buffers.slice(0, count);
        const covered = (one) => socket.memory.covers(one, MEM_WRITE);
        const error = this.#checkList(socket, list, Number.POSITIVE_INFINITY, covered);
        if (error !== 0) return error;
        socket.connection.post(list, overlapped);
        return WSA_IO_PENDING;
      }),
    WSPSend: (s, buffers, count, sent, _flags, overlapped, _routine, _thread, lpErrno) =>
      this.#with(s, lpErrno, (socket) => {
        const list = buffers.slice(0, count);
        const error = this.#checkList(socket, list, MESSAGE_MAX, (one) => socket.memory.covers(one, MEM_READ));
        if (error !== 0) return error;
        if (sent !== null) sent.value = sizeOf(list);
        return this.#started(socket, socket.connection.send(list, overlapped), overlapped, sizeOf(list));
      }),
    WSPGetOverlappedResult: (s, overlapped, transferred, wait, flags, lpErrno) => {
      if (!this.#sockets.has(s)) lpErrno.value = WSAENOTSOCK;
      // Waiting would stop the event loop that has to complete it.
      else if (overlapped.Internal === WSS_OPERATION_IN_PROGRESS) lpErrno.value = wait ? WSAEINVAL : WSA_IO_INCOMPLETE;
      else {
        transferred.value = overlapped.InternalHigh;
        flags.value = overlapped.Offset;
        lpErrno.value = overlapped.OffsetHigh;
        return overlapped.OffsetHigh === 0;
      }
      return false;
    },
    WSPGetSockOpt: (s, level, name, value, length, lpErrno) =>
      this.#with(s, lpErrno, () => {
        const found = { [SO_MAX_MSG_SIZE]: MESSAGE_MAX, [SO_MAX_RDMA_SIZE]: WRITE_MAX }[name];
        if (level !== SOL_SOCKET || found === undefined) return WSAENOPROTOOPT;
        if (length.value < OPTION_SIZE) return WSAEFAULT;
        value.value = found;
        length.value = OPTION_SIZE;
        return 0;
      }),
    WSPSetSockOpt: (s, _level, _name, _value, _length, lpErrno) => this.#with(s, lpErrno, () => WSAENOPROTOOPT),
    WSPDuplicateSocket: (s, _processId, _info, lpErrno) => this.#with(s, lpErrno, () => WSAEOPNOTSUPP),
    WSPGetQOSByName: (s, _name, _qos, lpErrno) => this.#with(s, lpErrno, () => WSAEOPNOTSUPP) === 0,
    WSPIoctl: (s, code, input, _inputSize, output, outputSize, returned, _overlapped, _routine, _thread, lpErrno) => {
      // Whatever the socket: it may be none.
      if (code === SIO_GET_EXTENSION_FUNCTION_POINTER) return this.#extension(input, output, returned, lpErrno);
      return this.#with(s, lpErrno, () => {
        if (code !== SIO_ADDRESS_LIST_QUERY) return WSAEOPNOTSUPP;
        const Address = this.#addresses.map((address) => ({
          lpSockaddr: { sa_family: AF_INET, address, port: 0 },
          iSockaddrLength: SOCKADDR_SIZE,
        }));
        returned.value = 4 + Address.length * (16 + SOCKADDR_SIZE);
        if (outputSize < returned.value) return WSAEFAULT;
        output.value = { iAddressCount: Address.length, Address };
        return 0;
      });
    },
  };

  #extension(guid, output, returned, lpErrno) {
    const found = this.#extensions[guid];
    if (found !== undefined) {
      output.value = found;
      returned.value = POINTER_SIZE;
      return 0;
    }
    const optional = guid === WSPRdmaReadGuid || guid === WSPMemoryRegistrationCacheCallbackGuid;
    lpErrno.value = optional ? WSAEOPNOTSUPP : WSAEINVAL;
    return SOCKET_ERROR;
  }

  #extensions = {
    [WSPRegisterMemoryGuid]: (s, region, offset, length, flags, lpErrno) => {
      let handle = null;
      this.#with(s, lpErrno, ({ memory, dataError }) => {
        const made = dataError === 0 ? memory.register(region, offset, length, flags) : WSAENOTCONN;
        if (typeof made === 'number') return made;
        handle = made;
        return 0;
      });
      return handle;
    },
    [WSPDeregisterMemoryGuid]: (s, handle, lpErrno) =>
      this.#with(s, lpErrno, ({ memory, connection }) =>
        memory.deregister(handle, (one) => connection?.isInUse(one) ?? false),
      ),
    [WSPRegisterRdmaMemoryGuid]: (s, region, offset, length, flags, descriptor, size, lpErrno) =>
      this.#with(s, lpErrno, ({ memory, dataError }) => {
        if (dataError !== 0) return WSAENOTCONN;
        const tooShort = descriptor === null || size.value < DESCRIPTOR_SIZE;
        size.value = DESCRIPTOR_SIZE;
        return tooShort ? WSAEFAULT : memory.expose(region, offset, length, flags, descriptor);
      }),
    [WSPDeregisterRdmaMemoryGuid]: (s, descriptor, size, lpErrno) =>
      this.#with(s, lpErrno, ({ memory }) => (size === DESCRIPTOR_SIZE ? memory.withdraw(descriptor) : WSAEINVAL)),
    [WSPRdmaWriteGuid]: (s, buffers, count, descriptor, size, offset, _written, _flags, overlapped, _r, _t, lpErrno) =>
      this.#with(s, lpErrno, (socket) => {
        const list = buffers.slice(0, count);
        const error = this.#checkList(socket, list, WRITE_MAX, (one) => socket.memory.coversHandle(one, MEM_READ));
        if (error !== 0) return error;
        if (size !== DESCRIPTOR_SIZE) return WSAEFAULT;
        const isDone = socket.connection.write(list, descriptor, offset, overlapped);
        return this.#started(socket, isDone, overlapped, sizeOf(list));
      }),
  };
}
