/**
 * What the conformance kit needs of TCP/IP. It is no SAN provider: the switch calls it in another form, it has no messages,
 * no registered memory and no switch handles. So it is shown to the kit behind a table with what both forms have, with the
 * events of its queue and its connects as network events, and only scenarios that hold for every carrier apply.
 */

import type { Party, Subject } from '../../conformance/index.js';
import {
  type EventObject,
  FD_ACCEPT,
  FD_CONNECT,
  FD_CONNECT_BIT,
  INVALID_SOCKET,
  type Out,
  type ProviderSocket,
  type SanServiceProvider,
  SOCKET_ERROR,
  type SwitchHandle,
  WINSOCK_VERSION,
  WSAENOTSOCK,
  WSAEOPNOTSUPP,
  type WSPPROC_TABLE,
  type WSPUPCALLTABLEEX,
} from '../../spi/index.js';
import * as providerModule from './provider.js';
import { createTcpipProvider, type TcpipDescriptor, type TcpipServiceProvider } from './provider.js';

/** A descriptor of TCP/IP with what a SAN socket has besides. */
class Descriptor implements ProviderSocket {
  event: EventObject | null = null;
  mask = 0;
  occurred = 0;
  connectError = 0;
  handle: SwitchHandle | null = null;

  constructor(readonly socket: TcpipDescriptor) {}

  get spi(): 'ProviderSocket' {
    return 'ProviderSocket';
  }

  record(event: number): void {
    this.occurred |= event;
    if ((this.mask & event) !== 0) this.event?.set();
  }
}

/** One process's TCP/IP. */
class Face implements SanServiceProvider {
  readonly name = 'tcpip';
  readonly #tcpip: TcpipServiceProvider = createTcpipProvider();
  readonly protocolInfo = this.#tcpip.protocolInfo;
  readonly #open = new Set<Descriptor>();
  #upcalls!: WSPUPCALLTABLEEX;
  #starts = 0;

  readonly WSPStartupEx: SanServiceProvider['WSPStartupEx'] = (_version, data, _info, upcalls, table) => {
    this.#upcalls = upcalls;
    this.#starts++;
    data.wVersion = WINSOCK_VERSION;
    data.wHighVersion = WINSOCK_VERSION;
    table.value = this.#table as WSPPROC_TABLE;
    return 0;
  };

  #add(socket: TcpipDescriptor, lpErrno: Out<number>): Descriptor {
    const descriptor = new Descriptor(socket);
    const handle = this.#upcalls.WPUCreateSocketHandle(this.protocolInfo.dwCatalogEntryId, descriptor, lpErrno);
    if (handle !== INVALID_SOCKET) descriptor.handle = handle;
    this.#open.add(descriptor);
    return descriptor;
  }

  #close(descriptor: Descriptor, lpErrno: Out<number>): number {
    this.#open.delete(descriptor);
    const result = this.#tcpip.WSPCloseSocket(descriptor.socket, lpErrno);
    if (descriptor.handle !== null) this.#upcalls.WPUCloseSocketHandle(descriptor.handle, lpErrno);
    return result;
  }

  #with(s: unknown, lpErrno: Out<number>, body: (descriptor: Descriptor) => number): number {
    if (s instanceof Descriptor && this.#open.has(s)) return body(s);
    lpErrno.value = WSAENOTSOCK;
    return SOCKET_ERROR;
  }

  readonly #table: Partial<WSPPROC_TABLE> = {
    WSPSocket: (af, type, protocol, _info, _group, _flags, lpErrno) => {
      const socket = this.#tcpip.WSPSocket(af, type, protocol, lpErrno);
      return socket === INVALID_SOCKET ? INVALID_SOCKET : this.#add(socket, lpErrno);
    },
    WSPBind: (s, name, namelen, lpErrno) =>
      this.#with(s, lpErrno, ({ socket }) => this.#tcpip.WSPBind(socket, name, namelen, lpErrno)),
    WSPListen: (s, backlog, lpErrno) =>
      this.#with(s, lpErrno, (listener) => {
        const result = this.#tcpip.WSPListen(listener.socket, backlog, lpErrno);
        if (listener.socket.queue !== null) listener.socket.queue.onarrival = () => listener.record(FD_ACCEPT);
        return result;
      }),
    WSPAccept: (s, _addr, _addrlen, condition, callbackData, lpErrno) => {
      let accepted: Descriptor | typeof INVALID_SOCKET = INVALID_SOCKET;
      this.#with(s, lpErrno, (listener) => {
        const arrival = this.#tcpip.WSPAccept(listener.socket, condition, callbackData, lpErrno);
        if (arrival === INVALID_SOCKET) return SOCKET_ERROR;
        listener.socket.queue?.remove(arrival.socket);
        accepted = this.#add(arrival.socket, lpErrno);
        return 0;
      });
      return accepted;
    },
    WSPConnect: (s, name, namelen, callerData, calleeData, sqos, gqos, lpErrno) =>
      this.#with(s, lpErrno, (connecting) => {
        const { socket } = connecting;
        this.#tcpip.expectConnect(socket, (error) => {
          connecting.connectError = error;
          connecting.record(FD_CONNECT);
        });
        return this.#tcpip.WSPConnect(socket, name, namelen, callerData, calleeData, sqos, gqos, lpErrno);
      }),
    WSPEventSelect: (s, event, mask, lpErrno) =>
      this.#with(s, lpErrno, (descriptor) => {
        descriptor.event = event;
        descriptor.mask = mask;
        if ((descriptor.occurred & mask) !== 0) event?.set();
        return 0;
      }),
    WSPEnumNetworkEvents: (s, event, events, lpErrno) =>
      this.#with(s, lpErrno, (descriptor) => {
        events.lNetworkEvents = descriptor.occurred;
        events.iErrorCode[FD_CONNECT_BIT] = descriptor.connectError;
        descriptor.occurred = 0;
        event?.reset();
        return 0;
      }),
    WSPCloseSocket: (s, lpErrno) => this.#with(s, lpErrno, (descriptor) => this.#close(descriptor, lpErrno)),
    WSPCleanup: (lpErrno) => {
      if (--this.#starts < 0) {
        lpErrno.value = WSAEOPNOTSUPP;
        return SOCKET_ERROR;
      }
      for (const descriptor of [...this.#open]) this.#close(descriptor, lpErrno);
      return 0;
    },
  };
}

/** Of the loopback network, where hardly anybody else binds anything. */
const party = (): Party => ({
  provider: new Face(),
  address: '127.83.68.2',
  others: ['127.83.68.3', '127.83.68.4'],
  kill: () => {},
});

/** Below the ports that systems give to connects, and another place for each process: a wildcard listener meets them all. */
const firstPort = 10_000 + (process.pid % 200) * 100;

const subject: Subject = {
  name: 'tcpip',
  carrier: 'tcpip',
  capabilities: {
    flowControl: false,
    rdmaWrite: false,
    rdmaRead: false,
    registrationCache: false,
    duplication: false,
    loopback: true,
    hosts: true,
    providerMemory: false,
  },
  module: async () => providerModule,
  open: () => ({ server: party(), client: party(), firstPort, close: () => {} }),
};
export default subject;
