/** Two simulated providers used through their tables, as the switch uses them. */

import assert from 'node:assert/strict';
import { SimulatedProvider } from '../../src/providers/simulated/provider.js';
import type { SimulatedOptions } from '../../src/providers/simulated/settings.js';
import { World } from '../../src/providers/simulated/world.js';
import { createTcpipProvider } from '../../src/providers/tcpip/index.js';
import {
  AF_INET,
  EventObject,
  FD_ACCEPT,
  FD_CONNECT,
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
  WINSOCK_VERSION,
  WSA_FLAG_OVERLAPPED,
  WSANETWORKEVENTS,
  WSAOVERLAPPED,
  type WSPPROC_TABLE,
  type WSPRegisterMemory,
  WSPRegisterMemoryGuid,
} from '../../src/spi/index.js';
import { Upcalls } from '../../src/switch/upcalls.js';

export const serverName: SOCKADDR = { sa_family: AF_INET, address: '10.1.0.2', port: 80 };

/** A provider with the switch's part. */
export class Side {
  readonly provider: SimulatedProvider;
  readonly table: WSPPROC_TABLE;
  readonly upcalls = new Upcalls();
  readonly errno: Out<number> = { value: 0 };

  constructor(world: World, address: string, options: Partial<SimulatedOptions>) {
    this.provider = new SimulatedProvider(world.process(), { addresses: [`${address}/24`], ...options });
    const out: Out<WSPPROC_TABLE | null> = { value: null };
    const data = { wVersion: 0, wHighVersion: 0, szDescription: '' };
    const { protocolInfo } = createTcpipProvider();
    assert.equal(this.provider.WSPStartupEx(WINSOCK_VERSION, data, protocolInfo, this.upcalls.table, out), 0);
    this.table = out.value!;
  }

  bound(address: string, port: number): ProviderSocket {
    const socket = this.table.WSPSocket(AF_INET, SOCK_STREAM, IPPROTO_TCP, null, 0, WSA_FLAG_OVERLAPPED, this.errno);
    assert.ok(socket !== INVALID_SOCKET);
    assert.equal(this.table.WSPBind(socket, { sa_family: AF_INET, address, port }, 16, this.errno), 0);
    return socket;
  }

  extension<T>(guid: string): T | null {
    const out: Out<unknown> = { value: null };
    const code = SIO_GET_EXTENSION_FUNCTION_POINTER;
    const ioctl = this.table.WSPIoctl(
      INVALID_SOCKET,
      code,
      guid,
      16,
      out,
      8,
      { value: 0 },
      null,
      null,
      null,
      this.errno,
    );
    return ioctl === 0 ? (out.value as T) : null;
  }

  memory(socket: ProviderSocket, size: number, access = MEM_READWRITE): { region: MemoryRegion; handle: MemoryHandle } {
    const buffer = new ArrayBuffer((size + 7) & ~7);
    const region = { bytes: new Uint8Array(buffer), words: new Int32Array(buffer) };
    const register = this.extension<WSPRegisterMemory>(WSPRegisterMemoryGuid)!;
    const handle = register(socket, region, 0, size, access, this.errno);
    assert.ok(handle !== null);
    return { region, handle };
  }

  /** Posts memory of its own. */
  receive(socket: ProviderSocket, size: number): { overlapped: WSAOVERLAPPED; region: MemoryRegion } {
    const { region } = this.memory(socket, size);
    const overlapped = new WSAOVERLAPPED();
    const list = [{ buf: region, offset: 0, len: size }];
    this.table.WSPRecv(socket, list, 1, null, { value: 0 }, overlapped, null, null, this.errno);
    return { overlapped, region };
  }

  send(socket: ProviderSocket, text: string): WSAOVERLAPPED {
    const { region } = this.memory(socket, text.length);
    region.bytes.set(Buffer.from(text));
    const overlapped = new WSAOVERLAPPED();
    const list = [{ buf: region, offset: 0, len: text.length }];
    this.table.WSPSend(socket, list, 1, null, 0, overlapped, null, null, this.errno);
    return overlapped;
  }
}

/** Two sides and a connection between them. */
export function connected(options: Partial<SimulatedOptions>): {
  world: World;
  client: Side;
  server: Side;
  mine: ProviderSocket;
  theirs: ProviderSocket;
} {
  const world = new World(1);
  const client = new Side(world, '10.1.0.1', options);
  const server = new Side(world, '10.1.0.2', options);
  const listening = server.bound('10.1.0.2', 80);
  const accepts = new EventObject();
  server.table.WSPListen(listening, 4, server.errno);
  server.table.WSPEventSelect(listening, accepts, FD_ACCEPT, server.errno);
  const mine = client.bound('10.1.0.1', 40_000);
  const connects = new EventObject();
  client.table.WSPEventSelect(mine, connects, FD_CONNECT, client.errno);
  client.table.WSPConnect(mine, serverName, 16, null, null, null, null, client.errno);
  assert.ok(world.runUntil(() => accepts.signalled));
  const theirs = server.table.WSPAccept(listening, null, null, null, null, server.errno);
  assert.ok(theirs !== INVALID_SOCKET);
  assert.ok(world.runUntil(() => connects.signalled));
  client.table.WSPEnumNetworkEvents(mine, connects, new WSANETWORKEVENTS(), client.errno);
  return { world, client, server, mine, theirs };
}
