/**
 * TCP/IP in a simulated world: addresses, ports, connects and arrivals. Its byte streams are just good enough to see that
 * the right two sockets were joined.
 */

import { constants } from 'node:os';
import type { Process, World } from '../src/providers/simulated/world.js';
import {
  type NativeAddress,
  type NativeConnectRequest,
  type NativeTcpHandle,
  type TcpipProvider,
  type TcpipSocket,
  toWsaError,
} from '../src/providers/tcpip/index.js';
import {
  AF_INET,
  AF_INET6,
  type Out,
  type QOS,
  type SOCKADDR,
  SOCKET_ERROR,
  tcpipInfo,
  WSAEFAULT,
  WSAEOPNOTSUPP,
  WSAEWOULDBLOCK,
} from '../src/spi/index.js';

const { errno } = constants;
const ephemeralFirst = 20_000;
/** Microseconds of a journey. */
const latency = 50;
const spread = 50;

/** All sockets of a world, by nobody's event loop: the kernels and the wires between them. */
class TcpNetwork {
  readonly #world: World;
  readonly handles = new Set<SimulatedTcpHandle>();

  constructor(world: World) {
    this.#world = world;
  }

  static of(world: World): TcpNetwork {
    return world.place('tcp', () => new TcpNetwork(world));
  }

  travel(arrive: () => void): void {
    this.#world.schedule(arrive, latency + this.#world.random() * spread);
  }

  listenerFor(callee: SOCKADDR): SimulatedTcpHandle | null {
    let best: SimulatedTcpHandle | null = null;
    for (const handle of this.handles) {
      if (!handle.listening || handle.local?.port !== callee.port || !handle.owner.isOwnAddress(callee.address))
        continue;
      if (handle.local.address === callee.address) return handle;
      if (isWildcard(handle.local.address)) best ??= handle;
    }
    return best;
  }
}

function isWildcard(address: string): boolean {
  return address === '0.0.0.0' || address === '::';
}

/** A TCP socket of a simulated kernel, with the face of Node's handle. */
export class SimulatedTcpHandle implements NativeTcpHandle {
  local: SOCKADDR | null = null;
  remote: SOCKADDR | null = null;
  listening = false;
  closed = false;
  onconnection?: (status: number, client: object) => void;
  /** The other end of an established connection. */
  peer: SimulatedTcpHandle | null = null;
  /** What has arrived. */
  received = '';
  /** The other end is closed. */
  ended = false;
  [key: symbol]: unknown;

  constructor(readonly owner: SimulatedTcpip) {}

  #name(address: string, port: number): SOCKADDR {
    return { sa_family: address.includes(':') ? AF_INET6 : AF_INET, address, port };
  }

  bind(address: string, port: number): number {
    if (this.local !== null) return -errno.EINVAL;
    if (!isWildcard(address) && !this.owner.isOwnAddress(address)) return -errno.EADDRNOTAVAIL;
    if (port !== 0 && this.owner.isTaken(address, port)) return -errno.EADDRINUSE;
    this.local = this.#name(address, port === 0 ? this.owner.freePort() : port);
    return 0;
  }

  bind6(address: string, port: number): number {
    return this.bind(address, port);
  }

  listen(): number {
    if (this.local === null) this.bind('0.0.0.0', 0);
    this.listening = true;
    return 0;
  }

  connect(request: NativeConnectRequest, address: string, port: number): number {
    const { owner } = this;
    if (this.local === null) this.bind(owner.addresses[0] ?? '127.0.0.1', 0);
    const local = this.local!;
    if (isWildcard(local.address)) local.address = owner.addresses[0] ?? '127.0.0.1';
    const called = this.#name(address, port);
    this.remote = called;
    const answer = (status: number): void => {
      owner.network.travel(() => {
        owner.process.schedule(() => {
          if (!this.closed) request.oncomplete?.(status, this, request, status === 0, status === 0);
        }, 1);
      });
    };
    const planned = owner.nextOutcome();
    owner.network.travel(() => {
      const listener = planned === 0 ? owner.network.listenerFor(called) : null;
      if (listener === null || this.closed) {
        answer(planned === 0 ? -errno.ECONNREFUSED : planned);
        return;
      }
      const accepted = new SimulatedTcpHandle(listener.owner);
      accepted.local = called;
      accepted.remote = local;
      accepted.peer = this;
      this.peer = accepted;
      owner.network.handles.add(accepted);
      answer(0);
      listener.owner.process.schedule(() => {
        if (listener.listening) listener.onconnection?.(0, accepted);
        else accepted.close();
      }, 1);
    });
    return 0;
  }

  connect6(request: NativeConnectRequest, address: string, port: number): number {
    return this.connect(request, address, port);
  }

  /** Sends text to the other end. */
  send(text: string): void {
    const { peer } = this;
    if (peer === null) return;
    this.owner.network.travel(() => {
      if (!peer.closed) peer.received += text;
    });
  }

  getsockname(out: NativeAddress): number {
    return describe(this.local, out);
  }

  getpeername(out: NativeAddress): number {
    return describe(this.remote, out);
  }

  close(callback?: () => void): void {
    if (this.closed) return;
    this.closed = true;
    this.listening = false;
    const { peer } = this;
    this.owner.network.handles.delete(this);
    if (peer !== null) {
      this.owner.network.travel(() => {
        peer.ended = true;
      });
    }
    if (callback !== undefined) this.owner.process.scheduler.soon(callback);
  }

  reset(callback?: () => void): number {
    this.close(callback);
    return 0;
  }

  ref(): void {}
  unref(): void {}
  hasRef(): boolean {
    return true;
  }
  setNoDelay(): number {
    return 0;
  }
  setKeepAlive(): number {
    return 0;
  }
}

function describe(name: SOCKADDR | null, out: NativeAddress): number {
  if (name === null) return -errno.ENOTCONN;
  out.address = name.address;
  out.port = name.port;
  out.family = name.sa_family === AF_INET6 ? 'IPv6' : 'IPv4';
  return 0;
}

/** The TCP/IP provider of one process. */
export class SimulatedTcpip implements TcpipProvider {
  readonly protocolInfo = tcpipInfo;
  readonly network: TcpNetwork;
  /** Statuses (negative errnos of libuv) with which the next connects end; 0 lets one pass. */
  readonly plannedConnects: number[] = [];
  /** Statuses of the next listens. */
  readonly plannedListens: number[] = [];
  /** Odds that a connect times out. */
  timeoutOdds = 0;
  /** Calls of the switch, in order. */
  readonly calls: string[] = [];
  /** Who wants to be told of changes; null: they show when they are looked for. */
  watchers: Set<() => void> | null = null;
  #addresses: readonly string[];
  #version = 1;
  #lastPort = ephemeralFirst;

  constructor(
    readonly process: Process,
    addresses: readonly string[],
  ) {
    this.network = TcpNetwork.of(process.world);
    this.#addresses = addresses;
    process.onKilled.add(() => {
      for (const handle of [...this.network.handles]) if (handle.owner === this) handle.close();
    });
  }

  get addresses(): readonly string[] {
    return this.#addresses;
  }

  /** The interfaces of the host have other addresses from now on. */
  changeAddresses(addresses: readonly string[]): void {
    this.#addresses = addresses;
    this.#version++;
    this.process.schedule(() => {
      for (const tell of [...(this.watchers ?? [])]) tell();
    }, 1);
  }

  /** A socket of the program. */
  open(): TcpipSocket & { readonly handle: SimulatedTcpHandle } {
    const handle = new SimulatedTcpHandle(this);
    this.network.handles.add(handle);
    return { ...this.adopt(handle), handle };
  }

  adopt(handle: NativeTcpHandle): TcpipSocket {
    return { spi: 'ProviderSocket', handle, request: null, status: 0, family: AF_INET, ipv6Only: false };
  }

  /** Sockets of this process that have not been closed. */
  get openHandles(): number {
    return [...this.network.handles].filter(({ owner }) => owner === this).length;
  }

  isTaken(address: string, port: number): boolean {
    return [...this.network.handles].some(
      ({ local, owner, peer }) =>
        peer === null &&
        local?.port === port &&
        owner.addresses.some((own) => this.#addresses.includes(own)) &&
        (local.address === address || isWildcard(local.address) || isWildcard(address)),
    );
  }

  freePort(): number {
    this.#lastPort++;
    return this.#lastPort;
  }

  nextOutcome(): number {
    const planned = this.plannedConnects.shift();
    if (planned !== undefined) return planned;
    if (!this.process.world.chance(this.timeoutOdds)) return 0;
    this.process.world.mark('fault: TCP/IP connect timed out');
    return -errno.ETIMEDOUT;
  }

  WSPBind(s: TcpipSocket, name: SOCKADDR, _namelen: number, lpErrno: Out<number>): number {
    this.calls.push('WSPBind');
    s.status = s.handle.bind(name.address, name.port);
    return finish(s, lpErrno);
  }

  WSPListen(s: TcpipSocket, backlog: number, lpErrno: Out<number>): number {
    this.calls.push('WSPListen');
    s.status = this.plannedListens.shift() ?? s.handle.listen(backlog);
    return finish(s, lpErrno);
  }

  WSPConnect(
    s: TcpipSocket,
    name: SOCKADDR,
    _namelen: number,
    lpCallerData: Uint8Array | null,
    lpCalleeData: Uint8Array | null,
    lpSQOS: QOS | null,
    lpGQOS: QOS | null,
    lpErrno: Out<number>,
  ): number {
    this.calls.push('WSPConnect');
    const extras = [lpCallerData, lpCalleeData, lpSQOS, lpGQOS].some((extra) => extra !== null);
    if (extras || s.request === null) {
      lpErrno.value = extras ? WSAEOPNOTSUPP : WSAEFAULT;
      s.status = -errno.EINVAL;
      return SOCKET_ERROR;
    }
    s.status = s.handle.connect(s.request, name.address, name.port);
    lpErrno.value = s.status === 0 ? WSAEWOULDBLOCK : toWsaError(s.status);
    return SOCKET_ERROR;
  }

  WSPGetSockName(s: TcpipSocket): SOCKADDR | null {
    const out: NativeAddress = {};
    if (s.handle.getsockname(out) !== 0) return null;
    return { sa_family: out.family === 'IPv6' ? AF_INET6 : AF_INET, address: out.address!, port: out.port! };
  }

  WSPCloseSocket(s: TcpipSocket, lpErrno: Out<number>): number {
    this.calls.push('WSPCloseSocket');
    s.handle.close();
    lpErrno.value = 0;
    return 0;
  }

  WSPCleanup(lpErrno: Out<number>): number {
    this.calls.push('WSPCleanup');
    lpErrno.value = 0;
    return 0;
  }

  isOwnAddress(address: string): boolean {
    return address.startsWith('127.') || this.#addresses.includes(address);
  }

  addressListVersion(): number {
    return this.#version;
  }

  watchAddressList(changed: () => void): (() => void) | null {
    const { watchers } = this;
    if (watchers === null) return null;
    watchers.add(changed);
    return () => watchers.delete(changed);
  }
}

function finish(s: TcpipSocket, lpErrno: Out<number>): number {
  lpErrno.value = toWsaError(s.status);
  return s.status === 0 ? 0 : SOCKET_ERROR;
}
