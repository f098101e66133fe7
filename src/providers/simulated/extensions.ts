/** Extension functions of this provider, by GUID (WSD-INI-12). */

import {
  type InvalidSocket,
  MEM_READ,
  MEM_WRITE,
  type Out,
  type ProviderDiagnosticsExtension,
  ProviderDiagnosticsGuid,
  type ProviderMemoryExtension,
  ProviderMemoryGuid,
  type ProviderSocket,
  SOCKET_ERROR,
  WSA_IO_PENDING,
  type WSABUFEX,
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
import type { Faults, FaultyCall } from './faults.js';
import { DESCRIPTOR_SIZE, ProviderRegion } from './memory.js';
import { SimulatedSocket } from './socket.js';
import type { Process } from './world.js';

/** What the functions need of their provider. */
export interface ExtensionHost {
  readonly process: Process;
  readonly faults: Faults;
  readonly messageSizeMax: number;
  readonly rdmaSizeMax: number;
  /** Optional extensions that are offered. */
  readonly rdmaRead: boolean;
  readonly providerMemory: boolean;
  readonly diagnostics: boolean;
  readonly registrationCache: boolean;
  sockets(): Iterable<SimulatedSocket>;
  check(s: ProviderSocket | InvalidSocket, lpErrno: Out<number>): SimulatedSocket | null;
}

/** A function, `'unsupported'` for an optional extension that is not offered, null for an unknown GUID. */
export function extensionFunction(guid: string, host: ExtensionHost): unknown {
  switch (guid) {
    case WSPRegisterMemoryGuid:
      return registerMemory(host);
    case WSPDeregisterMemoryGuid:
      return deregisterMemory(host);
    case WSPRegisterRdmaMemoryGuid:
      return registerRdmaMemory(host);
    case WSPDeregisterRdmaMemoryGuid:
      return deregisterRdmaMemory(host);
    case WSPRdmaWriteGuid:
      return rdmaTransfer(host, 'WSPRdmaWrite');
    case WSPRdmaReadGuid:
      return host.rdmaRead ? rdmaTransfer(host, 'WSPRdmaRead') : 'unsupported';
    case ProviderMemoryGuid:
      return host.providerMemory ? providerMemory(host) : 'unsupported';
    case ProviderDiagnosticsGuid:
      return host.diagnostics ? diagnostics : 'unsupported';
    case WSPMemoryRegistrationCacheCallbackGuid:
      return host.registrationCache ? cacheCallback(host) : 'unsupported';
    default:
      return null;
  }
}

/** The socket if it is connected and no fault strikes, else the error is set (WSD-MEM-16, WSD-MEM-25). */
function ready(host: ExtensionHost, s: ProviderSocket, call: FaultyCall, lpErrno: Out<number>): SimulatedSocket | null {
  const socket = host.check(s, lpErrno);
  if (socket === null) return null;
  const error = socket.dataError === 0 ? host.faults.call(call) : WSAENOTCONN;
  if (error === 0) return socket;
  lpErrno.value = error;
  return null;
}

function registerMemory(host: ExtensionHost): WSPRegisterMemory {
  return (s, region, offset, length, flags, lpErrno) => {
    const socket = ready(host, s, 'WSPRegisterMemory', lpErrno);
    const result = socket?.registrations.register(region, offset, length, flags) ?? lpErrno.value;
    if (typeof result !== 'number') return result;
    lpErrno.value = result;
    return null;
  };
}

function deregisterMemory(host: ExtensionHost): WSPDeregisterMemory {
  return (s, handle, lpErrno) => {
    const socket = host.check(s, lpErrno);
    if (socket === null) return SOCKET_ERROR;
    const error = socket.registrations.deregister(
      handle,
      (region, offset, length) => socket.connection?.isInUse(region, offset, length) ?? false,
    );
    if (error !== 0) lpErrno.value = error;
    return error === 0 ? 0 : SOCKET_ERROR;
  };
}

function registerRdmaMemory(host: ExtensionHost): WSPRegisterRdmaMemory {
  return (s, region, offset, length, flags, descriptor, descriptorLength, lpErrno) => {
    const socket = ready(host, s, 'WSPRegisterRdmaMemory', lpErrno);
    if (socket === null) return SOCKET_ERROR;
    const tooShort = descriptor === null || descriptorLength.value < DESCRIPTOR_SIZE;
    descriptorLength.value = DESCRIPTOR_SIZE;
    const error = tooShort ? WSAEFAULT : socket.rdma.register(region, offset, length, flags, descriptor);
    if (error === 0) return 0;
    lpErrno.value = error;
    return SOCKET_ERROR;
  };
}

function deregisterRdmaMemory(host: ExtensionHost): WSPDeregisterRdmaMemory {
  return (s, descriptor, length, lpErrno) => {
    const socket = host.check(s, lpErrno);
    if (socket === null) return SOCKET_ERROR;
    const error = length === DESCRIPTOR_SIZE ? socket.rdma.deregister(descriptor) : WSAEINVAL;
    if (error === 0) return 0;
    lpErrno.value = error;
    return SOCKET_ERROR;
  };
}

/** Both directions. Always pending: the peer's NIC has to take part, its program has not (WSD-XFR-32). */
function rdmaTransfer(host: ExtensionHost, call: 'WSPRdmaRead' | 'WSPRdmaWrite'): WSPRdmaRead | WSPRdmaWrite {
  const access = call === 'WSPRdmaWrite' ? MEM_READ : MEM_WRITE;
  return (
    s,
    buffers,
    count,
    descriptor,
    descriptorLength,
    offset,
    _moved,
    _flags,
    overlapped,
    _routine,
    _id,
    lpErrno,
  ) => {
    const socket = host.check(s, lpErrno);
    if (socket === null) return SOCKET_ERROR;
    const list: readonly WSABUFEX[] = buffers.slice(0, count);
    let error = socket.dataError;
    if (error === 0 && count < 1) error = WSAEINVAL;
    if (error === 0 && descriptorLength !== DESCRIPTOR_SIZE) error = WSAEFAULT;
    if (error === 0 && !list.every((one) => socket.registrations.coversHandle(one, access))) error = WSAEFAULT;
    if (error === 0 && list.reduce((sum, { len }) => sum + len, 0) > host.rdmaSizeMax) error = WSAEMSGSIZE;
    if (error === 0) error = host.faults.call(call);
    if (error === 0) {
      const target = descriptor.slice(0, DESCRIPTOR_SIZE);
      if (call === 'WSPRdmaWrite') socket.connection!.rdmaWrite(list, target, offset, overlapped);
      else socket.connection!.rdmaRead(list, target, offset, overlapped);
      error = WSA_IO_PENDING;
    }
    lpErrno.value = error;
    return SOCKET_ERROR;
  };
}

/** Memory of any socket may be meant: the callback knows none (WSD-CCH-9, WSD-CCH-10). */
function cacheCallback(host: ExtensionHost): WSPMemoryRegistrationCacheCallback {
  return (region, size, lpErrno) => {
    const errors = [...host.sockets()].map((socket) => socket.invalidate(region, size));
    const error = [WSAEFAULT, 0].find((one) => errors.includes(one)) ?? WSAEINVAL;
    if (error === 0) return 0;
    lpErrno.value = error;
    return SOCKET_ERROR;
  };
}

function providerMemory(host: ExtensionHost): ProviderMemoryExtension {
  return {
    WSPAllocateReceiveMemory: (length, lpErrno) => {
      lpErrno.value = host.faults.call('WSPAllocateReceiveMemory');
      if (lpErrno.value !== 0) return null;
      try {
        return new ProviderRegion(length, host.process, MEM_WRITE);
      } catch {
        lpErrno.value = WSAENOBUFS;
        return null;
      }
    },
    WSPGetSendBuffer: (s, length, buffer, lpErrno) => {
      const socket = host.check(s, lpErrno);
      if (socket === null) return SOCKET_ERROR;
      let error = length > host.messageSizeMax ? WSAEMSGSIZE : socket.dataError;
      if (error === 0) error = host.faults.call('WSPGetSendBuffer');
      if (error !== 0) {
        lpErrno.value = error;
        return SOCKET_ERROR;
      }
      buffer.buf = new ProviderRegion(length, host.process, MEM_READ);
      buffer.offset = 0;
      buffer.len = length;
      return 0;
    },
  };
}

const diagnostics: ProviderDiagnosticsExtension = {
  WSPQueryReason: (s) => (s instanceof SimulatedSocket ? s.reason : null),
  WSPQueryPeerProcess: () => null,
  WSPQueryUnconsumed: (s) => (s instanceof SimulatedSocket ? (s.connection?.unconsumed ?? 0) : 0),
};
