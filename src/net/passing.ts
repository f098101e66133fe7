/**
 * Sockets that leave this process or thread: `child.send(message, socket)`, `spawn` with a socket in `stdio`,
 * `postMessage` with a socket in the transfer list. All of them ask for the descriptor of a native handle. Right before, the
 * socket gets one, an end of a kernel pair whose other end is relayed, and Node's own code does the rest.
 */

import type { ChildProcess } from 'node:child_process';
import { createRequire } from 'node:module';
import net from 'node:net';
import type { NativeAddress, NativeTcpStream } from '../providers/tcpip/native.js';
import { kernelPair } from '../providers/tcpip/pair.js';
import { remember } from './connection-info.js';
import { connectByTcpip } from './hooks-connect.js';
import { requireInternals, symbolOf } from './internals.js';
import { debug } from './log.js';
import type { AnyHandle, NetSocket } from './node-types.js';
import { Relay } from './relay.js';
import { isSanHandle, type SanHandle } from './san-handle-face.js';

/**
 * Gives a socket of a SAN a native handle, and returns that. Left alone: everything else, and a socket for which there is no
 * pair.
 */
function toNative(candidate: unknown): NativeTcpStream | null {
  if (!(candidate instanceof net.Socket)) return null;
  const socket = candidate as NetSocket;
  // A connect that the switch has not decided on is no connect for whoever gets the descriptor.
  if (socket.connecting) connectByTcpip(socket, 'relayed');
  const handle = socket._handle;
  if (!isSanHandle(handle) || handle.closing || socket.destroyed) return null;
  const local: NativeAddress = {};
  const peer: NativeAddress = {};
  handle.getsockname!(local);
  handle.getpeername!(peer);
  let relay: Relay | null = null;
  const near = kernelPair(local as Required<NativeAddress>, peer as Required<NativeAddress>, (far) =>
    relay!.attach(far),
  );
  if (typeof near === 'number') {
    debug('no kernel pair: %d', near);
    return null;
  }
  relay = new Relay(handle.connection, handle.detach());
  exchange(socket, handle, near);
  debug('relayed from now on: %s:%d', peer.address, peer.port);
  return near;
}

function exchange(socket: NetSocket, san: SanHandle, near: NativeTcpStream): void {
  const { ownerSymbol, asyncIdSymbol, bufferSymbol } = requireInternals();
  // What the socket has told of itself stays true: its names, and what it has read and written so far.
  socket._getpeername();
  socket._getsockname();
  count(near, 'bytesRead', san.bytesRead);
  count(near, 'bytesWritten', san.bytesWritten);
  const { reading } = san;
  near.onread = san.onread;
  near[ownerSymbol] = socket;
  near.setNoDelay(true);
  if (!san.hasRef()) near.unref();
  const handle = near as unknown as AnyHandle;
  socket._handle = handle;
  socket[asyncIdSymbol] = near.getAsyncId();
  const buffer = socket[bufferSymbol];
  if (buffer instanceof Uint8Array) handle.useUserBuffer?.(buffer);
  handle.reading = reading;
  if (reading) near.readStart();
  remember(socket, 'tcpip', 'relayed');
}

function count(handle: object, name: 'bytesRead' | 'bytesWritten', before: number): void {
  const prototype = Object.getPrototypeOf(handle) as object;
  Object.defineProperty(handle, name, {
    configurable: true,
    enumerable: true,
    get: () => before + (Reflect.get(prototype, name, handle) as number),
  });
}

/**
 * Handles that are on their way to a child. Node keeps them until the child has confirmed, and for ever if it dies before;
 * with TCP such a handle would hold nobody, but here it would keep the relay waiting for its end.
 */
const underway = new WeakMap<ChildProcess, Set<NativeTcpStream>>();

function abandonWith(child: ChildProcess, near: NativeTcpStream): void {
  let handles = underway.get(child);
  if (handles === undefined) {
    const all = new Set<NativeTcpStream>();
    handles = all;
    underway.set(child, all);
    child.once('exit', () => {
      for (const handle of all) {
        const owner = handle[requireInternals().ownerSymbol] as NetSocket | undefined;
        if (owner?._handle !== (handle as unknown)) handle.close();
      }
    });
  }
  const { close } = requireInternals().tcpOriginal;
  handles.add(near);
  near.close = (callback) => {
    handles.delete(near);
    close.call(near, callback);
  };
}

interface Channel {
  _send?(message: unknown, handle: unknown, ...rest: unknown[]): boolean;
}

/** For who passes the handle of a socket instead of the socket. */
function nativeOf(handle: SanHandle): unknown {
  toNative(handle.owner);
  return handle.owner?._handle ?? handle;
}

type ChildProcessModule = typeof import('node:child_process');
type Send = NonNullable<Channel['_send']>;

function sendsNative(send: Send): Send {
  return function _send(this: Channel, message, handle, ...rest) {
    const near = toNative(handle);
    if (near !== null && childProcess !== null && this instanceof childProcess) abandonWith(this, near);
    return send.call(this, message, isSanHandle(handle as object) ? nativeOf(handle as SanHandle) : handle, ...rest);
  };
}

/** Node's class of child processes, once it is hooked. */
let childProcess: typeof ChildProcess | null = null;

/**
 * Hooks the class of child processes, and those that there are. That costs loading it: so not before there is a socket that a
 * SAN may carry.
 */
export function hookChildren(): void {
  if (childProcess !== null) return;
  ({ ChildProcess: childProcess } = createRequire(import.meta.url)('node:child_process') as ChildProcessModule);
  const prototype = childProcess.prototype as unknown as Channel & { spawn(options: { stdio?: unknown }): unknown };
  const { spawn } = prototype;
  prototype.spawn = function (this: object, options) {
    if (Array.isArray(options?.stdio)) options.stdio.forEach(toNative);
    return spawn.call(this, options);
  };
  // Every child gets its own `_send` with its channel. `send` calls it, and so does the queue of handles.
  Object.defineProperty(prototype, '_send', {
    configurable: true,
    set(this: object, send: Send) {
      const property = { configurable: true, enumerable: true, writable: true, value: sendsNative(send) };
      Object.defineProperty(this, '_send', property);
    },
  });
  const { _getActiveHandles: active } = process as unknown as { _getActiveHandles(): object[] };
  for (const child of active()) {
    if (!(child instanceof childProcess)) continue;
    const channel = child as unknown as Channel;
    if (channel._send !== undefined) channel._send = sendsNative(channel._send);
  }
}

/** Hooks what else takes sockets away. */
export function hookPassing(): void {
  const parent = process as unknown as Channel;
  if (parent._send !== undefined) parent._send = sendsNative(parent._send);
  hookTransfer();
}

/** From version 24 on sockets can go to another thread, if nothing has been read or written yet. */
function hookTransfer(): void {
  const prototype = net.Socket.prototype as unknown as Record<symbol, (this: NetSocket) => unknown>;
  const key = symbolOf(prototype, 'messaging_transfer_list_symbol');
  const list = key === undefined ? undefined : prototype[key];
  if (key === undefined || typeof list !== 'function') return;
  prototype[key] = function (this: NetSocket) {
    if (this.bytesRead === 0 && this.bytesWritten === 0) toNative(this);
    return list.call(this);
  };
}
