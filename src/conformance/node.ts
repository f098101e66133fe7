/** A started provider with its switch's part, and the calls that scenarios make. */

import assert from 'node:assert/strict';
import {
  AF_INET,
  type ConditionFunction,
  EventObject,
  FD_ACCEPT,
  FD_CONNECT,
  INVALID_SOCKET,
  IPPROTO_TCP,
  MEM_READWRITE,
  type Out,
  type ProviderSocket,
  SIO_GET_EXTENSION_FUNCTION_POINTER,
  SOCK_STREAM,
  type SOCKADDR,
  SOCKET_ERROR,
  tcpipInfo,
  WINSOCK_VERSION,
  WSA_FLAG_OVERLAPPED,
  WSA_IO_PENDING,
  type WSABUF,
  WSAEADDRINUSE,
  WSAEINPROGRESS,
  WSAEWOULDBLOCK,
  WSANETWORKEVENTS,
  type WSAOVERLAPPED,
  type WSAPROTOCOL_INFO,
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
} from '../spi/index.js';
import { type Memory, name, notify, region } from './memory.js';
import type { Party } from './subject.js';
import { SwitchSide } from './switch-side.js';

/** A socket with the event object that was selected for it. */
export interface Selected {
  readonly socket: ProviderSocket;
  readonly event: EventObject;
}

export interface Posted {
  readonly overlapped: WSAOVERLAPPED;
  readonly at: WSABUF;
}

const startsMax = 100;

/** A started provider, with the switch's part. */
export class Node extends SwitchSide {
  readonly party: Party;
  readonly table: WSPPROC_TABLE;
  readonly errno: Out<number> = { value: 0 };

  constructor(party: Party) {
    super();
    this.party = party;
    const out: Out<WSPPROC_TABLE | null> = { value: null };
    assert.equal(this.start(out), 0);
    this.table = out.value!;
  }

  get address(): string {
    return this.party.address;
  }

  /** The end of its process. Nothing can be asked of its provider any more. */
  kill(): void {
    this.party.kill();
    this.dead = true;
  }

  start(
    out: Out<WSPPROC_TABLE | null>,
    version = WINSOCK_VERSION,
    data: WSPDATA = { wVersion: 0, wHighVersion: 0, szDescription: '' },
    info: WSAPROTOCOL_INFO = tcpipInfo,
  ): number {
    return this.party.provider.WSPStartupEx(version, data, info, this.upcalls, out);
  }

  /** The protocol info by which the socket goes on in that process. */
  duplicate(socket: ProviderSocket, processId: number): WSAPROTOCOL_INFO {
    const info = { ...this.party.provider.protocolInfo };
    assert.equal(this.table.WSPDuplicateSocket(socket, processId, info, this.errno), 0);
    return info;
  }

  receive(info: WSAPROTOCOL_INFO): ProviderSocket | typeof INVALID_SOCKET {
    return this.table.WSPSocket(AF_INET, SOCK_STREAM, IPPROTO_TCP, info, 0, WSA_FLAG_OVERLAPPED, this.errno);
  }

  received(info: WSAPROTOCOL_INFO): ProviderSocket {
    const socket = this.receive(info);
    assert.ok(socket !== INVALID_SOCKET);
    return socket;
  }

  /** Asserts that the call failed, and returns its error. */
  failure(result: unknown): number {
    assert.ok(
      result === SOCKET_ERROR || result === INVALID_SOCKET || result === null || result === false,
      'the call failed',
    );
    const { value } = this.errno;
    this.errno.value = 0;
    assert.notEqual(value, WSAEINPROGRESS, 'WSAEINPROGRESS is not used (WSD-BLK-8)');
    assert.notEqual(value, WSAEADDRINUSE, 'WSAEADDRINUSE is not used (WSD-SOC-23)');
    return value;
  }

  /** By which WSPDuplicateSocket names its process. */
  get processId(): number {
    const { processId } = this.party;
    assert.ok(processId !== undefined, 'a provider that declares duplication needs the process ids of its parties');
    return processId;
  }

  /** `port` at this node's address. */
  name(port: number): SOCKADDR {
    return name(port, this.address);
  }

  socket(family = AF_INET): ProviderSocket {
    const socket = this.table.WSPSocket(family, SOCK_STREAM, IPPROTO_TCP, null, 0, WSA_FLAG_OVERLAPPED, this.errno);
    assert.ok(socket !== INVALID_SOCKET);
    return socket;
  }

  bound(port: number, address = this.address): ProviderSocket {
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
  connect(to: SOCKADDR, from: number): Selected {
    const selected = this.select(this.bound(from), FD_CONNECT);
    assert.equal(this.failure(this.connectCall(selected.socket, to)), WSAEWOULDBLOCK);
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

  accept(listener: Selected, condition: ConditionFunction | null = null): ProviderSocket | typeof INVALID_SOCKET {
    return this.table.WSPAccept(listener.socket, null, null, condition, null, this.errno);
  }

  close(socket: ProviderSocket): void {
    assert.equal(this.table.WSPCloseSocket(socket, this.errno), 0);
  }

  /** WSPIoctl for an extension function. */
  fetch(guid: string, out: Out<unknown>, socket: ProviderSocket | typeof INVALID_SOCKET = INVALID_SOCKET): number {
    const { WSPIoctl } = this.table;
    const returned = { value: 0 };
    const code = SIO_GET_EXTENSION_FUNCTION_POINTER;
    return WSPIoctl(socket, code, guid, 16, out, 8, returned, null, null, null, this.errno);
  }

  extension<T>(guid: string): T {
    const out: Out<unknown> = { value: null };
    assert.equal(this.fetch(guid, out), 0);
    return out.value as T;
  }

  /** Null where the provider does not have it. */
  optional<T>(guid: string): T | null {
    const out: Out<unknown> = { value: null };
    return this.fetch(guid, out) === 0 ? (out.value as T) : null;
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

  /** Posts a receive buffer. */
  post(socket: ProviderSocket, size: number, overlapped: WSAOVERLAPPED = notify()): Posted {
    const { memory } = this.memory(socket, size);
    const at: WSABUF = { len: size, buf: memory, offset: 0 };
    assert.equal(this.failure(this.recv(socket, at, overlapped)), WSA_IO_PENDING);
    return { overlapped, at };
  }

  /** The bytes as a message: WSPSend must be done, or go on. */
  say(socket: ProviderSocket, bytes: string | Uint8Array, overlapped: WSAOVERLAPPED = notify()): WSAOVERLAPPED {
    const content = Buffer.from(bytes);
    const { memory } = this.memory(socket, content.length || 8);
    memory.bytes.set(content);
    this.started(this.send(socket, { len: content.length, buf: memory, offset: 0 }, overlapped));
    return overlapped;
  }

  /** Asserts that a transfer is done, or goes on. */
  started(result: number): void {
    if (result !== 0) assert.equal(this.failure(result), WSA_IO_PENDING);
  }

  /** What WSPGetOverlappedResult says: the result, and bytes and error. */
  result(socket: ProviderSocket, overlapped: WSAOVERLAPPED, wait = false): readonly [boolean, number, number] {
    const bytes = { value: -1 };
    this.errno.value = 0;
    const done = this.table.WSPGetOverlappedResult(socket, overlapped, bytes, wait, { value: 0 }, this.errno);
    return [done, bytes.value, this.errno.value];
  }

  /** Cleans up as often as it was started; more starts than these are the provider's invention. */
  stop(): void {
    for (let i = 0; i < startsMax && this.table.WSPCleanup({ value: 0 }) === 0; i++);
  }
}
