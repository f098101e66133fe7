/**
 * Everything private of Node.js that the drop-in relies on, found and checked in one place at first use. If one piece is
 * missing, nothing is replaced and every connection stays on TCP/IP.
 */

import { createRequire } from 'node:module';
import net from 'node:net';
import type { Reason } from '../diagnostics/reasons.js';
import {
  fromBinding,
  type NativeTcpConstructor,
  type NativeTcpFunctions,
  nativeTcp,
} from '../providers/tcpip/native.js';
import type { AnyHandle, NativeJsStreamConstructor, NetSocket, WriteGeneric } from './node-types.js';
import { canDrain } from './ticks.js';

/** Major versions of Node.js on which the tests of this package and Node's own run. */
export const testedMajors: readonly number[] = [20, 22, 24, 26];

export interface Internals {
  readonly TCP: NativeTcpConstructor;
  readonly tcpOriginal: NativeTcpFunctions;
  readonly JSStream: NativeJsStreamConstructor;
  /** Key of a handle's socket or server. */
  readonly ownerSymbol: symbol;
  readonly asyncIdSymbol: symbol;
  /** Keys of the `onread` option: buffer, callback, and generator of buffers. */
  readonly bufferSymbol: symbol;
  readonly bufferCallbackSymbol: symbol;
  readonly bufferGeneratorSymbol: symbol;
  readonly lastWriteQueueSizeSymbol: symbol;
  readonly reinitializeHandleSymbol: symbol;
  /** Node's own reader of handles. A handle that has another one is not read past it. */
  readonly onStreamRead: unknown;
  readonly writeGeneric: WriteGeneric;
  /** Since version 22 a failed write is reported to its callback even if the socket is destroyed. */
  readonly reportsLateWriteErrors: boolean;
}

let result: Internals | Reason | undefined;

/** The internals, or the reason why the drop-in stays away. */
export function internals(): Internals | Reason {
  if (result === undefined) {
    try {
      result = runtimeReason() ?? find();
    } catch {
      result = 'internals-unavailable';
    }
  }
  return result;
}

/** The internals where they are known to be there: behind hooks that are installed only then. */
export function requireInternals(): Internals {
  const found = internals();
  if (typeof found === 'string') throw new Error(`Sockets Direct is not installed: ${found}`);
  return found;
}

function major(): number {
  return Number.parseInt(process.versions.node, 10);
}

function runtimeReason(): Reason | null {
  const { versions } = process;
  if (versions.bun !== undefined || versions.deno !== undefined || versions.electron !== undefined) {
    return 'runtime-untested';
  }
  return testedMajors.includes(major()) ? null : 'runtime-untested';
}

/** The symbol of that description among the keys of an object and its prototypes. */
export function symbolOf(object: object, description: string): symbol | undefined {
  for (let o: object | null = object; o !== null; o = Object.getPrototypeOf(o)) {
    const symbol = Object.getOwnPropertySymbols(o).find((candidate) => candidate.description === description);
    if (symbol !== undefined) return symbol;
  }
  return undefined;
}

/** Under the permission model the binding is refused; TLS over a stream that is no socket has one. */
function jsStreamFromTls(): unknown {
  const require = createRequire(import.meta.url);
  const { Duplex } = require('node:stream') as typeof import('node:stream');
  const tls = require('node:tls') as typeof import('node:tls');
  const stream = new Duplex({ read() {}, write: (_chunk, _encoding, callback) => callback() });
  const socket = new tls.TLSSocket(stream);
  const handle = (socket as unknown as NetSocket)._handle;
  const found = handle?._parent?.constructor;
  socket.destroy();
  return found;
}

function find(): Internals | Reason {
  const native = nativeTcp();
  if (native === null || !canDrain) return 'internals-unavailable';
  const JSStream = fromBinding('js_stream', 'JSStream') ?? jsStreamFromTls();
  if (typeof JSStream !== 'function') return 'internals-unavailable';

  // A socket over a plain object shows what net.js puts on handles, without any native one.
  const handle: AnyHandle = {};
  const options = { handle, manualStart: true } as unknown as net.SocketConstructorOpts;
  const socket = new net.Socket(options) as NetSocket;
  const symbols = {
    ownerSymbol: symbolOf(handle, 'owner_symbol'),
    asyncIdSymbol: symbolOf(socket, 'async_id_symbol'),
    bufferSymbol: symbolOf(socket, 'kBuffer'),
    bufferCallbackSymbol: symbolOf(socket, 'kBufferCb'),
    bufferGeneratorSymbol: symbolOf(socket, 'kBufferGen'),
    lastWriteQueueSizeSymbol: symbolOf(socket, 'lastWriteQueueSize'),
    reinitializeHandleSymbol: symbolOf(socket, 'kReinitializeHandle'),
  };
  const complete =
    Object.values(symbols).every((symbol) => symbol !== undefined) &&
    handle[symbols.ownerSymbol as symbol] === socket &&
    typeof handle.onread === 'function' &&
    typeof socket[symbols.reinitializeHandleSymbol as symbol] === 'function' &&
    [socket._writeGeneric, socket._unrefTimer, socket._undestroy, socket._reset].every(
      (f) => typeof f === 'function',
    ) &&
    streamWorks(JSStream as unknown as NativeJsStreamConstructor);
  if (!complete) return 'internals-unavailable';
  return {
    TCP: native.TCP,
    tcpOriginal: native.original,
    JSStream: JSStream as unknown as NativeJsStreamConstructor,
    ...(symbols as { [K in keyof typeof symbols]: symbol }),
    onStreamRead: handle.onread,
    writeGeneric: net.Socket.prototype._writeGeneric,
    reportsLateWriteErrors: major() >= 22,
  };
}

function streamWorks(JSStream: NativeJsStreamConstructor): boolean {
  const { prototype } = JSStream as unknown as { prototype: Record<string, unknown> };
  const names = ['readBuffer', 'emitEOF', 'finishWrite', 'finishShutdown', 'useUserBuffer', 'getAsyncId', 'shutdown'];
  return names.every((name) => typeof prototype[name] === 'function');
}

declare module 'node:net' {
  interface Socket {
    /** Private of Node.js: the one place where all writes of a socket come by. */
    _writeGeneric: WriteGeneric;
  }
}
