/**
 * Records by which the two providers of a link speak to each other: connection id 0 on the ring. All words are 32-bit
 * little-endian; addresses are 16 bytes in network order, IPv4 ones mapped (::ffff:a.b.c.d).
 *
 *     connect   1, id, generation, family << 16 | port, address[4], family << 16 | port, address[4]   (called, caller)
 *     accept    2, id, generation
 *     refuse    3, id, generation, cause
 *     close     4, id, generation
 *     write     5, id, generation, offset, descriptor[4], and the bytes to write
 *     read      6, id, generation, offset, descriptor[4], length, bytes that will be asked for after these
 *     data      7, id, generation, and bytes that were asked for by reads, in their order
 *     move      8, id, generation, process, nonce[4]   (goes on in that process, and comes back on its link)
 *     resume    9, id, generation, nonce[4]            (has moved here; answered as a connect is)
 *
 * An id is a slot of the side that initiated, plus 65536 if that is side 1. The generation tells one use of a slot from
 * the next.
 */

import { isIPv4, isIPv6 } from 'node:net';
import { AF_INET, AF_INET6, type SOCKADDR } from '../../spi/index.js';

export const RECORD_CONNECT = 1;
export const RECORD_ACCEPT = 2;
export const RECORD_REFUSE = 3;
export const RECORD_CLOSE = 4;
export const RECORD_RDMA_WRITE = 5;
export const RECORD_RDMA_READ = 6;
export const RECORD_RDMA_DATA = 7;
export const RECORD_MOVE = 8;
export const RECORD_RESUME = 9;

/** Bytes of the records. */
export const CONNECT_SIZE = 52;
export const ACCEPT_SIZE = 12;
export const REFUSE_SIZE = 16;
export const CLOSE_SIZE = 12;
export const MOVE_SIZE = 32;
export const RESUME_SIZE = 28;
/** Without the bytes to write. */
export const RDMA_WRITE_SIZE = 32;
export const RDMA_READ_SIZE = 40;
/** Without the bytes that were read. */
export const RDMA_DATA_SIZE = 12;

/** The peer's switch said no (CF_REJECT, or its backlog was full): final for the connector (WSD-ACC-24, WSD-LSN-10). */
export const REFUSED_BY_SWITCH = 1;
/** Nobody listens there any more: the rendezvous entry was stale. The connector falls back. */
export const REFUSED_NO_LISTENER = 2;
/** The acceptor ran out of something. The connector falls back. */
export const REFUSED_RESOURCES = 3;

/** States of a request's word in the arena, in its two lowest bits; the generation is above. */
export const REQUEST_PENDING = 1;
export const REQUEST_ACCEPTED = 2;
export const REQUEST_ENDED = 3;

/** Generations go up to this, and then from 0 again: so that they fit into a request's word beside its state. */
export const GENERATION_MAX = 0x0fffffff;

export function requestWord(generation: number, state: number): number {
  return (generation << 2) | state;
}

function writeAddress(words: Int32Array, i: number, address: SOCKADDR): void {
  words[i] = (address.sa_family << 16) | address.port;
  const bytes = addressBytes(address.address);
  for (let k = 0; k < 4; k++) words[i + 1 + k] = bytes.readInt32LE(4 * k);
}

const byteCache = new Map<string, Buffer>();

/** 16 bytes of a textual address, none if it is not one. The few that a process uses are kept. */
export function addressBytes(text: string): Buffer {
  let bytes = byteCache.get(text);
  if (bytes === undefined) {
    bytes = parseAddress(text);
    if (byteCache.size > 256) byteCache.clear();
    byteCache.set(text, bytes);
  }
  return bytes;
}

function parseAddress(text: string): Buffer {
  const bytes = Buffer.alloc(16);
  if (isIPv4(text)) {
    bytes.writeUInt16BE(0xffff, 10);
    text.split('.').forEach((part, k) => {
      bytes[12 + k] = Number(part);
    });
    return bytes;
  }
  // Text of rendezvous entries comes from others.
  if (!isIPv6(text)) return Buffer.alloc(0);
  const lastColon = text.lastIndexOf(':');
  const tail = text.slice(lastColon + 1);
  let groups = text;
  if (tail.includes('.')) {
    const v4 = tail.split('.').map(Number);
    groups = `${text.slice(0, lastColon + 1)}${((v4[0] << 8) | v4[1]).toString(16)}:${((v4[2] << 8) | v4[3]).toString(16)}`;
  }
  const [head, rest] = groups.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = rest === undefined || rest === '' ? [] : rest.split(':');
  left.forEach((group, k) => {
    bytes.writeUInt16BE(Number.parseInt(group, 16), 2 * k);
  });
  right.forEach((group, k) => {
    bytes.writeUInt16BE(Number.parseInt(group, 16), 16 - 2 * (right.length - k));
  });
  return bytes;
}

function formatAddress(family: number, bytes: Buffer): string {
  const dotted = `${bytes[12]}.${bytes[13]}.${bytes[14]}.${bytes[15]}`;
  if (family === AF_INET) return dotted;
  const groups: number[] = [];
  for (let k = 0; k < 8; k++) groups.push(bytes.readUInt16BE(2 * k));
  let best = -1;
  let bestLength = 1;
  for (let k = 0; k < 8; k++) {
    let n = 0;
    while (k + n < 8 && groups[k + n] === 0) n++;
    if (n > bestLength) {
      best = k;
      bestLength = n;
    }
  }
  // As inet_ntop writes embedded IPv4 addresses.
  if (best === 0 && bestLength === 6) return `::${dotted}`;
  if (best === 0 && bestLength === 5 && groups[5] === 0xffff) return `::ffff:${dotted}`;
  const text = (part: number[]) => part.map((group) => group.toString(16)).join(':');
  if (best < 0) return text(groups);
  return `${text(groups.slice(0, best))}::${text(groups.slice(best + bestLength))}`;
}

const scratch = Buffer.alloc(16);
/** The words of the address that was read last, and its text: most are the same again. */
const last = new Int32Array(5);
let lastText = '';

/** Null if the family or the port is none. Reads each word once. */
function readAddress(words: Int32Array, i: number): SOCKADDR | null {
  const head = words[i];
  const family = head >>> 16;
  if (family !== AF_INET && family !== AF_INET6) return null;
  const a = words[i + 1];
  const b = words[i + 2];
  const c = words[i + 3];
  const d = words[i + 4];
  if (last[0] !== family || last[1] !== a || last[2] !== b || last[3] !== c || last[4] !== d) {
    scratch.writeInt32LE(a, 0);
    scratch.writeInt32LE(b, 4);
    scratch.writeInt32LE(c, 8);
    scratch.writeInt32LE(d, 12);
    lastText = formatAddress(family, scratch);
    last[0] = family;
    last[1] = a;
    last[2] = b;
    last[3] = c;
    last[4] = d;
  }
  return { sa_family: family, address: lastText, port: head & 0xffff };
}

export function writeConnect(
  words: Int32Array,
  offset: number,
  id: number,
  generation: number,
  callee: SOCKADDR,
  caller: SOCKADDR,
): void {
  const i = offset >> 2;
  words[i] = RECORD_CONNECT;
  words[i + 1] = id;
  words[i + 2] = generation;
  writeAddress(words, i + 3, callee);
  writeAddress(words, i + 8, caller);
}

/** Addresses of a connect record; null if they are malformed. */
export function readConnect(words: Int32Array, offset: number): { callee: SOCKADDR; caller: SOCKADDR } | null {
  const i = offset >> 2;
  const callee = readAddress(words, i + 3);
  const caller = readAddress(words, i + 8);
  return callee === null || caller === null ? null : { callee, caller };
}
