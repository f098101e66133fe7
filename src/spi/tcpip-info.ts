/** What a switch shows of TCP/IP when it starts a provider (WSD-INI-3): the catalog entry of Windows' own. */

import {
  AF_INET,
  BASE_PROTOCOL,
  BIGENDIAN,
  IPPROTO_TCP,
  SECURITY_PROTOCOL_NONE,
  SOCK_STREAM,
  WINSOCK_VERSION,
  XP1_EXPEDITED_DATA,
  XP1_GRACEFUL_CLOSE,
  XP1_GUARANTEED_DELIVERY,
  XP1_GUARANTEED_ORDER,
  XP1_IFS_HANDLES,
} from './constants.js';
import type { WSAPROTOCOL_INFO } from './structures.js';

export const tcpipInfo: WSAPROTOCOL_INFO = Object.freeze({
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
