/** Constants of `winsock2.h` and `mswsock.h` that programs need and no provider does. */

export const AF_UNSPEC = 0;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
export const IPPROTO_UDP = 17;

export const SO_ACCEPTCONN = 0x0002;
/** `~SO_LINGER`, as an unsigned number. */
export const SO_DONTLINGER = 0xffffff7f;
export const SO_PROTOCOL_INFO = 0x2005;
export const SO_CONDITIONAL_ACCEPT = 0x3002;
export const SO_UPDATE_ACCEPT_CONTEXT = 0x700b;
export const SO_CONNECT_TIME = 0x700c;
/** What SO_CONNECT_TIME tells of a socket that is not connected. */
export const NOT_CONNECTED = 0xffffffff;

export const FIONBIO = 0x8004667e;
export const FIONREAD = 0x4004667f;
