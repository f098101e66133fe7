/** What the rest of this folder needs to know of the handle of a SAN connection, without its class. */

import type { Member } from '../collections/dense-set.js';
import type { NativeAddress, NativeTcpHandle } from '../providers/tcpip/native.js';
import type { ConnectionEvents, SanConnection } from '../switch/face.js';
import type { NativeJsStream, NetSocket, WriteCallback } from './node-types.js';

/** What a handle that is taken off its connection leaves of it. */
export interface Detached {
  /** Delivered by the switch, and not taken by the socket. */
  readonly chunk: Buffer | null;
  /** The end, or an error, was delivered: nothing follows. */
  readonly ended: boolean;
  /** The sending direction is shut down, or about to be. */
  readonly finished: boolean;
}

export interface SanHandle extends NativeJsStream, ConnectionEvents, Member {
  readonly connection: SanConnection;
  readonly closing: boolean;
  /** The socket, or the TLS socket, that owns the handle. */
  owner: NetSocket | null;
  /** The program's own TCP handle (WSD-SOC-2). It is not connected; options set on the socket reach it too. */
  tcp: NativeTcpHandle | null;
  /** True once a native consumer may be attached. */
  native: boolean;
  /** Sends one chunk of a JavaScript writer; false: `callback` follows when the bytes are taken. */
  send(chunk: Uint8Array, callback: WriteCallback): boolean;
  /** Same for several chunks, as one write. */
  sendAll(chunks: readonly Uint8Array[], bytes: number, callback: WriteCallback): boolean;
  unref(): void;
  hasRef(): boolean;
  /** Kept by net.js: whether it has asked for bytes. */
  reading: boolean;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  getsockname(out: NativeAddress): number;
  getpeername(out: NativeAddress): number;
  /** Gives the connection away. What the socket has written, or its end, still completes through this handle. */
  detach(): Detached;
}

let handleClass: (new (...args: never[]) => SanHandle) | undefined;

/** Makes the one class of handles known. */
export function recognize(ours: new (...args: never[]) => SanHandle): void {
  handleClass = ours;
}

/** Whether a socket's handle is one of ours. */
export function isSanHandle(handle: object | null | undefined): handle is SanHandle {
  return handleClass !== undefined && handle instanceof handleClass;
}
