/** Extension functions of this provider, by GUID (WSD-INI-12). */

import {
  type InvalidSocket,
  MEM_READ,
  type MemoryHandle,
  type Out,
  type ProviderDiagnosticsExtension,
  ProviderDiagnosticsGuid,
  type ProviderMemoryExtension,
  ProviderMemoryGuid,
  type ProviderSocket,
  SOCKET_ERROR,
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
  WSPMemoryRegistrationCacheCallbackGuid,
  WSPRdmaReadGuid,
  type WSPRdmaWrite,
  WSPRdmaWriteGuid,
  type WSPRegisterMemory,
  WSPRegisterMemoryGuid,
  type WSPRegisterRdmaMemory,
  WSPRegisterRdmaMemoryGuid,
} from '../../spi/index.js';
import { MESSAGE_SIZE_MAX } from './limits.js';
import type { PeerLink } from './link.js';
import { DESCRIPTOR_SIZE, ReceiveRegion } from './memory.js';
import { SharedMemorySocket } from './socket.js';

/** Who is at the other end of a link. */
type PeerProcess = (link: PeerLink) => number | null;
type Check = (s: ProviderSocket | InvalidSocket, lpErrno: Out<number>) => SharedMemorySocket | null;

/** A function of ours, `'unsupported'` for an optional extension that we do not have, null for an unknown GUID. */
export function extensionFunction(guid: string, check: Check, peerProcess: PeerProcess): unknown {
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
      return rdmaWrite(check);
    case ProviderMemoryGuid:
      return providerMemory(check);
    case ProviderDiagnosticsGuid:
      return diagnostics(peerProcess);
    case WSPRdmaReadGuid:
    case WSPMemoryRegistrationCacheCallbackGuid:
      return 'unsupported';
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
      (region, offset, length) => socket.connection?.isPosted(region, offset, length) ?? false,
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
    if (length === DESCRIPTOR_SIZE && socket.rdma.deregister(descriptor)) return 0;
    lpErrno.value = WSAEINVAL;
    return SOCKET_ERROR;
  };
}

/** The bytes travel on the ring, in order with messages, and the peer's provider stores them; its program takes no part. */
function rdmaWrite(check: Check): WSPRdmaWrite {
  return (
    s,
    buffers,
    count,
    descriptor,
    descriptorLength,
    offset,
    written,
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
    let total = 0;
    for (let i = 0; i < count; i++) {
      if (!socket.registrations.coversHandle(buffers[i], MEM_READ)) return fail(WSAEFAULT);
      total += buffers[i].len;
    }
    let target = offset;
    for (let i = 0; i < count; i++) {
      const { buf, len } = buffers[i];
      for (let at = 0; at < len; at += MESSAGE_SIZE_MAX / 2) {
        const n = Math.min(len - at, MESSAGE_SIZE_MAX / 2);
        const from = buffers[i].offset + at;
        connection.link.sendRdmaWrite(
          connection.id,
          connection.generation,
          descriptor,
          target,
          buf.bytes.subarray(from, from + n),
        );
        target += n;
      }
    }
    socket.complete(overlapped, total);
    if (written !== null) written.value = total;
    return 0;
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
      connection.link.begin(length, buffer);
      socket.sendBuffer = buffer;
      socket.sendBufferLength = length;
      return 0;
    },
  };
}

const diagnostics = (peerProcess: PeerProcess): ProviderDiagnosticsExtension => ({
  WSPQueryReason: (s) => (s instanceof SharedMemorySocket ? s.reason : null),
  WSPQueryUnconsumed: (s) => (s instanceof SharedMemorySocket ? (s.connection?.unconsumed ?? 0) : 0),
  WSPQueryPeerProcess: (s) => {
    const link = s instanceof SharedMemorySocket ? s.connection?.link : undefined;
    return link === undefined ? null : peerProcess(link);
  },
});
