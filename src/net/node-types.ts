/** The private members of Node's own objects that this folder uses, as narrow types. */

import type net from 'node:net';
import type { NativeAddress } from '../providers/tcpip/native.js';

/** A request object of the native stream layer; only ever handed back. */
export type NativeRequest = object;

/** The request of a shutdown, with what net.js has put on it. */
export interface ShutdownRequest extends NativeRequest {
  oncomplete?(status: number, handle: object, argument: undefined): void;
}

/** Node's JSStream: a native stream whose bytes come from, and go to, JavaScript. */
export interface NativeJsStream {
  readBuffer(chunk: Uint8Array): void;
  emitEOF(): void;
  finishWrite(request: NativeRequest, status: number): void;
  finishShutdown(request: NativeRequest, status: number): void;
  useUserBuffer(buffer: Uint8Array): void;
  getAsyncId(): number;
  onread: unknown;
  [key: symbol]: unknown;
}

export type NativeJsStreamConstructor = new () => NativeJsStream;

/** Completion of a write, as Writable passes it to `_write`. */
export type WriteCallback = (error?: Error | null) => void;

/** One entry of Writable's queue, as it arrives in `_writev`. */
export interface QueuedChunk {
  chunk: Uint8Array | string;
  encoding: BufferEncoding | 'buffer';
}

export type WriteGeneric = (
  this: NetSocket,
  writev: boolean,
  data: Uint8Array | string | QueuedChunk[],
  encoding: BufferEncoding | 'buffer' | '',
  callback: WriteCallback,
) => unknown;

/** A handle as net.js sees it: native TCP, TLS over something, ours, or a foreign one. */
export interface AnyHandle {
  /** TLS: the handle below. */
  readonly _parent?: object;
  readonly constructor: unknown;
  reading?: boolean;
  onread?: unknown;
  getsockname?(out: NativeAddress): number;
  getpeername?(out: NativeAddress): number;
  useUserBuffer?(buffer: Uint8Array): void;
  enableSessionCallbacks?(): void;
  enableKeylogCallback?(): void;
  [key: symbol]: unknown;
}

/** A net.Socket with what net.js keeps on it. */
export type NetSocket = net.Socket & {
  _handle: AnyHandle | null;
  /** TLS over another socket: that socket. */
  _parent?: net.Socket | null;
  _server?: net.Server | null;
  _pendingData: unknown;
  _pendingEncoding: string;
  _writeGeneric: WriteGeneric;
  _unrefTimer(): void;
  _getpeername(): NativeAddress;
  _getsockname(): NativeAddress;
  _undestroy(): void;
  _reset(): void;
  /** TLSSocket: what it was made with. */
  _tlsOptions?: { readonly ALPNProtocols?: unknown };
  /** TLSSocket: its native wrap. */
  ssl?: unknown;
  [key: symbol]: unknown;
};
