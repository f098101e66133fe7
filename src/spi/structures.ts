/**
 * Structures that cross the service provider interface.
 *
 * They keep their Winsock names and members. Pointers become references, and an address of memory becomes a pair of a
 * {@link MemoryRegion} and a byte offset: creating a view for each message would cost more than sending it.
 */

import { FD_MAX_EVENTS } from './constants.js';

/** An output argument. Callers on the data path keep one and use it again. */
export interface Out<T> {
  value: T;
}

/**
 * A contiguous range of memory. `words` covers the same memory as `bytes`, starts at the same address, and is there
 * because headers are read and written as whole 32-bit little-endian words.
 */
export interface MemoryRegion {
  readonly bytes: Uint8Array;
  readonly words: Int32Array;
}

/** `len` bytes at `offset` of `buf`. Offsets are multiples of 8. Used by WSPSend and WSPRecv (WSD-XFR-30). */
export interface WSABUF {
  len: number;
  buf: MemoryRegion;
  offset: number;
}

/** What WSPRegisterMemory returns: valid for the socket and process that registered (WSD-MEM-3, WSD-MEM-4). */
export interface MemoryHandle {
  readonly spi: 'MemoryHandle';
}

/** A {@link WSABUF} with its registration. Used by WSPRdmaRead and WSPRdmaWrite (WSD-XFR-30). */
export interface WSABUFEX extends WSABUF {
  handle: MemoryHandle;
}

/** The provider's own descriptor of a SAN socket, returned by WSPSocket and WSPAccept; the switch never looks inside. */
export interface ProviderSocket {
  readonly spi: 'ProviderSocket';
}

/** The switch's handle of a SAN socket, made by WPUCreateSocketHandle; providers never look inside (WSD-SOC-11). */
export interface SwitchHandle {
  readonly spi: 'SwitchHandle';
}

/** Bytes that name RDMA memory to the peer, in a form that only the provider knows (WSD-LIM-5). */
export type RdmaDescriptor = Uint8Array;

/**
 * One asynchronous operation. Pooled by the switch; never shared by two operations that run at the same time.
 * `Offset` (result flags) and `OffsetHigh` (error) belong to the provider (WSD-OVL-12).
 */
export class WSAOVERLAPPED {
  /** WSS_OPERATION_IN_PROGRESS while the operation runs, anything else afterwards (WSD-OVL-13, WSD-OVL-15). */
  Internal = 0;
  /** Bytes transferred; set before `Internal`. */
  InternalHigh = 0;
  Offset = 0;
  OffsetHigh = 0;
  /** Bit 0 set: poll mode. Clear: notify through WPUCompleteOverlappedRequest (WSD-OVL-7, WSD-OVL-9). */
  hEvent = 0;
}

/** An IP endpoint: sockaddr_in, or sockaddr_in6 by our extension. Always an IP family, never a SAN's own (WSD-COMP-10). */
export interface SOCKADDR {
  /** AF_INET or AF_INET6. */
  sa_family: number;
  /** Textual address without zone, as `net.isIP` accepts. */
  address: string;
  /** 0 to 65535, host byte order. */
  port: number;
  /** Our extension, for WSPBind to `::`: IPv4 is not wanted (IPV6_V6ONLY). */
  ipv6Only?: boolean;
}

/** One entry of a SOCKET_ADDRESS_LIST. */
export interface SOCKET_ADDRESS {
  lpSockaddr: SOCKADDR;
  /** Bytes of the sockaddr: 16 for AF_INET, 28 for AF_INET6. */
  iSockaddrLength: number;
  /** Our extension: bits of the subnet this address stands for. Absent: the host's interface table decides (WSD-TBL-9). */
  prefixLength?: number;
}

/** Answer to SIO_ADDRESS_LIST_QUERY (WSD-TBL-2). */
export interface SOCKET_ADDRESS_LIST {
  iAddressCount: number;
  Address: SOCKET_ADDRESS[];
}

/** Events since the previous WSPEnumNetworkEvents, with an error per event (WSD-EVT-5). */
export class WSANETWORKEVENTS {
  lNetworkEvents = 0;
  readonly iErrorCode: number[] = new Array<number>(FD_MAX_EVENTS).fill(0);
}

export interface WSPDATA {
  wVersion: number;
  wHighVersion: number;
  /** At most 255 characters. */
  szDescription: string;
}

/** Catalog entry of a provider. Members as in WSAPROTOCOL_INFOW; a SAN provider sets PFL_HIDDEN (WSD-REG-2). */
export interface WSAPROTOCOL_INFO {
  dwServiceFlags1: number;
  dwProviderFlags: number;
  /** GUID in its textual form, upper case. */
  ProviderId: string;
  dwCatalogEntryId: number;
  ProtocolChain: { ChainLen: number };
  iVersion: number;
  iAddressFamily: number;
  iMaxSockAddr: number;
  iMinSockAddr: number;
  iSocketType: number;
  iProtocol: number;
  iProtocolMaxOffset: number;
  iNetworkByteOrder: number;
  iSecurityScheme: number;
  /** Largest message in bytes; 0xFFFFFFFF is unlimited. */
  dwMessageSize: number;
  /** 0, or the token of a duplicated socket (WSD-SOC-26, WSD-DUP-26). */
  dwProviderReserved: number;
  szProtocol: string;
}

/** Quality of service. No provider of ours supports it (WSD-OPT-8); the type is there for those that do. */
export interface QOS {
  readonly SendingFlowspec: Readonly<Record<string, number>>;
  readonly ReceivingFlowspec: Readonly<Record<string, number>>;
  readonly ProviderSpecific: Uint8Array | null;
}
