/** Constants of `winsock2.h` and `mswsock.h` that programs need and no provider does. */

export const AF_UNSPEC = 0;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
export const IPPROTO_UDP = 17;

export const SO_ACCEPTCONN = 0x0002;
/** `~SO_LINGER`, as an unsigned number. */
export const SO_DONTLINGER = 0xffffff7f;
/** `~SO_REUSEADDR`, as an unsigned number. */
export const SO_EXCLUSIVEADDRUSE = 0xfffffffb;
/** Milliseconds after which a blocking send or receive fails with WSAETIMEDOUT; 0 is never. */
export const SO_SNDTIMEO = 0x1005;
export const SO_RCVTIMEO = 0x1006;
export const SO_PROTOCOL_INFO = 0x2005;
export const SO_CONDITIONAL_ACCEPT = 0x3002;
export const SO_UPDATE_ACCEPT_CONTEXT = 0x700b;
export const SO_CONNECT_TIME = 0x700c;
export const SO_UPDATE_CONNECT_CONTEXT = 0x7010;
/** What SO_CONNECT_TIME tells of a socket that is not connected. */
export const NOT_CONNECTED = 0xffffffff;

export const FIONBIO = 0x8004667e;
export const FIONREAD = 0x4004667f;
export const SIOCATMARK = 0x40047307;
export const SIO_KEEPALIVE_VALS = 0x98000004;

/** Seconds until the first probe of SO_KEEPALIVE, seconds between probes, and how many. */
export const TCP_KEEPIDLE = 3;
export const TCP_KEEPALIVE = 3;
export const TCP_KEEPCNT = 16;
export const TCP_KEEPINTVL = 17;

export const MSG_DONTROUTE = 0x4;
export const MSG_PUSH_IMMEDIATE = 0x20;

export const FD_READ_BIT = 0;
export const FD_WRITE_BIT = 1;
export const FD_OOB_BIT = 2;
export const FD_ADDRESS_LIST_CHANGE_BIT = 9;
export const FD_ADDRESS_LIST_CHANGE = 0x200;

/** Results of WSAWaitForMultipleEvents. */
export const WSA_WAIT_EVENT_0 = 0;
export const WSA_WAIT_TIMEOUT = 258;
export const WSA_INFINITE = 0xffffffff;
export const WSA_MAXIMUM_WAIT_EVENTS = 64;

/** Events of WSAPoll. */
export const POLLERR = 0x1;
export const POLLHUP = 0x2;
export const POLLNVAL = 0x4;
export const POLLWRNORM = 0x10;
export const POLLOUT = 0x10;
export const POLLRDNORM = 0x100;
export const POLLRDBAND = 0x200;
export const POLLIN = 0x300;

/** Flags of TransmitFile and DisconnectEx. */
export const TF_DISCONNECT = 0x1;
export const TF_REUSE_SOCKET = 0x2;
export const TF_WRITE_BEHIND = 0x4;

/** What SIO_GET_EXTENSION_FUNCTION_POINTER gives functions for. */
export const WSAID_ACCEPTEX = 'B5367DF1-CBAC-11CF-95CA-00805F48A192';
export const WSAID_GETACCEPTEXSOCKADDRS = 'B5367DF2-CBAC-11CF-95CA-00805F48A192';
export const WSAID_TRANSMITFILE = 'B5367DF0-CBAC-11CF-95CA-00805F48A192';
export const WSAID_CONNECTEX = '25A207B9-DDF3-4660-8EE9-76E58C74063E';
export const WSAID_DISCONNECTEX = '7FDA2E11-8630-436F-A031-F536A6EEC157';

/** For the family, type and protocol of WSASocket: those of its protocol info. */
export const FROM_PROTOCOL_INFO = -1;
