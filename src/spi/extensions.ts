/**
 * Extension functions, fetched one by one with SIO_GET_EXTENSION_FUNCTION_POINTER (WSD-INI-12): the input is the GUID, the
 * output the function. Mandatory ones are those of WSD-INI-13; the others may be refused with WSAEOPNOTSUPP.
 */

import type {
  MemoryHandle,
  MemoryRegion,
  Out,
  ProviderSocket,
  RdmaDescriptor,
  WSABUF,
  WSABUFEX,
  WSAOVERLAPPED,
} from './structures.js';

export const WSPRegisterMemoryGuid = 'C0B422F5-F58C-11D1-AD6C-00C04FA34A2D';
export const WSPDeregisterMemoryGuid = 'C0B422F6-F58C-11D1-AD6C-00C04FA34A2D';
export const WSPRegisterRdmaMemoryGuid = 'C0B422F7-F58C-11D1-AD6C-00C04FA34A2D';
export const WSPDeregisterRdmaMemoryGuid = 'C0B422F8-F58C-11D1-AD6C-00C04FA34A2D';
export const WSPRdmaWriteGuid = 'C0B422F9-F58C-11D1-AD6C-00C04FA34A2D';
export const WSPRdmaReadGuid = 'C0B422FA-F58C-11D1-AD6C-00C04FA34A2D';
export const WSPMemoryRegistrationCacheCallbackGuid = 'E5DA4AF8-D824-48CD-A799-6337A98ED2AF';
/** Our own: {@link ProviderMemoryExtension}. */
export const ProviderMemoryGuid = '6F1D9C57-3C0A-4E57-9B64-0D5B2C8E71A3';

/** A handle, or null with WSAENOBUFS, WSAEFAULT, WSAEINVAL, WSAENOTCONN (WSD-MEM-16). `dwFlags` is MEM_READ, MEM_WRITE or both. */
export type WSPRegisterMemory = (
  s: ProviderSocket,
  lpBuffer: MemoryRegion,
  offset: number,
  dwBufferLength: number,
  dwFlags: number,
  lpErrno: Out<number>,
) => MemoryHandle | null;
/** 0, or SOCKET_ERROR with WSAEINVAL: unknown, or in use by a transfer (WSD-MEM-17). */
export type WSPDeregisterMemory = (s: ProviderSocket, handle: MemoryHandle, lpErrno: Out<number>) => number;
/** Writes the descriptor into `lpRdmaBufferDescriptor`. Too small: WSAEFAULT and the needed length (WSD-MEM-22 to WSD-MEM-25). */
export type WSPRegisterRdmaMemory = (
  s: ProviderSocket,
  lpBuffer: MemoryRegion,
  offset: number,
  dwBufferLength: number,
  dwFlags: number,
  lpRdmaBufferDescriptor: RdmaDescriptor | null,
  lpdwDescriptorLength: Out<number>,
  lpErrno: Out<number>,
) => number;
export type WSPDeregisterRdmaMemory = (
  s: ProviderSocket,
  lpRdmaBufferDescriptor: RdmaDescriptor,
  dwDescriptorLength: number,
  lpErrno: Out<number>,
) => number;
/** Peer RDMA memory to local buffers; the peer's program takes no part (WSD-XFR-31, WSD-XFR-32). */
export type WSPRdmaRead = (
  s: ProviderSocket,
  lpBuffers: readonly WSABUFEX[],
  dwBufferCount: number,
  lpTargetBufferDescriptor: RdmaDescriptor,
  dwTargetDescriptorLength: number,
  dwTargetBufferOffset: number,
  lpdwNumberOfBytesRead: Out<number> | null,
  dwFlags: number,
  lpOverlapped: WSAOVERLAPPED,
  lpCompletionRoutine: null,
  lpThreadId: null,
  lpErrno: Out<number>,
) => number;
/** Local buffers to peer RDMA memory (WSD-XFR-31, WSD-XFR-32). */
export type WSPRdmaWrite = (
  s: ProviderSocket,
  lpBuffers: readonly WSABUFEX[],
  dwBufferCount: number,
  lpTargetBufferDescriptor: RdmaDescriptor,
  dwTargetDescriptorLength: number,
  dwTargetBufferOffset: number,
  lpdwNumberOfBytesWritten: Out<number> | null,
  dwFlags: number,
  lpOverlapped: WSAOVERLAPPED,
  lpCompletionRoutine: null,
  lpThreadId: null,
  lpErrno: Out<number>,
) => number;
/** Tells a caching provider that memory goes away (WSD-CCH-6, WSD-CCH-10). */
export type WSPMemoryRegistrationCacheCallback = (
  lpvAddress: MemoryRegion,
  Size: number,
  lpErrno: Out<number>,
) => number;

/**
 * Provider-allocated memory, an extension of ours. A provider whose wire is memory can offer the wire itself as the
 * outgoing control buffer, so that one copy in is the only one; a provider with a NIC can offer memory that is registered
 * once. The switch takes the regions of WSD-NEG-14 from here and calls WSPRegisterMemory for what comes from elsewhere.
 */
export interface ProviderMemoryExtension {
  /**
   * Memory of `dwBufferLength` bytes for receive buffers, registered with MEM_WRITE for every socket of this provider in
   * this process until it is unreachable. The provider writes only into ranges that are posted with WSPRecv, so the switch
   * may hand a completed range to the program and never post it again. Null with WSAENOBUFS.
   */
  WSPAllocateReceiveMemory(dwBufferLength: number, lpErrno: Out<number>): MemoryRegion | null;
  /**
   * An outgoing control buffer of at least `dwBufferLength` bytes for the next WSPSend on `s`, stored in `lpBuffer`. It is
   * filled and sent before anything else is asked of the provider; the provider may place it on the wire itself. It never
   * fails for want of wire: what does not fit waits in the provider's own memory, and that WSPSend is WSA_IO_PENDING.
   * SOCKET_ERROR with WSAENOBUFS, WSAENOTSOCK, WSAENOTCONN or WSAEMSGSIZE.
   */
  WSPGetSendBuffer(s: ProviderSocket, dwBufferLength: number, lpBuffer: WSABUF, lpErrno: Out<number>): number;
}

/** Our own: {@link ProviderDiagnosticsExtension}. */
export const ProviderDiagnosticsGuid = '2B7E3D14-95A8-4D0F-8C5C-1E60A4F7B9D2';

/** What a provider can tell beyond Winsock error numbers, an extension of ours. */
export interface ProviderDiagnosticsExtension {
  /** Why the last operation on `s` failed, as a reason code of ours, or null. */
  WSPQueryReason(s: ProviderSocket): string | null;
  /**
   * After a connection was lost with WSAECONNABORTED: how many of the last messages sent the peer never took. TCP's answer
   * to a peer that died depends on it: an end of data, or a reset.
   */
  WSPQueryUnconsumed(s: ProviderSocket): number;
  /** Process id of the peer of a connected socket, or null where it is not of this host or not known. */
  WSPQueryPeerProcess(s: ProviderSocket): number | null;
}

/** Extensions of one provider, after the switch has fetched them. */
export interface ExtensionFunctions {
  WSPRegisterMemory: WSPRegisterMemory;
  WSPDeregisterMemory: WSPDeregisterMemory;
  WSPRegisterRdmaMemory: WSPRegisterRdmaMemory;
  WSPDeregisterRdmaMemory: WSPDeregisterRdmaMemory;
  WSPRdmaWrite: WSPRdmaWrite;
  WSPRdmaRead: WSPRdmaRead | null;
  WSPMemoryRegistrationCacheCallback: WSPMemoryRegistrationCacheCallback | null;
  providerMemory: ProviderMemoryExtension | null;
  diagnostics: ProviderDiagnosticsExtension | null;
}
