/** What a NIC is doing for its process. */

import type { WSABUF, WSAOVERLAPPED } from '../../spi/index.js';

/** An operation that has been started and whose end the switch has not been told. */
export interface Operation {
  readonly overlapped: WSAOVERLAPPED;
  readonly buffers: readonly WSABUF[];
  readonly length: number;
  /** What is to be sent, once it does not matter any more what happens to the memory. */
  bytes: Uint8Array | null;
}

/** A copy of the list: the switch may use its records again once the call has returned. */
export function operationOf(buffers: readonly WSABUF[], overlapped: WSAOVERLAPPED): Operation {
  const copies = buffers.map(({ buf, offset, len }) => ({ buf, offset, len }));
  return { overlapped, buffers: copies, length: copies.reduce((sum, { len }) => sum + len, 0), bytes: null };
}

export function bytesOf(operation: Operation): Uint8Array {
  return operation.bytes ?? gather(operation);
}

export function gather({ buffers, length }: Operation): Uint8Array {
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const { buf, offset, len } of buffers) {
    bytes.set(buf.bytes.subarray(offset, offset + len), at);
    at += len;
  }
  return bytes;
}

export function scatter(bytes: Uint8Array, buffers: readonly WSABUF[]): void {
  let at = 0;
  for (const { buf, offset, len } of buffers) {
    const n = Math.min(len, bytes.length - at);
    if (n <= 0) return;
    buf.bytes.set(bytes.subarray(at, at + n), offset);
    at += n;
  }
}
