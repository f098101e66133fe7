/**
 * The TCP/IP service provider: what the switch calls when it needs TCP/IP. Every function works on the program's own
 * handle with the native functions of Node.js, so nothing here can end up in the switch again.
 */

import {
  AF_INET,
  AF_INET6,
  BASE_PROTOCOL,
  BIGENDIAN,
  IPPROTO_TCP,
  type Out,
  type ProviderSocket,
  type QOS,
  SECURITY_PROTOCOL_NONE,
  SOCK_STREAM,
  type SOCKADDR,
  SOCKET_ERROR,
  WINSOCK_VERSION,
  WSAEFAULT,
  WSAEOPNOTSUPP,
  WSAEWOULDBLOCK,
  type WSAPROTOCOL_INFO,
  XP1_EXPEDITED_DATA,
  XP1_GRACEFUL_CLOSE,
  XP1_GUARANTEED_DELIVERY,
  XP1_GUARANTEED_ORDER,
  XP1_IFS_HANDLES,
} from '../../spi/index.js';
import { AddressList } from './address-list.js';
import { toWsaError, UV_EINVAL } from './errno.js';
import {
  type NativeAddress,
  type NativeConnectRequest,
  type NativeTcpFunctions,
  type NativeTcpHandle,
  nativeTcp,
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
  /** A listening IPv6 socket that does not take IPv4 connections (`ipv6Only` of `server.listen`). */
  ipv6Only: boolean;
}

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
  /**
   * Another number once the addresses of this host have changed: what SIO_ADDRESS_LIST_CHANGE tells (WSD-TBL-6). A change
   * may show a second late.
   */
  addressListVersion(): number;
}

/** Catalog entry of Windows' own TCP/IP provider, which the documents' switch hands to SAN providers (WSD-INI-3). */
const protocolInfo: WSAPROTOCOL_INFO = Object.freeze({
  dwServiceFlags1:
    XP1_GUARANTEED_DELIVERY | XP1_GUARANTEED_ORDER | XP1_GRACEFUL_CLOSE | XP1_EXPEDITED_DATA | XP1_IFS_HANDLES,
  dwProviderFlags: 0,
  ProviderId: 'E70F1AA0-AB8B-11CF-8CA3-00805F48A192',
  dwCatalogEntryId: 1001,
  ProtocolChain: Object.freeze({ ChainLen: BASE_PROTOCOL }),
  iVersion: WINSOCK_VERSION,
  iAddressFamily: AF_INET,
  iMaxSockAddr: 16,
  iMinSockAddr: 16,
  iSocketType: SOCK_STREAM,
  iProtocol: IPPROTO_TCP,
  iProtocolMaxOffset: 0,
  iNetworkByteOrder: BIGENDIAN,
  iSecurityScheme: SECURITY_PROTOCOL_NONE,
  dwMessageSize: 0,
  dwProviderReserved: 0,
  szProtocol: 'TCP/IP',
});

class Provider implements TcpipProvider {
  readonly protocolInfo = protocolInfo;
  readonly #native: NativeTcpFunctions;
  readonly #addressList: AddressList;

  constructor(native: NativeTcpFunctions, now: () => number) {
    this.#native = native;
    this.#addressList = new AddressList(now);
  }

  adopt(handle: NativeTcpHandle): TcpipSocket {
    return { spi: 'ProviderSocket', handle, request: null, status: 0, family: AF_INET, ipv6Only: false };
  }

  WSPBind(s: TcpipSocket, name: SOCKADDR, _namelen: number, lpErrno: Out<number>): number {
    s.status =
      s.family === AF_INET6
        ? this.#native.bind6.call(s.handle, forFamily(name, AF_INET6), name.port, 0)
        : this.#native.bind.call(s.handle, name.address, name.port);
    return finish(s, lpErrno);
  }

  WSPListen(s: TcpipSocket, backlog: number, lpErrno: Out<number>): number {
    s.status = this.#native.listen.call(s.handle, backlog);
    return finish(s, lpErrno);
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
    const wide = s.family === AF_INET6 || name.sa_family === AF_INET6;
    s.status = wide
      ? this.#native.connect6.call(s.handle, s.request, forFamily(name, AF_INET6), name.port)
      : this.#native.connect.call(s.handle, s.request, name.address, name.port);
    lpErrno.value = s.status === 0 ? WSAEWOULDBLOCK : toWsaError(s.status);
    return SOCKET_ERROR;
  }

  WSPGetSockName(s: TcpipSocket): SOCKADDR | null {
    const out: NativeAddress = {};
    s.status = this.#native.getsockname.call(s.handle, out);
    if (s.status !== 0 || out.address === undefined || out.port === undefined) return null;
    return { sa_family: out.family === 'IPv6' ? AF_INET6 : AF_INET, address: out.address, port: out.port };
  }

  WSPCloseSocket(s: TcpipSocket, lpErrno: Out<number>): number {
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
}

function finish(s: TcpipSocket, lpErrno: Out<number>): number {
  lpErrno.value = toWsaError(s.status);
  return s.status === 0 ? 0 : SOCKET_ERROR;
}

function forFamily(name: SOCKADDR, family: number): string {
  return family === AF_INET6 && name.sa_family === AF_INET ? `::ffff:${name.address}` : name.address;
}

/** The TCP/IP provider. `now`: milliseconds, monotonic. Throws where the runtime has no native TCP handle: `nativeTcp()` tells before. */
export function createTcpipProvider(now = () => performance.now()): TcpipProvider {
  const native = nativeTcp();
  if (native === null) throw new Error('The native TCP handle of Node.js is not available');
  return new Provider(native.original, now);
}
