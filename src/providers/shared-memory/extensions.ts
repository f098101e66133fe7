/** Extension functions of this provider, by GUID (WSD-INI-12). */

import {
  type InvalidSocket,
  MEM_READ,
  MEM_WRITE,
  type MemoryHandle,
  type Out,
  type ProviderDiagnosticsExtension,
  ProviderDiagnosticsGuid,
  type ProviderMemoryExtension,
  ProviderMemoryGuid,
  type ProviderSocket,
  SOCKET_ERROR,
  WSA_IO_PENDING,
  WSAECONNABORTED,
  WSAEFAULT,
  WSAEINVAL,
  WSAEMSGSIZE,
  WSAENOBUFS,
  WSAENOTCONN,
  type WSPDeregisterMemory,
  WSPDeregisterMemoryGuid,
  type WSPDeregisterRdmaMemory,
  WSPDeregisterRdmaMemoryGuid,
  type WSPMemoryRegistrationCacheCallback,
  WSPMemoryRegistrationCacheCallbackGuid,
  type WSPRdmaRead,
  WSPRdmaReadGuid,
  type WSPRdmaWrite,
  WSPRdmaWriteGuid,
  type WSPRegisterMemory,
  WSPRegisterMemoryGuid,
  type WSPRegisterRdmaMemory,
  WSPRegisterRdmaMemoryGuid,
} from '../../spi/index.js';
import { MESSAGE_SIZE_MAX } from './limits.js';
import type { ConnectionLink } from './link-face.js';
import { DESCRIPTOR_SIZE, ReceiveRegion } from './memory.js';
import { SharedMemorySocket } from './socket.js';

type Check = (s: ProviderSocket | InvalidSocket, lpErrno: Out<number>) => SharedMemorySocket | null;

/** What the functions need of their provider. */
export interface ExtensionHost {
  check: Check;
  /** Who is at the other end of a link. */
  peerProcess(link: ConnectionLink): number | null;
  sockets(): Iterable<SharedMemorySocket>;
}

/** A function of ours, null for an unknown GUID. */
export function extensionFunction(guid: string, { check, peerProcess, sockets }: ExtensionHost): unknown {
  switch (guid) {
    case WSPRegisterMemoryGuid:
      return registerMemory(check);
    case WSPDeregisterMemoryGuid:
      return deregisterMemory(check);
    case WSPRegisterRdmaMemoryGuid:
      return registerRdmaMemory(check);
    case WSPDeregisterRdmaMemoryGuid:
      return deregisterRdmaMemory(check);
    case WSPRdmaWriteGuid:
      return rdmaTransfer(check, false);
    case WSPRdmaReadGuid:
      return rdmaTransfer(check, true);
    case WSPMemoryRegistrationCacheCallbackGuid:
      return cacheCallback(sockets);
    case ProviderMemoryGuid:
      return providerMemory(check);
    case ProviderDiagnosticsGuid:
      return diagnostics(peerProcess);
    default:
      return null;
  }
}

/** The socket if it has a connection, else the error is set. */
function connected(check: Check, s: ProviderSocket, lpErrno: Out<number>): SharedMemorySocket | null {
  const socket = check(s, lpErrno);
  if (socket === null || socket.dataError === 0) return socket;
  lpErrno.value = WSAENOTCONN;
  return null;
}

function registerMemory(check: Check): WSPRegisterMemory {
  return (s, region, offset, length, flags, lpErrno) => {
    const result = connected(check, s, lpErrno)?.registrations.register(region, offset, length, flags);
    if (result === undefined) return null;
    if (typeof result !== 'number') return result;
    lpErrno.value = result;
    return null;
  };
}

function deregisterMemory(check: Check): WSPDeregisterMemory {
  return (s, handle: MemoryHandle, lpErrno) => {
    const socket = check(s, lpErrno);
    if (socket === null) return SOCKET_ERROR;
    const error = socket.registrations.deregister(
      handle,
      (region, offset, length) => socket.connection?.isInUse(region, offset, length) ?? false,
    );
    if (error !== 0) lpErrno.value = error;
    return error === 0 ? 0 : SOCKET_ERROR;
  };
}

function registerRdmaMemory(check: Check): WSPRegisterRdmaMemory {
  return (s, region, offset, length, flags, descriptor, descriptorLength, lpErrno) => {
    const socket = connected(check, s, lpErrno);
    if (socket === null) return SOCKET_ERROR;
    if (descriptor === null || descriptorLength.value < DESCRIPTOR_SIZE) {
      descriptorLength.value = DESCRIPTOR_SIZE;
      lpErrno.value = WSAEFAULT;
      return SOCKET_ERROR;
    }
    const error = socket.rdma.register(region, offset, length, flags, descriptor);
    descriptorLength.value = DESCRIPTOR_SIZE;
    if (error === 0) return 0;
    lpErrno.value = error;
    return SOCKET_ERROR;
  };
}

function deregisterRdmaMemory(check: Check): WSPDeregisterRdmaMemory {
  return (s, descriptor, length, lpErrno) => {
    const socket = check(s, lpErrno);
    if (socket === null) return SOCKET_ERROR;
    if (length === DESCRIPTOR_SIZE && socket.connection !== null && socket.rdma.deregister(descriptor) === 0) return 0;
    lpErrno.value = WSAEINVAL;
    return SOCKET_ERROR;
  };
}

/** What both directions check: a connection, and local memory that is registered for the access (WSD-XFR-29, WSD-XFR-30). */
function rdmaTransfer(check: Check, isRead: boolean): WSPRdmaRead | WSPRdmaWrite {
  const access = isRead ? MEM_WRITE : MEM_READ;
  return (
    s,
    buffers,
    count,
    descriptor,
    descriptorLength,
    offset,
    moved,
    _flags,
    overlapped,
    _routine,
    _thread,
    lpErrno,
  ) => {
    const fail = (error: number): number => {
      lpErrno.value = error;
      return SOCKET_ERROR;
    };
    const socket = check(s, lpErrno);
    if (socket === null) return SOCKET_ERROR;
    const { connection } = socket;
    if (connection === null || socket.dataError !== 0) return fail(socket.dataError || WSAECONNABORTED);
    if (descriptorLength !== DESCRIPTOR_SIZE) return fail(WSAEFAULT);
    // It travels as a word. Which offsets there are is for the owner of the memory to say.
    if (offset !== (offset | 0)) return fail(WSAEINVAL);
    const list = count === buffers.length ? buffers : buffers.slice(0, count);
    for (const buffer of list) if (!socket.registrations.coversHandle(buffer, access)) return fail(WSAEFAULT);
    const target = descriptor.subarray(0, DESCRIPTOR_SIZE);
    const { ended, error, length } = connection.transfers.start(isRead, list, target, offset, overlapped);
    if (!ended) return fail(WSA_IO_PENDING);
    if (error !== 0) return fail(error);
    socket.complete(overlapped, length);
    if (moved !== null) moved.value = length;
    return 0;
  };
}

/** Memory of any socket may be meant: the callback knows none (WSD-CCH-10). */
function cacheCallback(sockets: () => Iterable<SharedMemorySocket>): WSPMemoryRegistrationCacheCallback {
  return (region, _size, lpErrno) => {
    let error = WSAEINVAL;
    for (const socket of sockets()) {
      const outcome = socket.invalidate(region.bytes.buffer);
      if (outcome === WSAEFAULT || error === WSAEINVAL) error = outcome;
    }
    if (error === 0) return 0;
    lpErrno.value = error;
    return SOCKET_ERROR;
  };
}

function providerMemory(check: Check): ProviderMemoryExtension {
  return {
    WSPAllocateReceiveMemory: (length, lpErrno) => {
      try {
        return new ReceiveRegion(Math.ceil(length / 8) * 8);
      } catch {
        lpErrno.value = WSAENOBUFS;
        return null;
      }
    },
    WSPGetSendBuffer: (s, length, buffer, lpErrno) => {
      const socket = check(s, lpErrno);
      if (socket === null) return SOCKET_ERROR;
      const { connection } = socket;
      const error = length > MESSAGE_SIZE_MAX ? WSAEMSGSIZE : socket.dataError;
      if (error !== 0 || connection === null) {
        lpErrno.value = error;
        return SOCKET_ERROR;
      }
      connection.begin(length, buffer);
      socket.sendBuffer = buffer;
      socket.sendBufferLength = length;
      return 0;
    },
  };
}

const diagnostics = (peerProcess: ExtensionHost['peerProcess']): ProviderDiagnosticsExtension => ({
  WSPQueryReason: (s) => (s instanceof SharedMemorySocket ? s.reason : null),
  WSPQueryUnconsumed: (s) => (s instanceof SharedMemorySocket ? (s.connection?.unconsumed ?? 0) : 0),
  WSPQueryPeerProcess: (s) => {
    const link = s instanceof SharedMemorySocket ? s.connection?.link : undefined;
    return link === undefined ? null : peerProcess(link);
  },
});
