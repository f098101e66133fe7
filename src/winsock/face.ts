/** The calls that need no socket yet, over one switch. */

import { WSA_FLAG_OVERLAPPED, WSAEINVAL, type WSAPROTOCOL_INFO } from '../spi/index.js';
import { receive } from './duplicate.js';
import { WSAError } from './error.js';
import type { Host } from './host.js';
import { type SOCKET, SocketRecord } from './socket.js';
import { Startup, type WSADATA } from './startup.js';

export interface Face {
  /** Each call wants a WSACleanup. `wVersionRequested` has the major number in its low byte; WSAVERNOTSUPPORTED below 2.0. */
  WSAStartup(wVersionRequested: number): WSADATA;
  /** The last one closes every socket abortively and cleans up the providers (WSD-CLS-21). */
  WSACleanup(): void;
  /** A socket for TCP over IPv4 or IPv6; others are WSAEAFNOSUPPORT, WSAESOCKTNOSUPPORT, WSAEPROTOTYPE, WSAEPROTONOSUPPORT. */
  socket(af: number, type: number, protocol: number): SOCKET;
  /**
   * The same. `lpProtocolInfo` is that of WSADuplicateSocket in another process, with FROM_PROTOCOL_INFO for the others, and
   * good for one call (WSAEINVAL); or that of SO_PROTOCOL_INFO or null. `g` is 0, `dwFlags` WSA_FLAG_OVERLAPPED or 0.
   */
  WSASocket(
    af: number,
    type: number,
    protocol: number,
    lpProtocolInfo?: WSAPROTOCOL_INFO | null,
    g?: number,
    dwFlags?: number,
  ): SOCKET;
}

/** A face of its own; `makeHost` is called once, at the first WSAStartup. */
export function createFace(makeHost: () => Host): Face {
  const startup = new Startup(makeHost);
  return {
    WSAStartup: (wVersionRequested) => startup.start(wVersionRequested),
    WSACleanup: () => startup.cleanup(),
    socket: (af, type, protocol) => SocketRecord.create(startup, 'socket', af, type, protocol),
    WSASocket: (af, type, protocol, lpProtocolInfo = null, g = 0, dwFlags = WSA_FLAG_OVERLAPPED) => {
      const host = startup.started('WSASocket');
      if (g !== 0 || (dwFlags & ~WSA_FLAG_OVERLAPPED) !== 0) throw new WSAError(WSAEINVAL, 'WSASocket');
      const token: unknown = lpProtocolInfo?.dwProviderReserved ?? 0;
      if (!Number.isInteger(token)) throw new WSAError(WSAEINVAL, 'WSASocket');
      if (token !== 0) return receive(startup, host, token as number);
      return SocketRecord.create(startup, 'WSASocket', af, type, protocol);
    },
  };
}
