/**
 * A switch in one process for tests of `src/net`: two ends of a byte stream with TCP's semantics, a poller that delivers
 * several events in one turn of the event loop, and back-pressure.
 */

import { AsyncResource } from 'node:async_hooks';
import type { Reason } from '../../src/diagnostics/reasons.js';
import type { SocketSwitch } from '../../src/net/index.js';
import { createTcpipProvider, type TcpipSocket } from '../../src/providers/tcpip/provider.js';
import {
  AF_INET,
  AF_INET6,
  CF_ACCEPT,
  type SOCKADDR,
  WSA_OPERATION_ABORTED,
  WSAECONNREFUSED,
  WSAECONNRESET,
} from '../../src/spi/index.js';
import type {
  AcceptHandler,
  ConnectHandler,
  ConnectionEvents,
  SanConnection,
  SwitchSocket,
} from '../../src/switch/face.js';

/** Bytes that may lie unread before writers wait. */
const capacity = 1 << 20;
const largestDelivery = 65536;
const bytesPerTurn = 262144;

const root = new AsyncResource('FAKESWITCH');

/** Runs in a later turn, in no program's context. */
function later(callback: () => void): void {
  root.runInAsyncScope(setImmediate, null, callback);
}

const counters = { connections: 0, listeners: 0, fallbacks: 0 };
/** What the fake switch has done so far. */
export const fakeCounters: Readonly<typeof counters> = counters;

/** All ends with something to deliver; one turn serves them all. */
const ready = new Set<FakeConnection>();

/** Completions of requests come before what arrives: libuv has a phase for them ahead of polling. */
let completions: (() => void)[] = [];
let scheduled = false;

function wake(): void {
  if (!scheduled) later(poll);
  scheduled = true;
}

function schedule(end: FakeConnection): void {
  ready.add(end);
  wake();
}

function complete(callback: () => void): void {
  completions.push(callback);
  wake();
}

function poll(): void {
  scheduled = false;
  const first = completions;
  completions = [];
  for (const callback of first) callback();
  const batch = [...ready];
  ready.clear();
  for (const end of batch) end.deliver();
}

class FakeConnection implements SanConnection {
  largeThreshold = Number.POSITIVE_INFINITY;
  readonly provider = 'fake';
  events: ConnectionEvents | null = null;
  readonly localAddress: SOCKADDR;
  readonly peerAddress: SOCKADDR;
  peer!: FakeConnection;
  #incoming: Buffer[] = [];
  #incomingBytes = 0;
  #reading = false;
  #closed = false;
  #finReceived = false;
  #finSent = false;
  #error = 0;
  /** Nothing more will be delivered. */
  #over = false;
  /** The peer has answered a write after its end with a reset. */
  #warned = false;
  #waiting: { bytes: number; done: (wsaError: number) => void }[] = [];

  constructor(local: SOCKADDR, peer: SOCKADDR) {
    this.localAddress = local;
    this.peerAddress = peer;
  }

  get writeQueueSize(): number {
    return this.#waiting.length === 0 ? 0 : this.peer.#incomingBytes;
  }

  write(chunk: Uint8Array, done: (wsaError: number) => void): boolean {
    return this.writev([chunk], done);
  }

  /** Its peers are sockets of node:net, which never see an urgent byte. */
  writeUrgent(chunk: Uint8Array, done: (wsaError: number) => void): boolean {
    return this.writev([chunk.subarray(0, -1)], done);
  }

  writev(chunks: readonly Uint8Array[], done: (wsaError: number) => void): boolean {
    const bytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    if (this.#error !== 0) return this.#refuse(done);
    const { peer } = this;
    if (peer.#closed) {
      if (this.#warned || bytes > capacity) return this.#refuse(done);
      this.#warned = true;
      this.#lose();
      return true;
    }
    for (const chunk of chunks) peer.#incoming.push(Buffer.from(chunk));
    peer.#incomingBytes += bytes;
    if (peer.#reading) schedule(peer);
    if (peer.#incomingBytes <= capacity) return true;
    this.#waiting.push({ bytes, done });
    return false;
  }

  #refuse(done: (wsaError: number) => void): boolean {
    complete(() => done(WSAECONNRESET));
    return false;
  }

  shutdown(done: (wsaError: number) => void): void {
    complete(() => {
      if (this.#waiting.length > 0 && !this.#closed) {
        this.shutdown(done);
        return;
      }
      this.#sendFin();
      done(0);
    });
  }

  #sendFin(): void {
    if (this.#finSent) return;
    this.#finSent = true;
    this.peer.#finReceived = true;
    schedule(this.peer);
  }

  #lose(): void {
    this.#error = WSAECONNRESET;
    schedule(this);
    for (const { done } of this.#waiting.splice(0)) complete(() => done(WSAECONNRESET));
  }

  readStart(): void {
    this.#reading = true;
    schedule(this);
  }

  readStop(): void {
    this.#reading = false;
  }

  deliver(): void {
    let budget = bytesPerTurn;
    while (this.#reading && this.#incoming.length > 0 && budget > 0) {
      const chunk = this.#take();
      budget -= chunk.length;
      this.events?.onData(chunk);
      if (this.#incomingBytes <= capacity / 2) this.peer.#drained();
    }
    if (!this.#reading || this.#over || this.#closed) return;
    if (this.#incoming.length > 0) {
      schedule(this);
    } else if (this.#finReceived) {
      this.#over = true;
      this.events?.onEnd();
    } else if (this.#error !== 0) {
      this.#over = true;
      this.events?.onError(this.#error);
    }
  }

  /** A byte stream has no message boundaries: small pieces are joined, large ones are split. */
  #take(): Buffer {
    let count = 0;
    let bytes = 0;
    while (count < this.#incoming.length && (count === 0 || bytes + this.#incoming[count].length <= largestDelivery)) {
      bytes += this.#incoming[count].length;
      count += 1;
    }
    const parts = this.#incoming.splice(0, count);
    let chunk = parts.length === 1 ? parts[0] : Buffer.concat(parts, bytes);
    if (chunk.length > largestDelivery) {
      this.#incoming.unshift(chunk.subarray(largestDelivery));
      chunk = chunk.subarray(0, largestDelivery);
    }
    this.#incomingBytes -= chunk.length;
    return chunk;
  }

  #drained(): void {
    for (const { done } of this.#waiting.splice(0)) complete(() => done(0));
  }

  close(): void {
    this.#end(this.#incoming.length > 0);
  }

  reset(): void {
    this.#end(true);
  }

  #end(abortive: boolean): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#reading = false;
    this.#incoming = [];
    this.#incomingBytes = 0;
    for (const { done } of this.#waiting.splice(0)) complete(() => done(WSA_OPERATION_ABORTED));
    const { peer } = this;
    if (peer.#closed) return;
    if (abortive) {
      peer.#lose();
      return;
    }
    if (peer.#waiting.length > 0) peer.#lose();
    this.#sendFin();
  }
}

interface FakeListener {
  readonly name: SOCKADDR;
  readonly ipv6Only: boolean;
  readonly handler: AcceptHandler;
}

const listeners = new Set<FakeListener>();
let lastPort = 40000;

function serves({ name, ipv6Only }: FakeListener, remote: SOCKADDR): boolean {
  if (name.port !== remote.port) return false;
  if (name.address === remote.address) return true;
  const loopback = remote.address === '::1' || remote.address.startsWith('127.');
  if (!loopback) return false;
  if (name.address === '::') return remote.sa_family === AF_INET6 || !ipv6Only;
  return name.address === '0.0.0.0' && remote.sa_family === AF_INET;
}

const tcpip = createTcpipProvider();
const unspecified = new Set(['0.0.0.0', '::']);

class FakeSwitchSocket implements SwitchSocket {
  reason: Reason | null = null;
  readonly #tcp: TcpipSocket;
  #listener: FakeListener | null = null;
  #closed = false;

  constructor(tcp: TcpipSocket) {
    this.#tcp = tcp;
  }

  listen(backlog: number, handler: AcceptHandler): number {
    tcpip.WSPListen(this.#tcp, backlog, { value: 0 });
    const name = tcpip.WSPGetSockName(this.#tcp);
    if (this.#tcp.status === 0 && name !== null) {
      this.#listener = { name, ipv6Only: this.#tcp.ipv6Only, handler };
      listeners.add(this.#listener);
      counters.listeners += 1;
      this.reason = 'accelerated';
    }
    return this.#tcp.status;
  }

  join(name: SOCKADDR, handler: AcceptHandler): void {
    this.#listener = { name, ipv6Only: name.ipv6Only === true, handler };
    listeners.add(this.#listener);
    counters.listeners += 1;
    this.reason = 'accelerated';
  }

  duplicate(): [] {
    return [];
  }

  receive(): void {}

  acceptDeferred(): void {}

  setOption(): void {}

  connect(remote: SOCKADDR, handler: ConnectHandler): void {
    const listener = [...listeners].find((candidate) => serves(candidate, remote));
    if (listener === undefined) {
      this.#fallBack(remote, handler, 'no-listener');
      return;
    }
    later(() => {
      if (this.#closed) return;
      if (!listeners.has(listener)) {
        this.#fallBack(remote, handler, 'no-listener');
        return;
      }
      const bound = tcpip.WSPGetSockName(this.#tcp);
      lastPort += 1;
      const local = {
        sa_family: remote.sa_family,
        address: bound === null || unspecified.has(bound.address) ? remote.address : bound.address,
        port: bound?.port || lastPort,
      };
      if (listener.handler.condition(local, remote) !== CF_ACCEPT) {
        handler.failed(WSAECONNREFUSED, 'refused');
        return;
      }
      const client = new FakeConnection(local, remote);
      const server = new FakeConnection(remote, local);
      client.peer = server;
      server.peer = client;
      counters.connections += 1;
      this.reason = 'accelerated';
      handler.connected(client);
      listener.handler.accepted(server);
    });
  }

  #fallBack(remote: SOCKADDR, handler: ConnectHandler, reason: Reason): void {
    counters.fallbacks += 1;
    this.reason = reason;
    const { family } = this.#tcp;
    tcpip.WSPConnect(this.#tcp, remote, family === AF_INET6 ? 28 : 16, null, null, null, null, { value: 0 });
    handler.fallback(reason, this.#tcp.status);
  }

  close(): void {
    this.#closed = true;
    if (this.#listener !== null) listeners.delete(this.#listener);
    this.#listener = null;
  }
}

export const fakeSwitch: SocketSwitch = { openSocket: (tcp) => new FakeSwitchSocket(tcp) };
