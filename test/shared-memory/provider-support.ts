/** Providers of two event loops, in one process, used through their tables as the switch uses them. */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SharedMemoryProvider } from '../../src/providers/shared-memory/provider.js';
import {
  AF_INET,
  type ConditionFunction,
  EventObject,
  FD_ACCEPT,
  FD_CONNECT,
  FD_CONNECT_BIT,
  INVALID_SOCKET,
  IPPROTO_TCP,
  MEM_READWRITE,
  type MemoryHandle,
  type MemoryRegion,
  type Out,
  type ProviderSocket,
  SIO_GET_EXTENSION_FUNCTION_POINTER,
  SOCK_STREAM,
  type SOCKADDR,
  SOCKET_ERROR,
  type SwitchHandle,
  WINSOCK_VERSION,
  WSA_FLAG_OVERLAPPED,
  type WSABUF,
  type WSABUFEX,
  WSAENOBUFS,
  WSAEWOULDBLOCK,
  WSANETWORKEVENTS,
  type WSAOVERLAPPED,
  type WSPDATA,
  type WSPDeregisterMemory,
  WSPDeregisterMemoryGuid,
  type WSPDeregisterRdmaMemory,
  WSPDeregisterRdmaMemoryGuid,
  type WSPPROC_TABLE,
  type WSPRdmaWrite,
  WSPRdmaWriteGuid,
  type WSPRegisterMemory,
  WSPRegisterMemoryGuid,
  type WSPRegisterRdmaMemory,
  WSPRegisterRdmaMemoryGuid,
  type WSPUPCALLTABLEEX,
} from '../../src/spi/index.js';
import { until } from '../link/support.js';
import { region } from './link-support.js';

export interface SentUp {
  readonly handle: SwitchHandle;
  readonly overlapped: WSAOVERLAPPED;
  readonly error: number;
  readonly bytes: number;
}

class Handle implements SwitchHandle {
  readonly spi = 'SwitchHandle';
  constructor(readonly context: unknown) {}
}

/** A provider with the switch's part: an up-call table that keeps a record of every call. */
export class Node {
  readonly provider: SharedMemoryProvider;
  readonly table: WSPPROC_TABLE;
  readonly errno: Out<number> = { value: 0 };
  /** Up-calls in their order. */
  readonly log: string[] = [];
  readonly completions: SentUp[] = [];
  readonly created: SwitchHandle[] = [];
  /** Why links and connections were ended, and peers refused. */
  readonly reasons: string[] = [];
  onUpcall: ((what: string) => void) | null = null;
  handlesLeft = Number.POSITIVE_INFINITY;
  readonly upcalls: WSPUPCALLTABLEEX;

  constructor(directory: string, connectBudget = 5000) {
    this.provider = new SharedMemoryProvider({
      environment: { SOCKETS_DIRECT_DIR: directory },
      now: () => performance.now() * 1000,
      random: () => 0,
      count: (reason) => this.reasons.push(reason),
      connectBudget,
    });
    this.upcalls = this.#upcallTable();
    const out: Out<WSPPROC_TABLE | null> = { value: null };
    assert.equal(this.start(out), 0);
    this.table = out.value!;
  }

  start(
    out: Out<WSPPROC_TABLE | null>,
    version = WINSOCK_VERSION,
    data: WSPDATA = { wVersion: 0, wHighVersion: 0, szDescription: '' },
  ): number {
    return this.provider.WSPStartupEx(version, data, this.provider.protocolInfo, this.upcalls, out);
  }

  #upcallTable(): WSPUPCALLTABLEEX {
    const say = (what: string): void => {
      this.log.push(what);
      this.onUpcall?.(what);
    };
    const none = (): never => assert.fail('this up-call is not expected');
    return {
      WPUCloseEvent: none,
      WPUCloseSocketHandle: (s) => {
        assert.ok(this.created.includes(s), 'a handle that was made here');
        say(`close ${this.created.indexOf(s)}`);
        return 0;
      },
      WPUCreateEvent: () => new EventObject(),
      WPUCreateSocketHandle: (_id, context, lpErrno) => {
        if (this.handlesLeft-- <= 0) {
          lpErrno.value = WSAENOBUFS;
          return INVALID_SOCKET;
        }
        const handle = new Handle(context);
        this.created.push(handle);
        say(`create ${this.created.length - 1}`);
        return handle;
      },
      WPUFDIsSet: none,
      WPUGetProviderPath: none,
      WPUModifyIFSHandle: none,
      WPUPostMessage: none,
      WPUQueryBlockingCallback: none,
      WPUQuerySocketHandleContext: none,
      WPUQueueApc: none,
      WPUResetEvent: (event) => {
        event.reset();
        say('reset');
        return true;
      },
      WPUSetEvent: (event) => {
        event.set();
        say('set');
        return true;
      },
      WPUOpenCurrentThread: none,
      WPUCloseThread: none,
      WPUCompleteOverlappedRequest: (handle, overlapped, error, bytes) => {
        overlapped.InternalHigh = bytes;
        overlapped.Internal = error;
        this.completions.push({ handle, overlapped, error, bytes });
        say(`complete ${this.created.indexOf(handle)} ${error} ${bytes}`);
        return 0;
      },
    };
  }

  /** Asserts that the call failed, and returns its error. */
  failure(result: unknown): number {
    assert.ok(
      result === SOCKET_ERROR || result === INVALID_SOCKET || result === null || result === false,
      'the call failed',
    );
    const { value } = this.errno;
    this.errno.value = 0;
    return value;
  }

  socket(family = AF_INET): ProviderSocket {
    const socket = this.table.WSPSocket(family, SOCK_STREAM, IPPROTO_TCP, null, 0, WSA_FLAG_OVERLAPPED, this.errno);
    assert.ok(socket !== INVALID_SOCKET);
    return socket;
  }

  bound(port: number, address = '127.0.0.1'): ProviderSocket {
    const socket = this.socket();
    assert.equal(this.table.WSPBind(socket, name(port, address), 16, this.errno), 0);
    return socket;
  }

  listen(port: number, backlog = 8): Selected {
    const socket = this.bound(port);
    assert.equal(this.table.WSPListen(socket, backlog, this.errno), 0);
    return this.select(socket, FD_ACCEPT);
  }

  select(socket: ProviderSocket, mask: number): Selected {
    const event = new EventObject();
    assert.equal(this.table.WSPEventSelect(socket, event, mask, this.errno), 0);
    return { socket, event };
  }

  /** Starts a connect. */
  connect(port: number, from: number): Selected {
    const selected = this.select(this.bound(from), FD_CONNECT);
    assert.equal(this.failure(this.connectCall(selected.socket, name(port))), WSAEWOULDBLOCK);
    return selected;
  }

  connectCall(socket: ProviderSocket, to: SOCKADDR): number {
    return this.table.WSPConnect(socket, to, 16, null, null, null, null, this.errno);
  }

  enumerate({ socket, event }: Selected): WSANETWORKEVENTS {
    const events = new WSANETWORKEVENTS();
    assert.equal(this.table.WSPEnumNetworkEvents(socket, event, events, this.errno), 0);
    return events;
  }

  /** Waits for the end of a connect and returns its error. */
  async connected(selected: Selected): Promise<number> {
    await until(() => selected.event.signalled, 'the connect has ended');
    const events = this.enumerate(selected);
    assert.equal(events.lNetworkEvents, FD_CONNECT);
    return events.iErrorCode[FD_CONNECT_BIT]!;
  }

  accept(listener: Selected, condition: ConditionFunction | null = null): ProviderSocket | typeof INVALID_SOCKET {
    return this.table.WSPAccept(listener.socket, null, null, condition, null, this.errno);
  }

  close(socket: ProviderSocket): void {
    assert.equal(this.table.WSPCloseSocket(socket, this.errno), 0);
  }

  extension<T>(guid: string): T {
    const out: Out<unknown> = { value: null };
    const returned = { value: 0 };
    const result = this.table.WSPIoctl(
      INVALID_SOCKET,
      SIO_GET_EXTENSION_FUNCTION_POINTER,
      guid,
      16,
      out,
      8,
      returned,
      null,
      null,
      null,
      this.errno,
    );
    assert.equal(result, 0);
    return out.value as T;
  }

  readonly registerMemory: WSPRegisterMemory = (...args) =>
    this.extension<WSPRegisterMemory>(WSPRegisterMemoryGuid)(...args);
  readonly deregisterMemory: WSPDeregisterMemory = (...args) =>
    this.extension<WSPDeregisterMemory>(WSPDeregisterMemoryGuid)(...args);
  readonly registerRdma: WSPRegisterRdmaMemory = (...args) =>
    this.extension<WSPRegisterRdmaMemory>(WSPRegisterRdmaMemoryGuid)(...args);
  readonly deregisterRdma: WSPDeregisterRdmaMemory = (...args) =>
    this.extension<WSPDeregisterRdmaMemory>(WSPDeregisterRdmaMemoryGuid)(...args);
  readonly rdmaWrite: WSPRdmaWrite = (...args) => this.extension<WSPRdmaWrite>(WSPRdmaWriteGuid)(...args);

  /** Memory that is registered for everything. */
  memory(socket: ProviderSocket, size: number): Memory {
    const memory = region(size);
    const handle = this.registerMemory(socket, memory, 0, size, MEM_READWRITE, this.errno);
    assert.ok(handle !== null);
    return { memory, handle };
  }

  recv(socket: ProviderSocket, buffer: WSABUF, overlapped: WSAOVERLAPPED): number {
    return this.table.WSPRecv(socket, [buffer], 1, null, { value: 0 }, overlapped, null, null, this.errno);
  }

  send(socket: ProviderSocket, buffer: WSABUF, overlapped: WSAOVERLAPPED): number {
    return this.table.WSPSend(socket, [buffer], 1, null, 0, overlapped, null, null, this.errno);
  }

  /** What WSPGetOverlappedResult says: the result, and bytes and error. */
  result(socket: ProviderSocket, overlapped: WSAOVERLAPPED): readonly [boolean, number, number] {
    const bytes = { value: -1 };
    this.errno.value = 0;
    const done = this.table.WSPGetOverlappedResult(socket, overlapped, bytes, false, { value: 0 }, this.errno);
    return [done, bytes.value, this.errno.value];
  }

  stop(): void {
    while (this.table.WSPCleanup({ value: 0 }) === 0);
  }
}

export interface Memory {
  readonly memory: MemoryRegion;
  readonly handle: MemoryHandle;
}

/** A socket with the event object that was selected for it. */
export interface Selected {
  readonly socket: ProviderSocket;
  readonly event: EventObject;
}

export function name(port: number, address = '127.0.0.1'): SOCKADDR {
  return { sa_family: AF_INET, address, port };
}

export function buffer({ memory, handle }: Memory, offset = 0, len = memory.bytes.length - offset): WSABUFEX {
  return { len, buf: memory, offset, handle };
}

/** A server and a client in a directory of their own. */
export class Bench {
  readonly directory = mkdtempSync(join(tmpdir(), 'sockets-direct-test-'));
  readonly server: Node;
  readonly client: Node;
  // Nothing of a provider keeps a process alive.
  readonly #alive = setInterval(() => {}, 60_000);
  #port = 40_000;

  constructor(connectBudget?: number) {
    this.server = new Node(this.directory, connectBudget);
    this.client = new Node(this.directory, connectBudget);
  }

  port(): number {
    return this.#port++;
  }

  /** A listener of the server and a request of the client that has arrived there. */
  async requested(backlog = 8): Promise<{ listener: Selected; connecting: Selected; port: number }> {
    const port = this.port();
    const listener = this.server.listen(port, backlog);
    const connecting = this.client.connect(port, this.port());
    await until(() => listener.event.signalled, 'the request has arrived');
    return { listener, connecting, port };
  }

  /** A connection: the client's socket and the server's. */
  async connected(): Promise<{ mine: ProviderSocket; theirs: ProviderSocket }> {
    const { listener, connecting } = await this.requested();
    this.server.enumerate(listener);
    const theirs = this.server.accept(listener);
    assert.ok(theirs !== INVALID_SOCKET);
    assert.equal(await this.client.connected(connecting), 0);
    this.server.close(listener.socket);
    for (const node of [this.server, this.client]) node.log.length = 0;
    return { mine: connecting.socket, theirs };
  }

  close(): void {
    this.client.stop();
    this.server.stop();
    clearInterval(this.#alive);
    rmSync(this.directory, { recursive: true, force: true });
  }
}
