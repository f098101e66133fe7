/**
 * Writes of JavaScript go from the socket to the SAN connection without Node's native stream layer, which would make a
 * request object and copy the bytes.
 */

import net from 'node:net';
import { requireInternals } from './internals.js';
import type { NetSocket, QueuedChunk, WriteCallback, WriteGeneric } from './node-types.js';
import { isSanHandle, type SanHandle } from './san-handle-face.js';

/** Leads the writes of a socket to its SAN handle. Left alone: sockets whose class has its own way of writing. */
export function bypassWrites(socket: NetSocket, handle: SanHandle): void {
  if (socket._handle !== (handle as unknown) && socket._handle !== null) return;
  if (socket._writeGeneric === requireInternals().writeGeneric) socket._writeGeneric = write;
}

export function toBytes(chunk: Uint8Array | string, encoding: BufferEncoding | 'buffer' | ''): Uint8Array {
  return typeof chunk === 'string' ? Buffer.from(chunk, encoding as BufferEncoding) : chunk;
}

const write: WriteGeneric = function (this: NetSocket, writev, data, encoding, callback) {
  const handle = this._handle;
  if (this.connecting || !isSanHandle(handle) || handle.closing) {
    return requireInternals().writeGeneric.call(this, writev, data, encoding, callback);
  }
  this._pendingData = null;
  this._pendingEncoding = '';
  this._unrefTimer();
  if (writev) return writeAll(this, handle, data as QueuedChunk[], callback);
  const bytes = toBytes(data as Uint8Array | string, encoding);
  if (handle.send(bytes, callback)) callback();
  else this[requireInternals().lastWriteQueueSizeSymbol] = bytes.length;
  return undefined;
};

function writeAll(socket: NetSocket, handle: SanHandle, queue: QueuedChunk[], callback: WriteCallback): void {
  const chunks = new Array<Uint8Array>(queue.length);
  let bytes = 0;
  for (let i = 0; i < queue.length; i++) {
    const chunk = toBytes(queue[i].chunk, queue[i].encoding);
    chunks[i] = chunk;
    bytes += chunk.length;
  }
  if (handle.sendAll(chunks, bytes, callback)) callback();
  else socket[requireInternals().lastWriteQueueSizeSymbol] = bytes;
}

/** Makes `resetAndDestroy` work on sockets of a SAN: Node's own asks for a native TCP handle. */
export function hookReset(): void {
  const original = net.Socket.prototype.resetAndDestroy;
  net.Socket.prototype.resetAndDestroy = function resetAndDestroy(this: net.Socket) {
    const socket = this as NetSocket;
    if (!isSanHandle(socket._handle) || socket.connecting) return original.call(this);
    socket._reset();
    return this;
  };
}
