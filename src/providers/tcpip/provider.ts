/**
 * The TCP/IP service provider: what the switch calls when it needs TCP/IP. Every function works on the program's own
 * handle with the native functions of Node.js, so nothing here can end up in the switch again.
 */

import { networkInterfaces } from 'node:os';
import type { Reason } from '../../diagnostics/reasons.js';
import {
  AF_INET,
  AF_INET6,
  CF_ACCEPT,
  CF_DEFER,
  CF_REJECT,
  type ConditionFunction,
  INVALID_SOCKET,
  type InvalidSocket,
  IPPROTO_TCP,
  type Out,
  type ProviderSocket,
  type QOS,
  SIO_ADDRESS_LIST_QUERY,
  SIO_GET_GROUP_QOS,
  SIO_GET_QOS,
  SO_GROUP_ID,
  SO_GROUP_PRIORITY,
  SO_KEEPALIVE,
  SOCK_STREAM,
  type SOCKADDR,
  type SOCKET_ADDRESS,
  type SOCKET_ADDRESS_LIST,
  SOCKET_ERROR,
  SOL_SOCKET,
  TCP_NODELAY,
  tcpipInfo,
  WSAEAFNOSUPPORT,
  WSAECONNREFUSED,
  WSAEFAULT,
  WSAEINVAL,
  WSAENETDOWN,
  WSAENOPROTOOPT,
  WSAENOTSOCK,
  WSAEOPNOTSUPP,
  WSAEPROTONOSUPPORT,
  WSAEPROTOTYPE,
  WSAESOCKTNOSUPPORT,
  WSAEWOULDBLOCK,
  type WSAPROTOCOL_INFO,
  WSATRY_AGAIN,
} from '../../spi/index.js';
import { AcceptQueue, type Arrival } from './accept-queue.js';
import { AddressList, type NotifyAddresses } from './address-list.js';
import { closeDescriptor, duplicateDescriptor, duplicateOf } from './descriptors.js';
import { toWsaError, UV_ECONNABORTED, UV_EINVAL } from './errno.js';
import { type KernelSocket, kernelSocket } from './kernel-socket.js';
import {
  connectRequestClass,
  type NativeAddress,
  type NativeConnectRequest,
  type NativeTcp,
  type NativeTcpConstructor,
  type NativeTcpFunctions,
  type NativeTcpHandle,
  nativeTcp,
  TCP_SOCKET,
} from './native.js';

/** A socket of the TCP/IP provider, which is the program's handle itself (WSD-SOC-2). */
export interface TcpipSocket extends ProviderSocket {
  readonly handle: NativeTcpHandle;
  /** Request of the program's connect. Null: the socket does not connect. */
  request: NativeConnectRequest | null;
  /** What the last native call returned: 0, or a negative errno of libuv. */
  status: number;
  /** Family of the descriptor, as the program's connect chose it: an IPv6 socket reaches IPv4 by mapped addresses. */
  family: number;
  /** An IPv6 socket that does not take IPv4 connections (`ipv6Only` of `server.listen`). */
  ipv6Only: boolean;
}

/** A socket that WSPSocket or WSPAccept has made: the descriptor of a Winsock program. */
export interface TcpipDescriptor extends TcpipSocket {
  /** What waits to be accepted, on a listening socket; net keeps its own. */
  queue: AcceptQueue<TcpipDescriptor> | null;
}

/** A connection that waits to be accepted. */
export type TcpipArrival = Arrival<TcpipDescriptor>;

/** The TCP/IP provider as the switch calls it. Functions are those of the SPI with its errors (WSD-ERR-1). */
export interface TcpipProvider {
  readonly protocolInfo: WSAPROTOCOL_INFO;
  /** The provider's socket for a handle of the program. The program has made the handle already (WSD-SOC-1). */
  adopt(handle: NativeTcpHandle): TcpipSocket;
  WSPBind(s: TcpipSocket, name: SOCKADDR, namelen: number, lpErrno: Out<number>): number;
  WSPListen(s: TcpipSocket, backlog: number, lpErrno: Out<number>): number;
  /**
   * Starts connecting; the result goes to `s.request.oncomplete`, which belongs to the program. SOCKET_ERROR with
   * WSAEWOULDBLOCK means started.
   */
  WSPConnect(
    s: TcpipSocket,
    name: SOCKADDR,
    namelen: number,
    lpCallerData: Uint8Array | null,
    lpCalleeData: Uint8Array | null,
    lpSQOS: QOS | null,
    lpGQOS: QOS | null,
    lpErrno: Out<number>,
  ): number;
  /** Local address, or null while the socket has none. */
  WSPGetSockName(s: TcpipSocket): SOCKADDR | null;
  WSPCloseSocket(s: TcpipSocket, lpErrno: Out<number>): number;
  /** Nothing is kept for the process, so this always succeeds. */
  WSPCleanup(lpErrno: Out<number>): number;
  /** True for an address of this host's interfaces. */
  isOwnAddress(address: string): boolean;
  /** Another number once the addresses of this host have changed. While nobody watches, a change may show a second late. */
  addressListVersion(): number;
  /**
   * SIO_ADDRESS_LIST_CHANGE (WSD-TBL-6): `changed` is called after each change, until what is returned is called. Null where
   * changes can only be looked for.
   */
  watchAddressList(changed: () => void): (() => void) | null;
}

/** The whole of TCP/IP, for programs that have no sockets of net: what the Winsock face stands on. */
export interface TcpipServiceProvider extends TcpipProvider {
  /** Why changes of addresses can only be looked for; null: they are told, or nobody has wanted to know. */
  readonly unwatched: Reason | null;
  /**
   * A socket for a caller that has no handle yet. INVALID_SOCKET with WSAEAFNOSUPPORT, WSAESOCKTNOSUPPORT,
   * WSAEPROTOTYPE, WSAEPROTONOSUPPORT, or WSAENETDOWN where Node.js keeps its native classes to itself.
   */
  WSPSocket(af: number, type: number, protocol: number, lpErrno: Out<number>): TcpipDescriptor | InvalidSocket;
  /**
   * The first connection that waits on `s`, of whichever network (WSD-ACC-1). INVALID_SOCKET with WSAEWOULDBLOCK (none),
   * WSAECONNREFUSED (CF_REJECT; it is reset), WSATRY_AGAIN (CF_DEFER; it stays first), WSAEINVAL (not listening, or a
   * verdict that is none; it is reset).
   */
  WSPAccept(
    s: TcpipDescriptor,
    lpfnCondition: ConditionFunction | null,
    dwCallbackData: unknown,
    lpErrno: Out<number>,
  ): TcpipArrival | InvalidSocket;
  /**
   * A descriptor of the kernel's for the socket of `s`, to be passed to another process, or null where that cannot be done.
   * The caller closes it with `closeKernelDescriptor`.
   */
  kernelDescriptor(s: TcpipDescriptor): number | null;
  /** A socket over such a descriptor, which stays the caller's; null where that cannot be done. */
  fromKernelDescriptor(descriptor: number, family: number): TcpipDescriptor | null;
  closeKernelDescriptor(descriptor: number): void;
  /** Puts a connection, over such a descriptor, where those wait that have come to this listening socket. False: it cannot be done. */
  addArrival(s: TcpipDescriptor, descriptor: number): boolean;
  /** Before WSPConnect, on a socket of WSPSocket: who is told of its outcome. */
  expectConnect(s: TcpipDescriptor, completed: (wsaError: number) => void): void;
  /** Address of the peer, or null while the socket has none. */
  WSPGetPeerName(s: TcpipDescriptor): SOCKADDR | null;
  /** The kernel's socket of an established connection, or null where it is out of reach. */
  kernelSocket(s: TcpipDescriptor): KernelSocket | null;
  /**
   * TCP_NODELAY and SO_KEEPALIVE, 0 or 1; where the kernel's socket is in reach also SO_SNDBUF, SO_RCVBUF, TCP_KEEPIDLE,
   * TCP_KEEPINTVL, TCP_KEEPCNT. WSAENOPROTOOPT for others.
   */
  WSPSetSockOpt(s: TcpipDescriptor, level: number, optname: number, optval: number, lpErrno: Out<number>): number;
  /** SO_GROUP_ID and SO_GROUP_PRIORITY, which are 0: there is no quality of service (WSD-OPT-8). WSAENOPROTOOPT for others. */
  WSPGetSockOpt(s: TcpipDescriptor, level: number, optname: number, optval: Out<number>, lpErrno: Out<number>): number;
  /** SIO_GET_QOS and SIO_GET_GROUP_QOS: nothing specified. SIO_ADDRESS_LIST_QUERY: the addresses of the family of `s` that the host has been given, loopback not among them. */
  WSPIoctl(s: TcpipDescriptor, dwIoControlCode: number, lpvOutBuffer: Out<unknown>, lpErrno: Out<number>): number;
}

/** `constants.UV_TCP_IPV6ONLY` of the native binding. */
const ipv6OnlyFlag = 1;
/** Seconds until the first probe of SO_KEEPALIVE, as on Windows. */
const keepAliveDelay = 7200;
const IPPROTO_UDP = 17;

class Provider implements TcpipServiceProvider {
  readonly protocolInfo = tcpipInfo;
  readonly #TCP: NativeTcpConstructor;
  readonly #native: NativeTcpFunctions;
  readonly #addressList: AddressList;
  #requests: (new () => NativeConnectRequest) | null = null;

  constructor({ TCP, original }: NativeTcp, addressList: AddressList) {
    this.#TCP = TCP;
    this.#native = original;
    this.#addressList = addressList;
  }

  adopt(handle: NativeTcpHandle): TcpipSocket {
    return { spi: 'ProviderSocket', handle, request: null, status: 0, family: AF_INET, ipv6Only: false };
  }

  WSPSocket(af: number, type: number, protocol: number, lpErrno: Out<number>): TcpipDescriptor | InvalidSocket {
    this.#requests ??= connectRequestClass();
    lpErrno.value = this.#requests === null ? WSAENETDOWN : socketError(af, type, protocol);
    if (lpErrno.value !== 0) return INVALID_SOCKET;
    const s = this.#own(new this.#TCP(TCP_SOCKET), af);
    // As on Windows, where IPV6_V6ONLY is on unless somebody turns it off.
    s.ipv6Only = af === AF_INET6;
    return s;
  }

  #own(handle: NativeTcpHandle, family: number): TcpipDescriptor {
    const s: TcpipDescriptor = { ...this.adopt(handle), family, queue: null };
    // A descriptor alone keeps no process running; who waits for it does.
    handle.unref();
    return s;
  }

  WSPAccept(
    s: TcpipDescriptor,
    lpfnCondition: ConditionFunction | null,
    dwCallbackData: unknown,
    lpErrno: Out<number>,
  ): TcpipArrival | InvalidSocket {
    const fail = (error: number): InvalidSocket => {
      lpErrno.value = error;
      return INVALID_SOCKET;
    };
    const { queue } = s;
    if (queue === null) return fail(WSAEINVAL);
    const arrival = queue.first;
    if (arrival === null) return fail(WSAEWOULDBLOCK);
    const { peer, local } = arrival;
    const verdict =
      lpfnCondition === null
        ? CF_ACCEPT
        : lpfnCondition({ ...peer }, null, null, null, { ...local }, null, { value: 0 }, dwCallbackData);
    if (verdict === CF_DEFER) return fail(WSATRY_AGAIN);
    // The condition function may have closed the socket, which has refused everything.
    if (queue.remove(arrival.socket) === null) return fail(WSAENOTSOCK);
    lpErrno.value = 0;
    if (verdict === CF_ACCEPT) return arrival;
    arrival.refuse();
    return fail(verdict === CF_REJECT ? WSAECONNREFUSED : WSAEINVAL);
  }

  /** libuv has accepted a connection: it waits, or is reset if there is no room. */
  #arrived(queue: AcceptQueue<TcpipDescriptor>, family: number, status: number, handle: object): void {
    if (status !== 0) return;
    this.#admit(queue, this.#own(handle as NativeTcpHandle, family), queue.length < queue.room);
  }

  #admit(queue: AcceptQueue<TcpipDescriptor>, socket: TcpipDescriptor, hasRoom: boolean): void {
    const refuse = (): void => {
      socket.handle.reset();
    };
    const local = this.WSPGetSockName(socket);
    const peer = this.WSPGetPeerName(socket);
    // Without a name the peer has gone already.
    if (local === null || peer === null || !hasRoom) refuse();
    else queue.add({ socket, local, peer, refuse });
  }

  WSPBind(s: TcpipSocket, name: SOCKADDR, _namelen: number, lpErrno: Out<number>): number {
    s.status =
      s.family === AF_INET6
        ? this.#native.bind6.call(s.handle, forFamily(name, AF_INET6), name.port, s.ipv6Only ? ipv6OnlyFlag : 0)
        : this.#native.bind.call(s.handle, name.address, name.port);
    // libuv keeps an address in use to itself until somebody asks; Winsock tells at once.
    if (s.status === 0) s.status = this.#native.getsockname.call(s.handle, {});
    return finish(s, lpErrno);
  }

  WSPListen(s: TcpipSocket, backlog: number, lpErrno: Out<number>): number {
    if (isDescriptor(s) && s.queue === null) {
      const queue = new AcceptQueue<TcpipDescriptor>(Math.max(1, backlog));
      s.queue = queue;
      s.handle.onconnection = (status, client) => this.#arrived(queue, s.family, status, client);
    }
    s.status = this.#native.listen.call(s.handle, backlog);
    return finish(s, lpErrno);
  }

  #connect(s: TcpipSocket, request: NativeConnectRequest, name: SOCKADDR): number {
    const wide = s.family === AF_INET6 || name.sa_family === AF_INET6;
    return wide
      ? this.#native.connect6.call(s.handle, request, forFamily(name, AF_INET6), name.port)
      : this.#native.connect.call(s.handle, request, name.address, name.port);
  }

  WSPConnect(
    s: TcpipSocket,
    name: SOCKADDR,
    _namelen: number,
    lpCallerData: Uint8Array | null,
    lpCalleeData: Uint8Array | null,
    lpSQOS: QOS | null,
    lpGQOS: QOS | null,
    lpErrno: Out<number>,
  ): number {
    if (lpCallerData !== null || lpCalleeData !== null || lpSQOS !== null || lpGQOS !== null) {
      lpErrno.value = WSAEOPNOTSUPP;
      return SOCKET_ERROR;
    }
    if (s.request === null) {
      s.status = UV_EINVAL;
      lpErrno.value = WSAEFAULT;
      return SOCKET_ERROR;
    }
    s.status = this.#connect(s, s.request, name);
    // Linux says so once if an earlier connect of the descriptor has failed.
    if (s.status === UV_ECONNABORTED) s.status = this.#connect(s, s.request, name);
    lpErrno.value = s.status === 0 ? WSAEWOULDBLOCK : toWsaError(s.status);
    return SOCKET_ERROR;
  }

  expectConnect(s: TcpipDescriptor, completed: (wsaError: number) => void): void {
    // A request of Node's serves one connect only.
    s.request = new this.#requests!();
    s.request.oncomplete = (status) => completed(toWsaError(status));
  }

  WSPGetSockName(s: TcpipSocket): SOCKADDR | null {
    const out: NativeAddress = {};
    s.status = this.#native.getsockname.call(s.handle, out);
    if (s.status !== 0 || out.address === undefined || out.port === undefined) return null;
    return { sa_family: out.family === 'IPv6' ? AF_INET6 : AF_INET, address: out.address, port: out.port };
  }

  WSPGetPeerName(s: TcpipSocket): SOCKADDR | null {
    const out: NativeAddress = {};
    s.status = this.#native.getpeername.call(s.handle, out);
    if (s.status !== 0 || out.address === undefined || out.port === undefined) return null;
    return { sa_family: out.family === 'IPv6' ? AF_INET6 : AF_INET, address: out.address, port: out.port };
  }

  kernelSocket(s: TcpipDescriptor): KernelSocket | null {
    return kernelSocket(s.handle);
  }

  kernelDescriptor(s: TcpipDescriptor): number | null {
    return duplicateOf(s.handle);
  }

  fromKernelDescriptor(descriptor: number, family: number): TcpipDescriptor | null {
    const own = duplicateDescriptor(descriptor);
    if (own === null) return null;
    const handle = new this.#TCP(TCP_SOCKET);
    if (handle.open?.(own) !== 0) {
      closeDescriptor(own);
      return null;
    }
    return this.#own(handle, family);
  }

  addArrival(s: TcpipDescriptor, descriptor: number): boolean {
    const { queue } = s;
    const socket = queue && this.fromKernelDescriptor(descriptor, s.family);
    if (queue === null || socket === null) return false;
    // It has had its place where it arrived.
    this.#admit(queue, socket, true);
    return true;
  }

  closeKernelDescriptor(descriptor: number): void {
    closeDescriptor(descriptor);
  }

  WSPSetSockOpt(s: TcpipSocket, level: number, optname: number, optval: number, lpErrno: Out<number>): number {
    if (level === IPPROTO_TCP && optname === TCP_NODELAY) s.status = s.handle.setNoDelay(optval !== 0);
    else if (level === SOL_SOCKET && optname === SO_KEEPALIVE) {
      s.status = s.handle.setKeepAlive(optval !== 0, keepAliveDelay);
    } else {
      const status = kernelSocket(s.handle)?.setOption(level, optname, optval) ?? null;
      if (status === null) {
        lpErrno.value = WSAENOPROTOOPT;
        return SOCKET_ERROR;
      }
      s.status = status;
    }
    return finish(s, lpErrno);
  }

  WSPGetSockOpt(_s: TcpipSocket, level: number, optname: number, optval: Out<number>, lpErrno: Out<number>): number {
    if (level !== SOL_SOCKET || (optname !== SO_GROUP_ID && optname !== SO_GROUP_PRIORITY)) {
      lpErrno.value = WSAENOPROTOOPT;
      return SOCKET_ERROR;
    }
    optval.value = 0;
    lpErrno.value = 0;
    return 0;
  }

  WSPIoctl(s: TcpipSocket, dwIoControlCode: number, lpvOutBuffer: Out<unknown>, lpErrno: Out<number>): number {
    if (dwIoControlCode === SIO_GET_QOS || dwIoControlCode === SIO_GET_GROUP_QOS) {
      lpvOutBuffer.value = unspecifiedQos();
      lpErrno.value = 0;
      return 0;
    }
    if (dwIoControlCode !== SIO_ADDRESS_LIST_QUERY) {
      lpErrno.value = WSAEOPNOTSUPP;
      return SOCKET_ERROR;
    }
    const Address = ownAddresses(s.family);
    lpvOutBuffer.value = { iAddressCount: Address.length, Address } satisfies SOCKET_ADDRESS_LIST;
    lpErrno.value = 0;
    return 0;
  }

  WSPCloseSocket(s: TcpipSocket, lpErrno: Out<number>): number {
    if (isDescriptor(s)) s.queue?.close();
    this.#native.close.call(s.handle);
    s.status = 0;
    lpErrno.value = 0;
    return 0;
  }

  WSPCleanup(lpErrno: Out<number>): number {
    lpErrno.value = 0;
    return 0;
  }

  isOwnAddress(address: string): boolean {
    return this.#addressList.addresses.has(address);
  }

  addressListVersion(): number {
    return this.#addressList.version;
  }

  get unwatched(): Reason | null {
    return this.#addressList.unwatched;
  }

  watchAddressList(changed: () => void): (() => void) | null {
    return this.#addressList.watch(changed);
  }
}

function isDescriptor(s: TcpipSocket): s is TcpipDescriptor {
  return 'queue' in s;
}

function finish(s: TcpipSocket, lpErrno: Out<number>): number {
  lpErrno.value = toWsaError(s.status);
  return s.status === 0 ? 0 : SOCKET_ERROR;
}

/** Why there is no such socket here; 0 if there is. Datagram and raw sockets are those of node:dgram and nobody's. */
function socketError(af: number, type: number, protocol: number): number {
  if (af !== AF_INET && af !== AF_INET6) return WSAEAFNOSUPPORT;
  if (type !== SOCK_STREAM) return WSAESOCKTNOSUPPORT;
  if (protocol === IPPROTO_TCP || protocol === 0) return 0;
  return protocol === IPPROTO_UDP ? WSAEPROTOTYPE : WSAEPROTONOSUPPORT;
}

function ownAddresses(sa_family: number): SOCKET_ADDRESS[] {
  const wanted = sa_family === AF_INET6 ? 'IPv6' : 'IPv4';
  const entries = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return entries
    .filter(({ family, internal }) => family === wanted && !internal)
    .map(({ address }) => ({
      lpSockaddr: { sa_family, address, port: 0 },
      iSockaddrLength: sa_family === AF_INET6 ? 28 : 16,
    }));
}

/** QOS_NOT_SPECIFIED. */
const notSpecified = 0xffffffff;

function unspecifiedQos(): QOS {
  const flow = {
    TokenRate: notSpecified,
    TokenBucketSize: notSpecified,
    PeakBandwidth: notSpecified,
    Latency: notSpecified,
    DelayVariation: notSpecified,
    ServiceType: 0,
    MaxSduSize: notSpecified,
    MinimumPolicedSize: notSpecified,
  };
  return { SendingFlowspec: flow, ReceivingFlowspec: { ...flow }, ProviderSpecific: null };
}

function forFamily(name: SOCKADDR, family: number): string {
  return family === AF_INET6 && name.sa_family === AF_INET ? `::ffff:${name.address}` : name.address;
}

/** The TCP/IP provider. `now`: milliseconds, monotonic; `notify`: see {@link AddressList}. Throws where the runtime has no native TCP handle: `nativeTcp()` tells before. */
export function createTcpipProvider(now = () => performance.now(), notify?: NotifyAddresses): TcpipServiceProvider {
  const native = nativeTcp();
  if (native === null) throw new Error('The native TCP handle of Node.js is not available');
  return new Provider(native, new AddressList(now, notify));
}
