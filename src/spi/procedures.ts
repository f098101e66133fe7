/**
 * The 17 functions that every SAN service provider supplies (WSD-SPI-1), and its start function.
 *
 * Each returns 0 or SOCKET_ERROR (or INVALID_SOCKET, FALSE) and puts the Winsock error into `lpErrno` (WSD-ERR-1); none
 * of them throws. Argument order is that of the Winsock SPI.
 */

import type { InvalidSocket } from './constants.js';
import type { EventObject } from './event.js';
import type {
  Out,
  ProviderSocket,
  QOS,
  SOCKADDR,
  WSABUF,
  WSANETWORKEVENTS,
  WSAOVERLAPPED,
  WSAPROTOCOL_INFO,
  WSPDATA,
} from './structures.js';
import type { WSPUPCALLTABLEEX } from './upcalls.js';

/**
 * Decides on a connection request: CF_ACCEPT, CF_REJECT or CF_DEFER. Called synchronously inside WSPAccept
 * (WSD-ACC-8) with the caller's and the called address; unsupported arguments are null (WSD-ACC-33).
 */
export type ConditionFunction = (
  lpCallerId: SOCKADDR,
  lpCallerData: Uint8Array | null,
  lpSQOS: QOS | null,
  lpGQOS: QOS | null,
  lpCalleeId: SOCKADDR,
  lpCalleeData: Uint8Array | null,
  g: Out<number>,
  dwCallbackData: unknown,
) => number;

export interface WSPPROC_TABLE {
  /** Accepts or refuses the first queued request. INVALID_SOCKET with the errors of WSD-ACC-32. */
  WSPAccept(
    s: ProviderSocket,
    addr: SOCKADDR | null,
    addrlen: Out<number> | null,
    lpfnCondition: ConditionFunction | null,
    dwCallbackData: unknown,
    lpErrno: Out<number>,
  ): ProviderSocket | InvalidSocket;
  WSPBind(s: ProviderSocket, name: SOCKADDR, namelen: number, lpErrno: Out<number>): number;
  WSPCleanup(lpErrno: Out<number>): number;
  /** Tears the connection down on both sides, completes what is pending, frees the socket (WSD-CLS-8 to WSD-CLS-13). */
  WSPCloseSocket(s: ProviderSocket, lpErrno: Out<number>): number;
  /** 0, or SOCKET_ERROR: WSAEWOULDBLOCK while it goes on; FD_CONNECT then carries the result (WSD-CON-8 to WSD-CON-10). */
  WSPConnect(
    s: ProviderSocket,
    name: SOCKADDR,
    namelen: number,
    lpCallerData: Uint8Array | null,
    lpCalleeData: Uint8Array | null,
    lpSQOS: QOS | null,
    lpGQOS: QOS | null,
    lpErrno: Out<number>,
  ): number;
  WSPDuplicateSocket(
    s: ProviderSocket,
    dwProcessId: number,
    lpProtocolInfo: WSAPROTOCOL_INFO,
    lpErrno: Out<number>,
  ): number;
  /** Copies and clears the record and resets the event, in one step (WSD-EVT-7). */
  WSPEnumNetworkEvents(
    s: ProviderSocket,
    hEventObject: EventObject | null,
    lpNetworkEvents: WSANETWORKEVENTS,
    lpErrno: Out<number>,
  ): number;
  WSPEventSelect(
    s: ProviderSocket,
    hEventObject: EventObject | null,
    lNetworkEvents: number,
    lpErrno: Out<number>,
  ): number;
  WSPGetOverlappedResult(
    s: ProviderSocket,
    lpOverlapped: WSAOVERLAPPED,
    lpcbTransfer: Out<number>,
    fWait: boolean,
    lpdwFlags: Out<number>,
    lpErrno: Out<number>,
  ): boolean;
  WSPGetQOSByName(s: ProviderSocket, lpQOSName: string, lpQOS: Out<QOS | null>, lpErrno: Out<number>): boolean;
  WSPGetSockOpt(
    s: ProviderSocket,
    level: number,
    optname: number,
    optval: Out<number>,
    optlen: Out<number>,
    lpErrno: Out<number>,
  ): number;
  WSPIoctl(
    s: ProviderSocket | InvalidSocket,
    dwIoControlCode: number,
    lpvInBuffer: unknown,
    cbInBuffer: number,
    lpvOutBuffer: Out<unknown>,
    cbOutBuffer: number,
    lpcbBytesReturned: Out<number>,
    lpOverlapped: WSAOVERLAPPED | null,
    lpCompletionRoutine: null,
    lpThreadId: null,
    lpErrno: Out<number>,
  ): number;
  WSPListen(s: ProviderSocket, backlog: number, lpErrno: Out<number>): number;
  /** Posts receive buffers. Returns SOCKET_ERROR with WSA_IO_PENDING; one message fills one call (WSD-OVL-4, WSD-XFR-33). */
  WSPRecv(
    s: ProviderSocket,
    lpBuffers: readonly WSABUF[],
    dwBufferCount: number,
    lpNumberOfBytesRecvd: Out<number> | null,
    lpFlags: Out<number>,
    lpOverlapped: WSAOVERLAPPED,
    lpCompletionRoutine: null,
    lpThreadId: null,
    lpErrno: Out<number>,
  ): number;
  /** Sends one message of registered memory. Either 0 (done) or SOCKET_ERROR with WSA_IO_PENDING (WSD-OVL-4, WSD-OVL-5). */
  WSPSend(
    s: ProviderSocket,
    lpBuffers: readonly WSABUF[],
    dwBufferCount: number,
    lpNumberOfBytesSent: Out<number> | null,
    dwFlags: number,
    lpOverlapped: WSAOVERLAPPED,
    lpCompletionRoutine: null,
    lpThreadId: null,
    lpErrno: Out<number>,
  ): number;
  WSPSetSockOpt(
    s: ProviderSocket,
    level: number,
    optname: number,
    optval: number,
    optlen: number,
    lpErrno: Out<number>,
  ): number;
  /** INVALID_SOCKET with the errors of WSD-SOC-24. `dwFlags` always has WSA_FLAG_OVERLAPPED (WSD-SOC-6). */
  WSPSocket(
    af: number,
    type: number,
    protocol: number,
    lpProtocolInfo: WSAPROTOCOL_INFO | null,
    g: number,
    dwFlags: number,
    lpErrno: Out<number>,
  ): ProviderSocket | InvalidSocket;
}

/** The required functions by name, for recorders and checks. */
export const procedureNames = [
  'WSPAccept',
  'WSPBind',
  'WSPCleanup',
  'WSPCloseSocket',
  'WSPConnect',
  'WSPDuplicateSocket',
  'WSPEnumNetworkEvents',
  'WSPEventSelect',
  'WSPGetOverlappedResult',
  'WSPGetQOSByName',
  'WSPGetSockOpt',
  'WSPIoctl',
  'WSPListen',
  'WSPRecv',
  'WSPSend',
  'WSPSetSockOpt',
  'WSPSocket',
] as const satisfies readonly (keyof WSPPROC_TABLE)[];

/**
 * The only export of a provider (WSD-COMP-13). Returns 0 or directly an error: WSASYSNOTREADY, WSAVERNOTSUPPORTED,
 * WSAEPROCLIM, WSAEFAULT (WSD-INI-7). `lpProtocolInfo` describes the TCP/IP provider (WSD-INI-3).
 */
export type WSPStartupEx = (
  wVersionRequested: number,
  lpWSPData: WSPDATA,
  lpProtocolInfo: WSAPROTOCOL_INFO,
  lpUpcallTable: WSPUPCALLTABLEEX,
  lpProcTable: Out<WSPPROC_TABLE | null>,
) => number;

/** A provider as it stands in the catalog. */
export interface SanServiceProvider {
  /** Short name that users see, for example in `connectionInfo(socket).provider`: lower case, no spaces. */
  readonly name: string;
  readonly protocolInfo: WSAPROTOCOL_INFO;
  readonly WSPStartupEx: WSPStartupEx;
}
