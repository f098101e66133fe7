/**
 * Stands between a switch and its provider and checks both: every operation completes exactly once, handles and sockets are
 * used while they live, memory is given back before its socket is closed.
 */

import { SimulatedSocket } from '../src/providers/simulated/socket.js';
import type { World } from '../src/providers/simulated/world.js';
import {
  errorName,
  FD_CONNECT,
  FD_CONNECT_BIT,
  INVALID_SOCKET,
  MEM_READ,
  MEM_WRITE,
  type MemoryHandle,
  type MemoryRegion,
  type Out,
  OVERLAPPED_POLL,
  type SanServiceProvider,
  SIO_GET_EXTENSION_FUNCTION_POINTER,
  type SOCKADDR,
  SOCKET_ERROR,
  type SwitchHandle,
  WSA_IO_PENDING,
  WSAENOTSOCK,
  WSAEWOULDBLOCK,
  type WSAOVERLAPPED,
  type WSPDeregisterMemory,
  WSPDeregisterMemoryGuid,
  type WSPPROC_TABLE,
  type WSPRdmaRead,
  WSPRdmaReadGuid,
  type WSPRdmaWrite,
  WSPRdmaWriteGuid,
  type WSPRegisterMemory,
  WSPRegisterMemoryGuid,
  type WSPRegisterRdmaMemory,
  WSPRegisterRdmaMemoryGuid,
  type WSPUPCALLTABLEEX,
  WSS_OPERATION_IN_PROGRESS,
} from '../src/spi/index.js';
import { check } from './failure.js';

interface Registered {
  readonly region: MemoryRegion;
  readonly offset: number;
  readonly length: number;
}

/** Told of what the model of a run has to know. */
export interface SpiWatcher {
  bound(name: SOCKADDR): void;
  /** WSPAccept has returned a socket for this caller. */
  accepted(caller: SOCKADDR): void;
  /** A connect from this address has ended: 0 or its error. */
  connectEnded(caller: SOCKADDR, error: number): void;
  /** Just before and just after a call: the place for a death in the middle of a task. */
  between(): void;
}

export class SpiCheck {
  readonly #world: World;
  readonly #name: string;
  readonly #watcher: SpiWatcher;
  readonly #pending = new Map<WSAOVERLAPPED, SimulatedSocket>();
  readonly #handles = new Set<SwitchHandle>();
  readonly #memory = new Map<SimulatedSocket, Map<MemoryHandle, Registered>>();
  /** Descriptors of RDMA memory, whether or not they are in force. */
  readonly #descriptors = new Map<SimulatedSocket, Uint8Array[]>();
  readonly #ordinals = new WeakMap<object, number>();
  /** Providers that have been started and not cleaned up. */
  started = 0;
  #last = 0;

  constructor(world: World, name: string, watcher: SpiWatcher) {
    this.#world = world;
    this.#name = name;
    this.#watcher = watcher;
  }

  /** What is open or under way: handles, operations whose end the switch has not been told, registrations. */
  get outstanding(): { handles: number; operations: number; registrations: number } {
    let operations = 0;
    for (const [overlapped] of this.#pending) {
      if (notifies(overlapped) || overlapped.Internal === WSS_OPERATION_IN_PROGRESS) operations++;
    }
    return { handles: this.#handles.size, operations, registrations: this.#memory.size };
  }

  /** Switch handles that are open. */
  get handles(): number {
    return this.#handles.size;
  }

  #note(what: string): void {
    if (this.#world.trace !== null) this.#world.note(`${this.#name}: ${what}`);
  }

  #ordinal(object: object): number {
    let ordinal = this.#ordinals.get(object);
    if (ordinal === undefined) {
      ordinal = ++this.#last;
      this.#ordinals.set(object, ordinal);
    }
    return ordinal;
  }

  wrap(provider: SanServiceProvider): SanServiceProvider {
    const life = { started: false };
    return {
      name: provider.name,
      protocolInfo: provider.protocolInfo,
      WSPStartupEx: (version, data, tcpip, upcalls, table) => {
        const result = provider.WSPStartupEx(version, data, tcpip, this.#upcalls(upcalls), table);
        if (result !== 0 || table.value === null) return result;
        check(!life.started, `${provider.name} is started twice`);
        life.started = true;
        this.started++;
        table.value = this.#table(table.value, provider.name, life);
        return result;
      },
    };
  }

  #upcalls(inner: WSPUPCALLTABLEEX): WSPUPCALLTABLEEX {
    return {
      ...inner,
      WPUCreateSocketHandle: (id, context, lpErrno) => {
        const handle = inner.WPUCreateSocketHandle(id, context, lpErrno);
        if (handle !== INVALID_SOCKET) this.#handles.add(handle);
        return handle;
      },
      WPUCloseSocketHandle: (s, lpErrno) => {
        check(this.#handles.delete(s), 'a handle is closed that is not open');
        return inner.WPUCloseSocketHandle(s, lpErrno);
      },
      WPUCompleteOverlappedRequest: (s, overlapped, error, bytes, lpErrno) => {
        check(this.#handles.has(s), 'a completion for a handle that is not open');
        check(this.#pending.delete(overlapped), 'an operation is completed that is not under way');
        this.#note(`completed, ${error === 0 ? `${bytes} bytes` : errorName(error)}`);
        return inner.WPUCompleteOverlappedRequest(s, overlapped, error, bytes, lpErrno);
      },
    };
  }

  #begin(s: object, overlapped: WSAOVERLAPPED): void {
    const under = this.#pending.has(overlapped);
    const ended = !notifies(overlapped) && overlapped.Internal !== WSS_OPERATION_IN_PROGRESS;
    check(!under || ended, 'one record for two operations that are under way');
    this.#pending.set(overlapped, s as SimulatedSocket);
  }

  #table(inner: WSPPROC_TABLE, name: string, life: { started: boolean }): WSPPROC_TABLE {
    const noted: Record<string, unknown> = {};
    for (const [fn, call] of Object.entries(inner) as [string, (...args: unknown[]) => unknown][]) {
      noted[fn] = (...args: unknown[]): unknown => {
        check(life.started, `${fn} of ${name}, which has been cleaned up`);
        this.#watcher.between();
        const result = call(...args);
        if (this.#world.trace !== null) {
          const errno = (args[args.length - 1] as Out<number>).value;
          const failed = result === SOCKET_ERROR || result === false;
          const socket = typeof args[0] === 'object' && args[0] !== null ? ` ${this.#ordinal(args[0])}` : '';
          this.#note(`${fn}${socket}${failed ? ` ${errorName(errno)}` : ''}`);
        }
        this.#watcher.between();
        return result;
      };
    }
    const table = noted as unknown as WSPPROC_TABLE;
    return {
      ...table,
      WSPCleanup: (lpErrno) => {
        const result = table.WSPCleanup(lpErrno);
        check(result === 0, `WSPCleanup of ${name} failed: ${errorName(lpErrno.value)}`);
        life.started = false;
        this.started--;
        return result;
      },
      WSPBind: (s, name, length, lpErrno) => {
        this.#watcher.bound(name);
        return table.WSPBind(s, name, length, lpErrno);
      },
      WSPAccept: (...args) => {
        const accepted = table.WSPAccept(...args);
        if (accepted instanceof SimulatedSocket) this.#watcher.accepted(accepted.remote!);
        return accepted;
      },
      WSPConnect: (...args) => {
        const result = table.WSPConnect(...args);
        const error = result === 0 ? 0 : args[7].value;
        if (error !== WSAEWOULDBLOCK) this.#watcher.connectEnded((args[0] as SimulatedSocket).local!, error);
        return result;
      },
      WSPEnumNetworkEvents: (...args) => {
        const result = table.WSPEnumNetworkEvents(...args);
        const { lNetworkEvents, iErrorCode } = args[2];
        if (result === 0 && (lNetworkEvents & FD_CONNECT) !== 0) {
          this.#watcher.connectEnded((args[0] as SimulatedSocket).local!, iErrorCode[FD_CONNECT_BIT]!);
        }
        return result;
      },
      WSPSend: (...args) => {
        this.#begin(args[0], args[5]);
        const result = table.WSPSend(...args);
        if (result !== 0 && args[8].value !== WSA_IO_PENDING) this.#pending.delete(args[5]);
        else if (result === 0) check(args[5].Internal === 0, 'a send is done and its record does not say so');
        return result;
      },
      WSPRecv: (...args) => {
        this.#begin(args[0], args[5]);
        const result = table.WSPRecv(...args);
        if (result !== 0 && args[8].value !== WSA_IO_PENDING) this.#pending.delete(args[5]);
        return result;
      },
      WSPCloseSocket: (s, lpErrno) => {
        check(s instanceof SimulatedSocket && !s.closed, 'a socket is closed twice');
        this.#checkMemory(s);
        const result = table.WSPCloseSocket(s, lpErrno);
        check(result === 0, `WSPCloseSocket failed: ${errorName(lpErrno.value)}`);
        this.#checkEnded(s);
        return result;
      },
      WSPIoctl: (...args) => {
        const result = table.WSPIoctl(...args);
        if (result === 0 && args[1] === SIO_GET_EXTENSION_FUNCTION_POINTER) this.#wrapExtension(args[2], args[4]);
        return result;
      },
    };
  }

  #wrapExtension(guid: unknown, out: Out<unknown>): void {
    if (guid === WSPRegisterMemoryGuid) {
      const inner = out.value as WSPRegisterMemory;
      const outer: WSPRegisterMemory = (s, region, offset, length, flags, lpErrno) => {
        const handle = inner(s, region, offset, length, flags, lpErrno);
        if (handle !== null) this.#registered(s as SimulatedSocket).set(handle, { region, offset, length });
        return handle;
      };
      out.value = outer;
    } else if (guid === WSPDeregisterMemoryGuid) {
      const inner = out.value as WSPDeregisterMemory;
      const outer: WSPDeregisterMemory = (s, handle, lpErrno) => {
        const result = inner(s, handle, lpErrno);
        check(lpErrno.value !== WSAENOTSOCK || result === 0, 'memory is given back after its socket was closed');
        if (result === 0) this.#registered(s as SimulatedSocket).delete(handle);
        return result;
      };
      out.value = outer;
    } else if (guid === WSPRegisterRdmaMemoryGuid) {
      const inner = out.value as WSPRegisterRdmaMemory;
      const outer: WSPRegisterRdmaMemory = (s, ...args) => {
        const result = inner(s, ...args);
        const descriptor = args[4];
        if (result === 0 && descriptor !== null) this.#descriptorsOf(s as SimulatedSocket).push(descriptor.slice());
        return result;
      };
      out.value = outer;
    } else if (guid === WSPRdmaReadGuid || guid === WSPRdmaWriteGuid) {
      out.value = this.#wrapRdma(out.value as WSPRdmaRead | WSPRdmaWrite, guid === WSPRdmaReadGuid ? 'read' : 'write');
    }
  }

  #wrapRdma(inner: WSPRdmaRead | WSPRdmaWrite, what: string): WSPRdmaRead | WSPRdmaWrite {
    return (...args) => {
      const [s, , , , , , , , overlapped, , , lpErrno] = args;
      this.#watcher.between();
      this.#begin(s, overlapped);
      const result = inner(...args);
      if (result !== 0 && lpErrno.value !== WSA_IO_PENDING) this.#pending.delete(overlapped);
      else this.#world.mark(`RDMA ${what}`);
      this.#watcher.between();
      return result;
    };
  }

  #descriptorsOf(s: SimulatedSocket): Uint8Array[] {
    let descriptors = this.#descriptors.get(s);
    if (descriptors === undefined) {
      descriptors = [];
      this.#descriptors.set(s, descriptors);
    }
    return descriptors;
  }

  #registered(s: SimulatedSocket): Map<MemoryHandle, Registered> {
    let registered = this.#memory.get(s);
    if (registered === undefined) {
      registered = new Map();
      this.#memory.set(s, registered);
    }
    return registered;
  }

  /** WSD-MEM-29: all memory that no transfer uses has been given back. */
  #checkMemory(s: SimulatedSocket): void {
    for (const { region, offset, length } of this.#memory.get(s)?.values() ?? []) {
      check(
        s.connection?.isInUse(region, offset, length) === true,
        'idle memory is registered when its socket is closed',
      );
    }
    this.#memory.delete(s);
    for (const descriptor of this.#descriptors.get(s) ?? []) {
      const target = s.rdma.find(descriptor, 0, 0, MEM_READ) ?? s.rdma.find(descriptor, 0, 0, MEM_WRITE);
      check(target === null || target.transfers > 0, 'idle RDMA memory is registered when its socket is closed');
    }
    this.#descriptors.delete(s);
  }

  /** WSD-OVL-23: everything that was under way on the socket has ended with it. */
  #checkEnded(s: SimulatedSocket): void {
    for (const [overlapped, socket] of this.#pending) {
      if (socket !== s) continue;
      check(!notifies(overlapped), 'an operation has not been completed by the end of WSPCloseSocket');
      check(overlapped.Internal !== WSS_OPERATION_IN_PROGRESS, 'a polled operation goes on after WSPCloseSocket');
      this.#pending.delete(overlapped);
    }
  }
}

function notifies({ hEvent }: WSAOVERLAPPED): boolean {
  return (hEvent & OVERLAPPED_POLL) === 0;
}
