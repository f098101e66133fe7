/** What the rest of this folder needs to know of the handle of a SAN connection, without its class. */

import type { NativeTcpHandle } from '../providers/tcpip/native.js';
import type { ConnectionEvents, SanConnection } from '../switch/face.js';
import type { NativeJsStream, NetSocket, WriteCallback } from './node-types.js';

export interface SanHandle extends NativeJsStream, ConnectionEvents {
  readonly connection: SanConnection;
  readonly closing: boolean;
  readonly bytesRead: number;
  readonly bytesWritten: number;
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
