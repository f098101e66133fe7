/**
 * Constants of the Windows Sockets Direct service provider interface, with their Winsock values.
 *
 * Source: `winsock2.h` and `ws2san.h`, as listed in section 24 of the digest.
 */

export const AF_INET = 2;
/** Winsock's value. IPv6 on a SAN is an extension of ours: WSD-SOC-21 knows sockaddr_in only. */
export const AF_INET6 = 23;
export const SOCK_STREAM = 1;
export const IPPROTO_TCP = 6;
export const SOL_SOCKET = 0xffff;

export const INVALID_SOCKET = -1;
export type InvalidSocket = typeof INVALID_SOCKET;
export const SOCKET_ERROR = -1;

export const WSA_FLAG_OVERLAPPED = 0x01;
export const SOMAXCONN = 0x7fffffff;

/** Network events. A SAN provider is asked for FD_ACCEPT and FD_CONNECT only (WSD-EVT-2). */
export const FD_READ = 0x01;
export const FD_WRITE = 0x02;
export const FD_OOB = 0x04;
export const FD_ACCEPT = 0x08;
export const FD_CONNECT = 0x10;
export const FD_CLOSE = 0x20;
/** Index of an event's error in `WSANETWORKEVENTS.iErrorCode` (WSD-EVT-5). */
export const FD_ACCEPT_BIT = 3;
export const FD_CONNECT_BIT = 4;
export const FD_CLOSE_BIT = 5;
export const FD_MAX_EVENTS = 10;

/** Verdicts of a condition function (WSD-ACC-9, WSD-ACC-10). */
export const CF_ACCEPT = 0;
export const CF_REJECT = 1;
export const CF_DEFER = 2;

/** Access of a memory registration (WSD-MEM-14). */
export const MEM_READ = 1;
export const MEM_WRITE = 2;
export const MEM_READWRITE = 3;

/** `WSAOVERLAPPED.Internal` while an operation runs (WSD-OVL-13). */
export const WSS_OPERATION_IN_PROGRESS = 0x103;
/** Bit 0 of `WSAOVERLAPPED.hEvent`: the switch polls, the provider must not notify (WSD-OVL-7, WSD-OVL-8). */
export const OVERLAPPED_POLL = 1;

export const MSG_OOB = 0x1;
export const MSG_PEEK = 0x2;
export const MSG_WAITALL = 0x8;
export const MSG_PARTIAL = 0x8000;

export const SD_RECEIVE = 0;
export const SD_SEND = 1;
export const SD_BOTH = 2;

export const PFL_HIDDEN = 0x4;
export const XP1_CONNECTIONLESS = 0x1;
export const XP1_GUARANTEED_DELIVERY = 0x2;
export const XP1_GUARANTEED_ORDER = 0x4;
export const XP1_MESSAGE_ORIENTED = 0x8;
export const XP1_PSEUDO_STREAM = 0x10;
export const XP1_GRACEFUL_CLOSE = 0x20;
export const XP1_EXPEDITED_DATA = 0x40;
export const XP1_QOS_SUPPORTED = 0x2000;
export const XP1_IFS_HANDLES = 0x20000;
export const XP1_PARTIAL_MESSAGE = 0x40000;
export const BIGENDIAN = 0;
export const SECURITY_PROTOCOL_NONE = 0;
export const BASE_PROTOCOL = 1;

/** Socket options that can reach a provider (section 16 of the digest). */
export const SO_DEBUG = 0x0001;
export const SO_REUSEADDR = 0x0004;
export const SO_KEEPALIVE = 0x0008;
export const SO_LINGER = 0x0080;
export const SO_OOBINLINE = 0x0100;
export const SO_SNDBUF = 0x1001;
export const SO_RCVBUF = 0x1002;
export const SO_ERROR = 0x1007;
export const SO_TYPE = 0x1008;
export const SO_GROUP_ID = 0x2001;
export const SO_GROUP_PRIORITY = 0x2002;
export const SO_MAX_MSG_SIZE = 0x2003;
export const SO_MAX_RDMA_SIZE = 0x700d;
export const SO_RDMA_THRESHOLD_SIZE = 0x700e;
export const TCP_NODELAY = 0x0001;

export const SIO_GET_EXTENSION_FUNCTION_POINTER = 0xc8000006;
export const SIO_GET_QOS = 0xc8000007;
export const SIO_GET_GROUP_QOS = 0xc8000008;
export const SIO_SET_QOS = 0x8800000b;
export const SIO_SET_GROUP_QOS = 0x8800000c;
export const SIO_ADDRESS_LIST_QUERY = 0x48000016;
export const SIO_ADDRESS_LIST_CHANGE = 0x28000017;

/** Winsock version 2.2, minor version in the high byte (WSD-INI-8). */
export const WINSOCK_VERSION = 0x0202;

/** Largest session negotiation message in bytes (WSD-NEG-6, WSD-LIM-1). */
export const MAX_NEGOTIATION_MESSAGE_SIZE = 256;
