/** TransmitFile: sends a head, a part of a file and a tail, without anything of other sends in between (WSD-EXT-2). */

import { read } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { WSAEFAULT, WSAEINVAL } from '../spi/index.js';
import { WSAError } from './error.js';
import type { Source } from './sending.js';

/** An open file: a descriptor of node:fs, or a FileHandle of node:fs/promises. */
export type HANDLE = number | FileHandle;

/** What goes before and after the file. */
export interface TRANSMIT_FILE_BUFFERS {
  readonly Head?: Uint8Array | null;
  readonly Tail?: Uint8Array | null;
}

/** Bytes of a read where the program does not say how many to send at a time. */
const readSizeDefault = 262_144;
const sizeMax = 0x7fffffff;

function descriptorOf(file: HANDLE | null): number | null {
  if (file === null) return null;
  const descriptor = typeof file === 'object' ? file.fd : file;
  if (Number.isInteger(descriptor) && descriptor >= 0) return descriptor;
  throw new WSAError(WSAEFAULT, 'TransmitFile');
}

function readAt(descriptor: number, into: Uint8Array, length: number, position: number | null): Promise<number> {
  return new Promise((resolve, reject) => {
    read(descriptor, into, 0, length, position, (error, count) => {
      if (error === null) resolve(count);
      else reject(error);
    });
  });
}

/**
 * The file's bytes from `position` (null: where it stands), at most `total` of them (0: all). Two buffers take turns, so that
 * one is filled while the other is sent.
 */
function fileSource(descriptor: number, total: number, readSize: number, position: number | null): Source {
  const buffers = [Buffer.allocUnsafeSlow(readSize), Buffer.allocUnsafeSlow(readSize)] as const;
  let at = position;
  let left = total === 0 ? Number.POSITIVE_INFINITY : total;
  let turn = 0;
  const readNext = async (): Promise<Buffer | null> => {
    const buffer = buffers[turn & 1]!;
    turn++;
    const wanted = Math.min(readSize, left);
    const count = wanted === 0 ? 0 : await readAt(descriptor, buffer, wanted, at);
    if (at !== null) at += count;
    left -= count;
    return count === 0 ? null : buffer.subarray(0, count);
  };
  let next: Promise<Buffer | null> | null = null;
  return async () => {
    const chunk = await (next ?? readNext());
    if (chunk === null) return null;
    next = readNext();
    // It may fail before anybody asks.
    next.catch(() => {});
    return [chunk];
  };
}

export interface FilePart {
  readonly file: HANDLE | null;
  /** Bytes; 0 is all that follow. */
  readonly length: number;
  readonly bytesPerSend: number;
  /** Null: where the file stands. */
  readonly position: number | null;
}

export function transmitSource(part: FilePart, { Head, Tail }: TRANSMIT_FILE_BUFFERS): Source {
  const { length, bytesPerSend, position } = part;
  for (const bytes of [Head, Tail]) {
    if (bytes != null && !(bytes instanceof Uint8Array)) throw new WSAError(WSAEFAULT, 'TransmitFile');
  }
  for (const number of [length, bytesPerSend, position ?? 0]) {
    if (!Number.isSafeInteger(number) || number < 0) throw new WSAError(WSAEINVAL, 'TransmitFile');
  }
  // As on Windows, whose counts are 32 bits; a longer file is several calls.
  if (length >= sizeMax) throw new WSAError(WSAEINVAL, 'TransmitFile');
  const descriptor = descriptorOf(part.file);
  const parts: Source[] = [];
  if (Head?.length) parts.push(once(Head));
  if (descriptor !== null) parts.push(fileSource(descriptor, length, bytesPerSend || readSizeDefault, position));
  if (Tail?.length) parts.push(once(Tail));
  return async () => {
    for (let first = parts[0]; first !== undefined; first = parts[0]) {
      const chunks = await first();
      if (chunks !== null) return chunks;
      parts.shift();
    }
    return null;
  };
}

function once(bytes: Uint8Array): Source {
  let given = false;
  return async () => {
    if (given) return null;
    given = true;
    return [bytes];
  };
}
