/** Addresses as programs give them, checked, and as bytes, the way AcceptEx writes them. */

import { isIPv4, isIPv6 } from 'node:net';
import { AF_INET, AF_INET6, type SOCKADDR, WSAEAFNOSUPPORT, WSAEFAULT } from '../spi/index.js';
import { WSAError } from './error.js';

/** A copy of the address, if it is one of the socket's family. */
export function checkedAddress(name: SOCKADDR, family: number, syscall: string): SOCKADDR {
  if (typeof name !== 'object' || name === null) throw new WSAError(WSAEFAULT, syscall);
  const { sa_family, address, port } = name;
  if (sa_family !== family) throw new WSAError(WSAEAFNOSUPPORT, syscall);
  const valid = typeof address === 'string' && (family === AF_INET ? isIPv4(address) : isIPv6(address));
  if (!valid || address.includes('%') || !Number.isInteger(port) || port < 0 || port > 65535) {
    throw new WSAError(WSAEFAULT, syscall);
  }
  return { sa_family, address, port };
}

/** Bytes of sockaddr_in and sockaddr_in6. */
export function addressSize(family: number): number {
  return family === AF_INET6 ? 28 : 16;
}

/** sockaddr_in or sockaddr_in6 at `offset`: family in little-endian, the rest in network order, as on Windows. */
export function writeAddress(out: Uint8Array, offset: number, { sa_family, address, port }: SOCKADDR): void {
  const view = new DataView(out.buffer, out.byteOffset + offset, addressSize(sa_family));
  for (let i = 0; i < view.byteLength; i++) view.setUint8(i, 0);
  view.setUint16(0, sa_family, true);
  view.setUint16(2, port);
  if (sa_family === AF_INET) {
    for (const [i, part] of address.split('.').entries()) view.setUint8(4 + i, Number(part));
  } else {
    for (const [i, group] of groupsOf(address).entries()) view.setUint16(8 + 2 * i, group);
  }
}

/** Null: there is no address of these families. */
export function readAddress(bytes: Uint8Array, offset: number): SOCKADDR | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset);
  const sa_family = view.getUint16(0, true);
  if (sa_family !== AF_INET && sa_family !== AF_INET6) return null;
  const port = view.getUint16(2);
  if (sa_family === AF_INET) {
    return { sa_family, address: [4, 5, 6, 7].map((at) => view.getUint8(at)).join('.'), port };
  }
  const groups = Array.from({ length: 8 }, (_, i) => view.getUint16(8 + 2 * i));
  return { sa_family, address: textOf(groups), port };
}

/** The eight numbers of an IPv6 address. */
function groupsOf(address: string): number[] {
  const hexadecimal = address.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, ...parts: string[]) => {
    const [a, b, c, d] = parts.map(Number);
    return `${((a! << 8) | b!).toString(16)}:${((c! << 8) | d!).toString(16)}`;
  });
  const [head = '', tail] = hexadecimal.split('::');
  const numbers = (text: string): number[] =>
    text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16));
  const before = numbers(head);
  if (tail === undefined) return before;
  const after = numbers(tail);
  return [...before, ...new Array<number>(8 - before.length - after.length).fill(0), ...after];
}

/** The form that a URL gives an address is the canonical one. */
function textOf(groups: readonly number[]): string {
  const { hostname } = new URL(`http://[${groups.map((group) => group.toString(16)).join(':')}]`);
  return hostname.slice(1, -1);
}
