/**
 * Listening: TCP.prototype.listen. A connection of a SAN reaches the server through the handle's own `onconnection`, so
 * limits, 'drop', `pauseOnConnect` and every server class built on net work as always.
 */

import { AsyncResource } from 'node:async_hooks';
import net from 'node:net';
import type { Reason } from '../diagnostics/reasons.js';
import type { NativeAddress, NativeTcpHandle } from '../providers/tcpip/native.js';
import { AF_INET, AF_INET6, CF_ACCEPT, CF_REJECT, type SOCKADDR } from '../spi/index.js';
import type { AcceptHandler, SanConnection, SwitchSocket } from '../switch/face.js';
import { remember } from './connection-info.js';
import { adopt, type Gate } from './hooks-connect.js';
import { requireInternals, symbolOf } from './internals.js';
import { debug } from './log.js';
import { publishAccept, publishListenFallback } from './published.js';
import { createSanHandle } from './san-handle.js';
import { forgetListener, noteListener } from './status-source.js';
import { contain, settle } from './ticks.js';

/** Accepted handles are born outside of every program context, as libuv's are. */
const root = new AsyncResource('SOCKETSDIRECTACCEPT');

/** On a TCP handle: the flags of its bind. Absent: somebody else has bound it, in another process perhaps. */
const flagsKey = Symbol('sockets-direct.bind-flags');
/** `constants.UV_TCP_IPV6ONLY` and `UV_TCP_REUSEPORT` of the native binding. */
const ipv6OnlyFlag = 1;
const reusePortFlag = 2;
/** On a handle: its listener. */
const listenerKey = Symbol('sockets-direct.listener');

type OnConnection = NonNullable<NativeTcpHandle['onconnection']>;

class Listener implements AcceptHandler {
  /** `onconnection` runs in the context of the call of listen. */
  readonly #resource = new AsyncResource('SOCKETSDIRECTLISTEN');
  readonly #handle: NativeTcpHandle;
  #server: net.Server;
  readonly #switchSocket: SwitchSocket;
  /** The handle stands in for one of the primary of a cluster. */
  readonly #shared: boolean;
  #onconnection: OnConnection;
  #family = AF_INET;
  #closed = false;

  constructor(handle: NativeTcpHandle, server: net.Server, switchSocket: SwitchSocket) {
    this.#handle = handle;
    this.#server = server;
    this.#switchSocket = switchSocket;
    this.#shared = isStandIn(handle);
    this.#onconnection = handle.onconnection!;
  }

  condition(): number {
    return this.#closed ? CF_REJECT : CF_ACCEPT;
  }

  reasonChanged(reason: Reason): void {
    if (this.#closed) return;
    remember(this.#server, 'tcpip', reason);
    debug('listening, now: %s', reason);
    if (reason !== 'accelerated') publishListenFallback(this.#server, reason);
  }

  accepted(connection: SanConnection): void {
    // The peer may be in this very loop, and a client is connected before its server accepts.
    root.runInAsyncScope(setImmediate, null, accept, this, connection);
  }

  /** Listening has begun: watches the handle. */
  begin(): void {
    const handle = this.#handle;
    const name: NativeAddress = {};
    if (handle.getsockname(name) === 0 && name.family === 'IPv6') this.#family = AF_INET6;
    // In a worker of a cluster the handle has a `close` of its own.
    const own = Object.getOwnPropertyDescriptor(handle, 'close');
    handle.close = (callback) => {
      this.end();
      forgetListener(handle);
      if (own === undefined) delete (handle as Partial<NativeTcpHandle>).close;
      else Object.defineProperty(handle, 'close', own);
      handle.close(callback);
    };
    handle[listenerKey] = this;
    // The primary of a cluster, for one, lends a handle from a server and hands its connections out elsewhere.
    Object.defineProperty(handle, 'onconnection', {
      configurable: true,
      enumerable: true,
      get: () => this.#onconnection,
      set: (value: OnConnection) => {
        if (value !== this.#onconnection) {
          this.end();
          remember(this.#server, 'tcpip', 'cluster-distribution');
          publishListenFallback(this.#server, 'cluster-distribution');
        }
        this.#onconnection = value;
      },
    });
    noteListener(handle, this.#server);
    const { reason } = this.#switchSocket;
    remember(this.#server, 'tcpip', reason);
    debug('listening at %s:%d: %s', name.address, name.port, reason ?? 'undecided');
    if (reason !== null && reason !== 'accelerated') publishListenFallback(this.#server, reason);
  }

  deliver(connection: SanConnection): void {
    // A listening socket that is closed resets what waits in its queue.
    if (this.#closed) {
      connection.reset();
      return;
    }
    // From the first limit on, the primary has to know of every connection, because it gives them to others.
    if (this.#shared && this.#server.maxConnections != null) {
      this.end();
      declined(this.#server, 'cluster-distribution');
    }
    settle();
    const san = createSanHandle(connection, this.#family);
    contain(() => this.#resource.runInAsyncScope(this.#onconnection, this.#handle, 0, san), this, undefined);
    publishAccept(this.#server, san);
  }

  /** Another server listens with the handle: what arrives is its own from now on, as with TCP. */
  adopt(server: net.Server): void {
    this.#server = server;
    remember(server, 'tcpip', this.#switchSocket.reason);
  }

  end(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#handle[listenerKey] = undefined;
    this.#switchSocket.close();
  }
}

function listenerOf(handle: object | null): Listener | null {
  const listener = (handle as { [listenerKey]?: unknown } | null)?.[listenerKey];
  return listener instanceof Listener ? listener : null;
}

function accept(listener: Listener, connection: SanConnection): void {
  listener.deliver(connection);
}

/** Replaces the listen function of the native handle, and notes what bind does not let anybody ask later. */
export function hookListen(gate: Gate): void {
  const { TCP, tcpOriginal, ownerSymbol } = requireInternals();

  TCP.prototype.bind = function bind(address, port, flags = 0) {
    this[flagsKey] = flags;
    return tcpOriginal.bind.call(this, address, port, flags);
  };
  TCP.prototype.bind6 = function bind6(address, port, flags = 0) {
    this[flagsKey] = flags;
    return tcpOriginal.bind6.call(this, address, port, flags);
  };

  TCP.prototype.listen = function listen(backlog) {
    const server = this[ownerSymbol];
    if (!(server instanceof net.Server) || !gate.eligible(server)) return tcpOriginal.listen.call(this, backlog);
    const known = listenerOf(this);
    if (known !== null) {
      known.adopt(server);
      return tcpOriginal.listen.call(this, backlog);
    }
    const decline = (reason: Reason): number => {
      declined(server, reason);
      const status = tcpOriginal.listen.call(this, backlog);
      if (status === 0) publishListenFallback(server, reason);
      return status;
    };
    if (typeof this.onconnection !== 'function') return decline('listener-not-a-server');
    const flags = this[flagsKey] as number | undefined;
    if (sharesWildcard(this, flags)) return decline('port-shared');
    const tcp = adopt(this);
    tcp.ipv6Only = isIpv6Only(this, flags);
    const switchSocket = gate.openSocket(tcp);
    if (typeof switchSocket === 'string') return decline(switchSocket);
    const listener = new Listener(this, server, switchSocket);
    const status = switchSocket.listen(backlog, listener);
    if (status === 0) listener.begin();
    return status;
  };

  const prototype = net.Server.prototype as unknown as Record<symbol, (this: net.Server) => unknown> & {
    _listen2(this: ListeningServer, ...args: unknown[]): void;
  };
  const { _listen2: setUp } = prototype;
  // Everybody listens through this function, the servers of a cluster's workers included.
  prototype._listen2 = function _listen2(...args) {
    const { _handle: handle } = this;
    const flags = args[5] as number | undefined;
    if (handle instanceof TCP && handle[flagsKey] === undefined) handle[flagsKey] = flags;
    setUp.apply(this, args);
    if (handle !== null && this._handle === handle && isStandIn(handle) && gate.eligible(this)) {
      joinPrimary(gate, this, handle, flags);
    }
  };

  // A server that goes to another thread leaves without closing its handle.
  const transfer = symbolOf(prototype, 'messaging_transfer_symbol');
  const original = transfer === undefined ? undefined : prototype[transfer];
  if (transfer === undefined || typeof original !== 'function') return;
  prototype[transfer] = function (this: net.Server) {
    listenerOf((this as ListeningServer)._handle)?.end();
    return original.call(this);
  };
}

type ListeningServer = net.Server & { _handle: NativeTcpHandle | null };

function declined(server: net.Server, reason: Reason): void {
  remember(server, 'tcpip', reason);
  debug('listening by TCP/IP only: %s', reason);
}

/** Whether a socket that somebody else has bound takes IPv4, too, cannot be asked. What is not sure is left to TCP/IP. */
function isIpv6Only(handle: NativeTcpHandle, flags: number | undefined): boolean {
  if (flags !== undefined) return (flags & ipv6OnlyFlag) !== 0;
  const name: NativeAddress = {};
  return handle.getsockname(name) === 0 && name.family === 'IPv6';
}

/**
 * With SO_REUSEPORT another process may have the port at an address that is more exact than the wildcard, and gets what
 * goes there; it need not have Sockets Direct to say so.
 */
function sharesWildcard(handle: NativeTcpHandle, flags = 0): boolean {
  const name: NativeAddress = {};
  if ((flags & reusePortFlag) === 0 || handle.getsockname(name) !== 0) return false;
  return name.address === '0.0.0.0' || name.address === '::';
}

/** Where the primary of a cluster distributes connections, the server of a worker has an object in place of a handle. */
function isStandIn(handle: NativeTcpHandle): boolean {
  return Object.getPrototypeOf(handle) === Object.prototype && typeof handle.getsockname === 'function';
}

/**
 * A worker of a cluster: connections of a SAN come directly, to one worker after the other; all others by way of the
 * primary. A worker that has enough connections leaves them to others, and only the primary knows of those.
 */
function joinPrimary(gate: Gate, server: net.Server, handle: NativeTcpHandle, flags = 0): void {
  if (server.maxConnections != null) declined(server, 'cluster-distribution');
  else join(gate, server, handle, (flags & ipv6OnlyFlag) !== 0);
}

/** A SAN joins a listening that TCP/IP has begun already. */
function join(gate: Gate, server: net.Server, handle: NativeTcpHandle, ipv6Only: boolean): void {
  const name: NativeAddress = {};
  if (handle.getsockname(name) !== 0 || name.address === undefined) return;
  const switchSocket = gate.openSocket(adopt(handle));
  if (typeof switchSocket === 'string') {
    declined(server, switchSocket);
    return;
  }
  const sa_family = name.family === 'IPv6' ? AF_INET6 : AF_INET;
  const listener = new Listener(handle, server, switchSocket);
  const local: SOCKADDR = { sa_family, address: name.address, port: name.port! };
  switchSocket.join(ipv6Only ? { ...local, ipv6Only } : local, listener);
  listener.begin();
}

/**
 * Servers that listen already, although the program has not begun: a child may be given one while its preloads are still
 * being loaded.
 */
export function joinListening(gate: Gate): void {
  const { TCP } = requireInternals();
  const { _getActiveHandles: active } = process as unknown as { _getActiveHandles(): object[] };
  for (const server of active()) {
    if (!(server instanceof net.Server) || !gate.eligible(server)) continue;
    const { _handle: handle } = server as ListeningServer;
    if (handle instanceof TCP) join(gate, server, handle, isIpv6Only(handle, undefined));
  }
}
