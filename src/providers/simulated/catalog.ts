/** The entry of this provider in the catalog, and how it knows the switch. */

import {
  AF_INET,
  BASE_PROTOCOL,
  BIGENDIAN,
  IPPROTO_TCP,
  PFL_HIDDEN,
  SECURITY_PROTOCOL_NONE,
  SOCK_STREAM,
  type WSAPROTOCOL_INFO,
  XP1_GRACEFUL_CLOSE,
  XP1_GUARANTEED_DELIVERY,
  XP1_GUARANTEED_ORDER,
  XP1_MESSAGE_ORIENTED,
} from '../../spi/index.js';

/** With the largest message in bytes. */
export function catalogEntry(messageSizeMax: number): WSAPROTOCOL_INFO {
  return {
    dwServiceFlags1: XP1_GUARANTEED_DELIVERY | XP1_GUARANTEED_ORDER | XP1_MESSAGE_ORIENTED | XP1_GRACEFUL_CLOSE,
    dwProviderFlags: PFL_HIDDEN,
    ProviderId: '4E0B8D21-6C57-4A93-B1E8-52D7F3096A1C',
    dwCatalogEntryId: 1004,
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
    dwMessageSize: messageSizeMax,
    dwProviderReserved: 0,
    szProtocol: 'Sockets Direct simulated',
  };
}

/** What only the switch shows: the visible byte-stream provider of TCP/IP (WSD-INI-3, WSD-INI-4). */
export function isTcpip(info: WSAPROTOCOL_INFO): boolean {
  return (
    info.iProtocol === IPPROTO_TCP &&
    info.iSocketType === SOCK_STREAM &&
    (info.dwProviderFlags & PFL_HIDDEN) === 0 &&
    (info.dwServiceFlags1 & XP1_MESSAGE_ORIENTED) === 0
  );
}
