/** Two providers that reach each other, used through their tables as a switch uses them. */

import assert from 'node:assert/strict';
import { createTcpipProvider } from '../../src/providers/tcpip/index.js';
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
  type Out,
  type ProviderSocket,
  SIO_GET_EXTENSION_FUNCTION_POINTER,
  SOCK_STREAM,
  type SOCKADDR,
  SOCKET_ERROR,
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
} from '../../src/spi/index.js';
import { type ProviderName, rigs } from './adapters.js';
import { type Memory, name, notify, region } from './memory.js';
import type { Party, Rig, RigOptions } from './rig.js';
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

/** What the switch shows of TCP/IP (WSD-INI-3). */
export const tcpipInfo = createTcpipProvider().protocolInfo;

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
    const result = this.send(socket, { len: content.length, buf: memory, offset: 0 }, overlapped);
    if (result !== 0) assert.equal(this.failure(result), WSA_IO_PENDING);
    return overlapped;
  }

  /** What WSPGetOverlappedResult says: the result, and bytes and error. */
  result(socket: ProviderSocket, overlapped: WSAOVERLAPPED, wait = false): readonly [boolean, number, number] {
    const bytes = { value: -1 };
    this.errno.value = 0;
    const done = this.table.WSPGetOverlappedResult(socket, overlapped, bytes, wait, { value: 0 }, this.errno);
    return [done, bytes.value, this.errno.value];
  }

  stop(): void {
    while (this.table.WSPCleanup({ value: 0 }) === 0);
  }
}

/** A server and a client of one rig. */
export class ProviderBench {
  readonly rig: Rig;
  readonly server: Node;
  readonly client: Node;
  #next: Node | null = null;
  #port = 40_000;

  constructor(provider: ProviderName | Rig, options: RigOptions = {}) {
    this.rig = typeof provider === 'string' ? rigs[provider](options) : provider;
    this.server = new Node(this.rig.server);
    this.client = new Node(this.rig.client);
  }

  /** Another process on the client's host, which some tests need. */
  get next(): Node {
    this.#next ??= new Node(this.rig.next);
    return this.#next;
  }

  until(condition: () => boolean, what: string): Promise<void> {
    return this.rig.until(condition, what);
  }

  get nodes(): readonly Node[] {
    return [this.server, this.client, ...(this.#next === null ? [] : [this.#next])];
  }

  settle(): Promise<void> {
    return this.rig.settle();
  }

  /** A port that nobody has used. */
  port(): number {
    return this.#port++;
  }

  /** A connect of the client to a port of the server that goes on. */
  connecting(port: number): Selected {
    return this.client.connect(this.server.name(port), this.port());
  }

  /** Waits for the end of a connect and returns its error. */
  async outcome(selected: Selected, node = this.client): Promise<number> {
    await this.until(() => selected.event.signalled, 'the connect has ended');
    const events = node.enumerate(selected);
    assert.equal(events.lNetworkEvents, FD_CONNECT);
    return events.iErrorCode[FD_CONNECT_BIT]!;
  }

  /** The error of a connect, whether it is known at once or later; 0 if it succeeds. */
  async attempt(to: SOCKADDR): Promise<number> {
    const selected = this.client.select(this.client.bound(this.port()), FD_CONNECT);
    const result = this.client.connectCall(selected.socket, to);
    if (result === 0) return 0;
    const error = this.client.failure(result);
    return error === WSAEWOULDBLOCK ? this.outcome(selected) : error;
  }

  /** A listener of the server and a request of the client that has arrived there. */
  async requested(backlog = 8): Promise<{ listener: Selected; connecting: Selected; port: number; from: SOCKADDR }> {
    const port = this.port();
    const from = this.port();
    const listener = this.server.listen(port, backlog);
    const connecting = this.client.connect(this.server.name(port), from);
    await this.until(() => listener.event.signalled, 'the request has arrived');
    return { listener, connecting, port, from: this.client.name(from) };
  }

  /** One more request for a listener, after it has arrived. The listener's record is empty before it. */
  async another(listener: Selected, port: number): Promise<Selected> {
    this.server.enumerate(listener);
    const connecting = this.connecting(port);
    await this.until(() => listener.event.signalled, 'one more request has arrived');
    return connecting;
  }

  /** A connection: the client's socket and the server's. */
  async connected(): Promise<{ mine: ProviderSocket; theirs: ProviderSocket }> {
    const { listener, connecting } = await this.requested();
    this.server.enumerate(listener);
    const theirs = this.server.accept(listener);
    assert.ok(theirs !== INVALID_SOCKET);
    assert.equal(await this.outcome(connecting), 0);
    this.server.close(listener.socket);
    for (const node of [this.server, this.client]) node.log.length = 0;
    return { mine: connecting.socket, theirs };
  }

  /** Posts a receive buffer of the server's socket. */
  posted(theirs: ProviderSocket, size = 4096, overlapped = notify()): Posted {
    return this.server.post(theirs, size, overlapped);
  }

  /** Waits for so many completions of the server. */
  async received(count: number): Promise<void> {
    await this.until(() => this.server.completions.length >= count, `${count} receives have completed`);
  }

  close(): void {
    try {
      this.client.stop();
      this.server.stop();
      this.#next?.stop();
    } finally {
      this.rig.close();
    }
  }
}

/** The body of a test, with a bench of its own; what must hold for every test is checked at its end. */
export function on(
  provider: ProviderName,
  body: (bench: ProviderBench) => void | Promise<void>,
  options: RigOptions = {},
): () => Promise<void> {
  return async () => {
    const bench = new ProviderBench(provider, options);
    try {
      await body(bench);
    } finally {
      bench.close();
    }
    for (const node of bench.nodes) node.checkEnd();
  };
}

/** As {@link on}, with a connection. */
export function connectedOn(
  provider: ProviderName,
  body: (bench: ProviderBench, mine: ProviderSocket, theirs: ProviderSocket) => void | Promise<void>,
  options: RigOptions = {},
): () => Promise<void> {
  return on(
    provider,
    async (bench) => {
      const { mine, theirs } = await bench.connected();
      await body(bench, mine, theirs);
    },
    options,
  );
}
