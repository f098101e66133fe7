/** Addresses of the program as addresses of the switch. */

import type { NativeAddress } from '../providers/tcpip/native.js';
import { AF_INET, AF_INET6, type SOCKADDR } from '../spi/index.js';

const mappedPrefix = /^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i;

/**
 * Where a connect leads to. The unspecified address means this host, as on Linux, and a mapped IPv4 address is the IPv4
 * address. Null: the address has a scope, which no SAN knows.
 */
export function destination(family: number, address: string, port: number): SOCKADDR | null {
  if (address.includes('%')) return null;
  if (family === AF_INET) return { sa_family: AF_INET, address: address === '0.0.0.0' ? '127.0.0.1' : address, port };
  if (mappedPrefix.test(address)) return destination(AF_INET, address.replace(mappedPrefix, ''), port);
  return { sa_family: AF_INET6, address: address === '::' ? '::1' : address, port };
}

/** Writes a name of a connection as a native handle does: an IPv6 socket shows IPv4 addresses mapped. */
export function writeName(out: NativeAddress, name: SOCKADDR, family: number): void {
  const mapped = family === AF_INET6 && name.sa_family === AF_INET;
  out.address = mapped ? `::ffff:${name.address}` : name.address;
  out.family = mapped || name.sa_family === AF_INET6 ? 'IPv6' : 'IPv4';
  out.port = name.port;
}
