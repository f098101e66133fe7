/** One end of a connection of the shared-memory provider, used through its function table: no switch, no session. */

import { SharedMemoryProvider } from '../../src/providers/shared-memory/provider.js';
import { createTcpipProvider } from '../../src/providers/tcpip/index.js';
import {
  AF_INET,
  CF_ACCEPT,
  EventObject,
  FD_ACCEPT,
  FD_CONNECT,
  INVALID_SOCKET,
  IPPROTO_TCP,
  type MemoryHandle,
  type MemoryRegion,
  type ProviderMemoryExtension,
  ProviderMemoryGuid,
  type ProviderSocket,
  SIO_GET_EXTENSION_FUNCTION_POINTER,
  SOCK_STREAM,
  WINSOCK_VERSION,
  WSA_FLAG_OVERLAPPED,
  WSA_IO_PENDING,
  type WSABUF,
  WSAOVERLAPPED,
  type WSPDeregisterRdmaMemory,
  WSPDeregisterRdmaMemoryGuid,
  type WSPPROC_TABLE,
  type WSPRdmaRead,
  WSPRdmaReadGuid,
  type WSPRdmaWrite,
  WSPRdmaWriteGuid,
  type WSPRegisterMemory,
  WSPRegisterMemoryGuid,
  type WSPRegisterRdmaMemory,
  WSPRegisterRdmaMemoryGuid,
} from '../../src/spi/index.js';
import { type Handle, Upcalls } from '../../src/switch/upcalls.js';

const buffers = 64;
const bufferSize = 16 * 1024 + 16;
const name = (port: number) => ({ sa_family: AF_INET, address: '127.0.0.1', port });

/** A message: a word that says what it is, a second word, and bytes. */
export type Receive = (kind: number, value: number, bytes: Uint8Array) => void;

export class ProviderEnd {
  readonly provider: SharedMemoryProvider;
  readonly #upcalls = new Upcalls();
  readonly #table: WSPPROC_TABLE;
  readonly #errno = { value: 0 };
  readonly #ended = new Map<WSAOVERLAPPED, (bytes: number) => void>();
  #socket!: ProviderSocket;
  #handle!: Handle;
  onMessage: Receive = () => {};

  /** `directory`: where the two find each other. */
  constructor(directory: string, peerMemory: boolean) {
    this.provider = new SharedMemoryProvider({
      environment: { SOCKETS_DIRECT_DIR: directory, SOCKETS_DIRECT_PEER_MEMORY: peerMemory ? '' : 'off' },
      now: () => performance.now() * 1000,
      random: () => 0,
      count: (reason) => console.error(reason),
      connectBudget: 10_000,
      scheduler: {
        soon: (task) => {
          setImmediate(task);
        },
        later: (task, milliseconds) => {
          const timer = setTimeout(task, milliseconds);
          return () => clearTimeout(timer);
        },
      },
    });
    const out: { value: WSPPROC_TABLE | null } = { value: null };
    const data = { wVersion: 0, wHighVersion: 0, szDescription: '' };
    this.provider.WSPStartupEx(WINSOCK_VERSION, data, createTcpipProvider().protocolInfo, this.#upcalls.table, out);
    this.#table = out.value!;
  }

  #open(port: number): void {
    const { WSPSocket, WSPBind } = this.#table;
    const socket = WSPSocket(AF_INET, SOCK_STREAM, IPPROTO_TCP, null, 0, WSA_FLAG_OVERLAPPED, this.#errno);
    if (socket === INVALID_SOCKET) throw new Error('no socket');
    this.#socket = socket;
    this.#handle = this.#upcalls.takeCreated()!;
    this.#check(WSPBind(socket, name(port), 16, this.#errno));
  }

  #check(result: number): void {
    if (result !== 0 && this.#errno.value !== WSA_IO_PENDING) throw new Error(`error ${this.#errno.value}`);
  }

  async accept(port: number, listening: () => void): Promise<void> {
    this.#open(port);
    const event = new EventObject();
    const listener = this.#socket;
    this.#check(this.#table.WSPEventSelect(listener, event, FD_ACCEPT, this.#errno));
    this.#check(this.#table.WSPListen(listener, 8, this.#errno));
    listening();
    await until(() => event.signalled);
    const socket = this.#table.WSPAccept(listener, null, null, () => CF_ACCEPT, null, this.#errno);
    if (socket === INVALID_SOCKET) throw new Error(`accept: ${this.#errno.value}`);
    this.#socket = socket;
    this.#handle = this.#upcalls.takeCreated()!;
    this.#begin();
  }

  async connect(port: number, from: number): Promise<void> {
    this.#open(from);
    const event = new EventObject();
    this.#check(this.#table.WSPEventSelect(this.#socket, event, FD_CONNECT, this.#errno));
    this.#table.WSPConnect(this.#socket, name(port), 16, null, null, null, null, this.#errno);
    await until(() => event.signalled);
    this.#begin();
  }

  #begin(): void {
    const memory = this.#extension<ProviderMemoryExtension>(ProviderMemoryGuid);
    this.#handle.target = { completed: (overlapped, error, bytes) => this.#completed(overlapped, error, bytes) };
    for (let k = 0; k < buffers; k++) {
      const buf = memory.WSPAllocateReceiveMemory(bufferSize, this.#errno)!;
      this.#post(Object.assign(new WSAOVERLAPPED(), { list: [{ len: bufferSize, buf, offset: 0 }] }));
    }
    this.#memory = memory;
  }

  #memory!: ProviderMemoryExtension;

  #post(receive: WSAOVERLAPPED & { list: readonly WSABUF[] }): void {
    this.#check(
      this.#table.WSPRecv(this.#socket, receive.list, 1, null, { value: 0 }, receive, null, null, this.#errno),
    );
  }

  #completed(overlapped: WSAOVERLAPPED, error: number, bytes: number): void {
    if (error !== 0) throw new Error(`completed with ${error}`);
    const ended = this.#ended.get(overlapped);
    if (ended !== undefined) {
      this.#ended.delete(overlapped);
      ended(bytes);
      return;
    }
    if (!('list' in overlapped)) return;
    const receive = overlapped as WSAOVERLAPPED & { list: readonly WSABUF[] };
    const { buf } = receive.list[0]!;
    this.onMessage(buf.words[0]!, buf.words[1]!, buf.bytes.subarray(16, bytes));
    this.#post(receive);
  }

  #extension<T>(guid: string): T {
    const out: { value: unknown } = { value: null };
    const code = SIO_GET_EXTENSION_FUNCTION_POINTER;
    const { WSPIoctl } = this.#table;
    this.#check(WSPIoctl(this.#socket, code, guid, 16, out, 8, { value: 0 }, null, null, null, this.#errno));
    return out.value as T;
  }

  readonly #wire: WSABUF = { len: 0, buf: { bytes: new Uint8Array(0), words: new Int32Array(0) }, offset: 0 };

  send(kind: number, value = 0, bytes: Uint8Array = new Uint8Array(0)): void {
    const wire = this.#wire;
    this.#check(this.#memory.WSPGetSendBuffer(this.#socket, 16 + bytes.length, wire, this.#errno));
    const i = wire.offset >> 2;
    wire.buf.words[i] = kind;
    wire.buf.words[i + 1] = value;
    wire.buf.bytes.set(bytes, wire.offset + 16);
    wire.len = 16 + bytes.length;
    const overlapped = new WSAOVERLAPPED();
    const { WSPSend } = this.#table;
    this.#check(WSPSend(this.#socket, [wire], 1, null, 0, overlapped, null, null, this.#errno));
  }

  register(region: MemoryRegion, flags: number): MemoryHandle {
    const register = this.#extension<WSPRegisterMemory>(WSPRegisterMemoryGuid);
    return register(this.#socket, region, 0, region.bytes.length, flags, this.#errno)!;
  }

  readonly #functions = new Map<string, unknown>();

  #cached<T>(guid: string): T {
    if (!this.#functions.has(guid)) this.#functions.set(guid, this.#extension(guid));
    return this.#functions.get(guid) as T;
  }

  expose(region: MemoryRegion, length: number, flags: number): Uint8Array {
    const descriptor = new Uint8Array(16);
    const register = this.#cached<WSPRegisterRdmaMemory>(WSPRegisterRdmaMemoryGuid);
    this.#check(register(this.#socket, region, 0, length, flags, descriptor, { value: 16 }, this.#errno));
    return descriptor;
  }

  hide(descriptor: Uint8Array): void {
    const deregister = this.#cached<WSPDeregisterRdmaMemory>(WSPDeregisterRdmaMemoryGuid);
    this.#check(deregister(this.#socket, descriptor, 16, this.#errno));
  }

  /** WSPRdmaRead or WSPRdmaWrite of the first bytes of local memory; resolves at its end. */
  transfer(
    read: boolean,
    buf: MemoryRegion,
    handle: MemoryHandle,
    len: number,
    descriptor: Uint8Array,
  ): Promise<number> {
    const move = this.#cached<WSPRdmaRead | WSPRdmaWrite>(read ? WSPRdmaReadGuid : WSPRdmaWriteGuid);
    return new Promise((resolve) => {
      const overlapped = new WSAOVERLAPPED();
      this.#ended.set(overlapped, resolve);
      const list = [{ buf, handle, len, offset: 0 }];
      this.#check(move(this.#socket, list, 1, descriptor, 16, 0, null, 0, overlapped, null, null, this.#errno));
    });
  }
}

export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(setImmediate);
}

export function regionOf(size: number): MemoryRegion {
  const memory = new ArrayBuffer(size);
  return { bytes: new Uint8Array(memory), words: new Int32Array(memory) };
}
