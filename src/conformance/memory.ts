/** Memory, names, numbers and overlapped records for tests of a provider. */

import {
  AF_INET,
  type MemoryHandle,
  type MemoryRegion,
  OVERLAPPED_POLL,
  type SOCKADDR,
  type WSABUF,
  type WSABUFEX,
  WSAOVERLAPPED,
} from '../spi/index.js';

export interface Memory {
  readonly memory: MemoryRegion;
  readonly handle: MemoryHandle;
}

/** Memory of the program, which nobody has registered. */
export function region(size: number): MemoryRegion {
  const memory = new ArrayBuffer((size + 7) & ~7);
  return { bytes: new Uint8Array(memory, 0, size), words: new Int32Array(memory) };
}

/** A buffer in memory that nobody has registered. */
export function unregistered(size = 8): WSABUFEX {
  return { len: size, buf: region(size), offset: 0, handle: { spi: 'MemoryHandle' } };
}

export function buffer({ memory, handle }: Memory, offset = 0, len = memory.bytes.length - offset): WSABUFEX {
  return { len, buf: memory, offset, handle };
}

export function notify(): WSAOVERLAPPED {
  return new WSAOVERLAPPED();
}

export function poll(): WSAOVERLAPPED {
  const overlapped = new WSAOVERLAPPED();
  overlapped.hEvent = OVERLAPPED_POLL;
  return overlapped;
}

export function name(port: number, address: string): SOCKADDR {
  return { sa_family: AF_INET, address, port };
}

/** The first bytes of a buffer, as text. */
export function text({ buf, offset }: WSABUF, length: number): string {
  return Buffer.from(buf.bytes.subarray(offset, offset + length)).toString();
}

/** A small generator of its own, so that a failure comes again. */
export function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    return (state >>> 8) % below;
  };
}
