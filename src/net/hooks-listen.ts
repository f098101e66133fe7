/**
 * Listening: TCP.prototype.listen. A connection of a SAN reaches the server through the handle's own `onconnection`, so
 * limits, 'drop', `pauseOnConnect` and every server class built on net work as always.
 */

import { AsyncResource } from 'node:async_hooks';
import net from 'node:net';
import type { Reason } from '../diagnostics/reasons.js';
import type { NativeAddress, NativeTcpHandle } from '../providers/tcpip/native.js';
import { AF_INET, AF_INET6, CF_ACCEPT, CF_REJECT } from '../spi/index.js';
import type { AcceptHandler, SanConnection, SwitchSocket } from '../switch/face.js';
import { remember } from './connection-info.js';
import { adopt, type Gate } from './hooks-connect.js';
import { requireInternals } from './internals.js';
import { debug } from './log.js';
import { publishAccept, publishListenFallback } from './published.js';
import { createSanHandle } from './san-handle.js';
import { forgetListener, noteListener } from './status-source.js';
import { contain, settle } from './ticks.js';

/** Accepted handles are born outside of every program context, as libuv's are. */
const root = new AsyncResource('SOCKETSDIRECTACCEPT');

/** On a TCP handle: it was bound with `ipv6Only`. */
const ipv6OnlyKey = Symbol('sockets-direct.ipv6-only');
/** `constants.UV_TCP_IPV6ONLY` of the native binding. */
const ipv6OnlyFlag = 1;

type OnConnection = NonNullable<NativeTcpHandle['onconnection']>;

class Listener implements AcceptHandler {
  /** `onconnection` runs in the context of the call of listen. */
  readonly #resource = new AsyncResource('SOCKETSDIRECTLISTEN');
  readonly #handle: NativeTcpHandle;
  readonly #server: net.Server;
  readonly #switchSocket: SwitchSocket;
  #onconnection: OnConnection;
  #family = AF_INET;
  #closed = false;

  constructor(handle: NativeTcpHandle, server: net.Server, switchSocket: SwitchSocket) {
    this.#handle = handle;
    this.#server = server;
    this.#switchSocket = switchSocket;
    this.#onconnection = handle.onconnection!;
  }

  condition(): number {
    return this.#closed ? CF_REJECT : CF_ACCEPT;
  }

  accepted(connection: SanConnection): void {
    // The peer may be in this very loop, and a client is connected before its server accepts.
    root.runInAsyncScope(setImmediate, null, accept, this, connection);
  }

  /** Listening has begun: watches the handle. */
  begin(): void {
    const handle = this.#handle;
    const name: NativeAddress = {};
    const { getsockname, close } = requireInternals().tcpOriginal;
    if (getsockname.call(handle, name) === 0 && name.family === 'IPv6') this.#family = AF_INET6;
    handle.close = (callback) => {
      this.#end();
      forgetListener(handle);
      delete (handle as Partial<NativeTcpHandle>).close;
      close.call(handle, callback);
    };
    // The primary of a cluster, for one, lends a handle from a server and hands its connections out elsewhere.
    Object.defineProperty(handle, 'onconnection', {
      configurable: true,
      enumerable: true,
      get: () => this.#onconnection,
      set: (value: OnConnection) => {
        if (value !== this.#onconnection) {
          this.#end();
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
    settle();
    const san = createSanHandle(connection, this.#family);
    contain(() => this.#resource.runInAsyncScope(this.#onconnection, this.#handle, 0, san), this, undefined);
    publishAccept(this.#server, san);
  }

  #end(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#switchSocket.close();
  }
}

function accept(listener: Listener, connection: SanConnection): void {
  listener.deliver(connection);
}

/** Replaces the listen function of the native handle, and notes what bind6 does not let anybody ask later. */
export function hookListen(gate: Gate): void {
  const { TCP, tcpOriginal, ownerSymbol } = requireInternals();

  TCP.prototype.bind6 = function bind6(address, port, flags = 0) {
    if ((flags & ipv6OnlyFlag) !== 0) this[ipv6OnlyKey] = true;
    return tcpOriginal.bind6.call(this, address, port, flags);
  };

  TCP.prototype.listen = function listen(backlog) {
    const server = this[ownerSymbol];
    if (!(server instanceof net.Server) || !gate.eligible(server)) return tcpOriginal.listen.call(this, backlog);
    const decline = (reason: Reason): number => {
      remember(server, 'tcpip', reason);
      debug('listening by TCP/IP only: %s', reason);
      const status = tcpOriginal.listen.call(this, backlog);
      if (status === 0) publishListenFallback(server, reason);
      return status;
    };
    if (typeof this.onconnection !== 'function') return decline('listener-not-a-server');
    // A worker of a cluster shares the primary's handle, which has its own `close` then.
    if (Object.hasOwn(this, 'close')) return decline('cluster-distribution');
    const tcp = adopt(this);
    tcp.ipv6Only = this[ipv6OnlyKey] === true;
    const switchSocket = gate.openSocket(tcp);
    if (typeof switchSocket === 'string') return decline(switchSocket);
    const listener = new Listener(this, server, switchSocket);
    const status = switchSocket.listen(backlog, listener);
    if (status === 0) listener.begin();
    return status;
  };
}
