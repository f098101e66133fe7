/**
 * Connecting: TCP.prototype.connect and connect6, which everybody reaches after name resolution, family selection, block
 * lists and bind. Until the switch has decided, the socket keeps its TCP handle, so that destroying, aborting and
 * time-outs work as always; when a SAN carries it, the handle is exchanged right before 'connect'.
 */

import { AsyncResource } from 'node:async_hooks';
import net from 'node:net';
import { type Reason, reasons } from '../diagnostics/reasons.js';
import { toUvErrno, UV_ECANCELED, UV_ECONNREFUSED } from '../providers/tcpip/errno.js';
import type { NativeConnectRequest, NativeTcpHandle } from '../providers/tcpip/native.js';
import { createTcpipProvider, type TcpipProvider, type TcpipSocket } from '../providers/tcpip/provider.js';
import { AF_INET, AF_INET6, WSAEALREADY, WSAECONNRESET } from '../spi/index.js';
import type { ConnectHandler, SanConnection, SwitchSocket } from '../switch/face.js';
import { hold, release } from '../switch/liveness.js';
import { destination } from './addresses.js';
import { remember } from './connection-info.js';
import { requireInternals } from './internals.js';
import { debug } from './log.js';
import type { AnyHandle, NetSocket } from './node-types.js';
import { publishConnect, publishConnectError, publishConnectFallback } from './published.js';
import { createSanHandle } from './san-handle.js';
import type { SanHandle } from './san-handle-face.js';
import { noteFallback } from './status-source.js';
import { contain, settle } from './ticks.js';

/** How the hooks reach the switch, and for whom they work. */
export interface Gate {
  /** The switch's record for a socket of the TCP/IP provider, or the reason why there is none. */
  openSocket(tcp: TcpipSocket): SwitchSocket | Reason;
  eligible(owner: object): boolean;
}

/** On a TCP handle: the connect that is under way. */
const pendingKey = Symbol('sockets-direct.pending');
/** On a TCP handle: somebody asked whether it is a native stream, and may consume what follows. */
const askedKey = Symbol('sockets-direct.asked');

let provider: TcpipProvider | undefined;

/** The TCP/IP provider's socket for a handle of the program. */
export function adopt(handle: NativeTcpHandle): TcpipSocket {
  provider ??= createTcpipProvider();
  return provider.adopt(handle);
}

function noop(): void {}

/** Says in the error why TCP/IP was not tried; 'error' is emitted later. */
function explain(error: Error | null, reason: Reason): void {
  if (error !== null) error.message += ` (Sockets Direct: ${reason}, ${reasons[reason]})`;
}

/** TLS marks the handle below it with an own accessor. */
function tlsIsOn(handle: object): boolean {
  return Object.getOwnPropertyDescriptor(handle, 'reading')?.get !== undefined;
}

class PendingConnect implements ConnectHandler {
  /** Set by a fallback before `SwitchSocket.connect` has returned. */
  status: number | null = null;
  returned = false;
  readonly #tcp: TcpipSocket;
  readonly #handle: NativeTcpHandle;
  readonly #request: NativeConnectRequest;
  readonly #socket: NetSocket;
  readonly #switchSocket: SwitchSocket;
  readonly #resource = new AsyncResource('SOCKETSDIRECTCONNECT');
  readonly #started = performance.now();
  #done = false;

  constructor(tcp: TcpipSocket, socket: NetSocket, switchSocket: SwitchSocket) {
    this.#tcp = tcp;
    this.#handle = tcp.handle;
    this.#request = tcp.request!;
    this.#socket = socket;
    this.#switchSocket = switchSocket;
    this.#handle[pendingKey] = this;
    this.#handle.close = (callback) => this.#cancel(callback);
    hold();
  }

  connected(connection: SanConnection): void {
    if (!this.#finish()) {
      connection.reset();
      return;
    }
    settle();
    contain(this.#connected, this, connection);
  }

  failed(wsaError: number, reason: Reason): void {
    if (!this.returned) {
      // No request is completed, and no tick run, inside the call that makes it.
      setImmediate(() => this.failed(wsaError, reason));
      return;
    }
    if (!this.#finish()) return;
    remember(this.#socket, null, reason);
    debug('connect to %s:%d failed: %d (%s)', this.#request.address, this.#request.port, wsaError, reason);
    settle();
    // A SAN may report a refusal as a reset (WSD-CON-13), which TCP/IP never does for a connect.
    const status = wsaError === WSAECONNRESET ? UV_ECONNREFUSED : toUvErrno(wsaError);
    publishConnectError(this.#socket, this.#request, reason, status);
    contain(this.#complete, this, status);
    if (reason !== 'refused') explain(this.#socket.errored, reason);
  }

  fallback(reason: Reason, status: number): void {
    if (!this.#finish()) return;
    remember(this.#socket, 'tcpip', reason);
    noteFallback(this.#handle);
    debug('connect to %s:%d by TCP/IP: %s', this.#request.address, this.#request.port, reason);
    publishConnectFallback(this.#socket, this.#request, reason);
    if (!this.returned) this.status = status;
    else if (status !== 0) contain(this.#complete, this, status);
  }

  /** TLS was started on the socket while it was connecting: it sits on the TCP handle, which has to carry it then. */
  tlsStarted(): void {
    if (this.#done || !tlsIsOn(this.#handle) || this.#socket._handle !== (this.#handle as unknown)) return;
    this.#switchSocket.close();
    this.#finish();
    this.#connectNatively('tls-over-connecting-socket');
  }

  #connectNatively(reason: Reason): void {
    remember(this.#socket, 'tcpip', reason);
    noteFallback(this.#handle);
    const { tcpOriginal } = requireInternals();
    const { address = '', port = 0 } = this.#request;
    const connect = this.#tcp.family === AF_INET6 ? tcpOriginal.connect6 : tcpOriginal.connect;
    const status = connect.call(this.#handle, this.#request, address, port);
    publishConnectFallback(this.#socket, this.#request, reason);
    if (status !== 0) this.#complete(status);
  }

  #finish(): boolean {
    if (this.#done) return false;
    this.#done = true;
    // Deleting the properties would make a slow object of every handle.
    this.#handle[pendingKey] = undefined;
    this.#handle.close = requireInternals().tcpOriginal.close;
    release();
    return true;
  }

  #cancel(callback: (() => void) | undefined): void {
    const { close } = requireInternals().tcpOriginal;
    if (this.#finish()) this.#switchSocket.close();
    close.call(this.#handle, () => {
      this.#complete(UV_ECANCELED);
      callback?.call(this.#handle);
    });
  }

  #complete(status: number): void {
    const request = this.#request;
    if (request.oncomplete === undefined) return;
    this.#resource.runInAsyncScope(() => request.oncomplete?.(status, this.#handle, request, false, false));
  }

  #connected(connection: SanConnection): void {
    const socket = this.#socket;
    const request = this.#request;
    const handle = this.#handle as unknown as AnyHandle;
    const isTls = socket._handle !== handle && socket._handle?._parent === handle;
    if (request.oncomplete === undefined || socket.destroyed || (socket._handle !== handle && !isTls)) {
      connection.reset();
      return;
    }
    if (tlsIsOn(socket._handle!)) {
      connection.close();
      this.#connectNatively('tls-over-connecting-socket');
      return;
    }
    this.#resource.runInAsyncScope(() => {
      const san = createSanHandle(connection, this.#tcp.family);
      if (!this.#handle.hasRef()) san.unref();
      if (isTls) wrapAgain(socket, san, this.#handle);
      else exchange(socket, san, this.#handle);
      san.tcp = this.#handle;
      debug('connected to %s:%d by %s', request.address, request.port, connection.provider);
      const exchanged = socket._handle!;
      publishConnect(socket, connection, this.#started);
      request.oncomplete?.(0, exchanged, request, true, true);
    });
  }
}

/**
 * Gives a plain socket its new handle. Node's own way to do that would also forget an `end()` from before 'connect', and
 * ask the `onread` option for another buffer.
 */
function exchange(socket: NetSocket, san: SanHandle, tcp: NativeTcpHandle): void {
  const { ownerSymbol, asyncIdSymbol, bufferSymbol } = requireInternals();
  if (tcp[askedKey] === true) san.native = true;
  san.onread = tcp.onread;
  socket._handle = san as unknown as AnyHandle;
  san[ownerSymbol] = socket;
  socket[asyncIdSymbol] = san.getAsyncId();
  const buffer = socket[bufferSymbol];
  if (buffer instanceof Uint8Array) san.useUserBuffer(buffer);
}

/** Puts a TLS client on its new handle, as family selection does in Node, and repairs what that loses. */
function wrapAgain(socket: NetSocket, san: SanHandle, tcp: NativeTcpHandle): void {
  const { ownerSymbol, reinitializeHandleSymbol, bufferGeneratorSymbol } = requireInternals();
  san[ownerSymbol] = socket;
  san.native = true;
  const generator = socket[bufferGeneratorSymbol];
  socket[bufferGeneratorSymbol] = null;
  socket._undestroy = noop;
  tcp.close = (callback) => {
    if (callback !== undefined) setImmediate(callback);
  };
  try {
    (socket[reinitializeHandleSymbol] as (handle: object) => void)(san);
  } finally {
    delete (socket as Partial<NetSocket>)._undestroy;
    delete (tcp as Partial<NativeTcpHandle>).close;
    socket[bufferGeneratorSymbol] = generator;
  }
  const wrap = socket._handle!;
  socket.ssl = wrap;
  if (socket.listenerCount('session') > 0) wrap.enableSessionCallbacks?.();
  if (socket.listenerCount('keylog') > 0) wrap.enableKeylogCallback?.();
}

/** Replaces the connect functions of the native handle. */
export function hookConnect(gate: Gate): void {
  const { TCP, tcpOriginal, ownerSymbol, reinitializeHandleSymbol } = requireInternals();

  function start(
    handle: NativeTcpHandle,
    family: number,
    request: NativeConnectRequest,
    address: string,
    port: number,
  ): number | null {
    const owner = handle[ownerSymbol];
    if (!(owner instanceof net.Socket) || !gate.eligible(owner)) return null;
    const socket = owner as NetSocket;
    const decline = (reason: Reason): null => {
      remember(socket, 'tcpip', reason);
      noteFallback(handle);
      debug('connect to %s:%d by TCP/IP: %s', address, port, reason);
      publishConnectFallback(socket, { address, port: Number(port) }, reason);
      return null;
    };
    const remote = destination(family, address, Number(port));
    if (remote === null) return decline('ipv6-scoped');
    if (socket._handle !== null && tlsIsOn(socket._handle)) return decline('tls-over-connecting-socket');
    // The kernel, too, knows only one connect at a time; and no provider is asked a second time (WSD-CON-20).
    if (handle[pendingKey] instanceof PendingConnect) return toUvErrno(WSAEALREADY);
    const tcp = adopt(handle);
    tcp.request = request;
    tcp.family = family;
    const switchSocket = gate.openSocket(tcp);
    if (typeof switchSocket === 'string') return decline(switchSocket);
    const pending = new PendingConnect(tcp, socket, switchSocket);
    switchSocket.connect(remote, pending);
    pending.returned = true;
    return pending.status ?? 0;
  }

  TCP.prototype.connect = function connect(request, address, port) {
    return start(this, AF_INET, request, address, port) ?? tcpOriginal.connect.call(this, request, address, port);
  };
  TCP.prototype.connect6 = function connect6(request, address, port) {
    return start(this, AF_INET6, request, address, port) ?? tcpOriginal.connect6.call(this, request, address, port);
  };

  Object.defineProperty(TCP.prototype, 'isStreamBase', {
    configurable: true,
    enumerable: true,
    get(this: NativeTcpHandle) {
      this[askedKey] = true;
      const pending = this[pendingKey];
      if (pending instanceof PendingConnect) process.nextTick(() => pending.tlsStarted());
      return true;
    },
    set() {},
  });

  // Family selection makes further TCP handles for a TLS socket and does not tell them their owner.
  const prototype = net.Socket.prototype as unknown as Record<symbol, (this: NetSocket, handle: AnyHandle) => void>;
  const reinitialize = prototype[reinitializeHandleSymbol];
  prototype[reinitializeHandleSymbol] = function reinitializeHandle(handle) {
    reinitialize.call(this, handle);
    const below = handle._parent;
    if (below instanceof TCP && below[ownerSymbol] === undefined) below[ownerSymbol] = this;
  };
}
