import { isIPv4 } from 'node:net';
import { callFailed } from './error.js';
import type { Libc } from './libc.js';

const AF_INET = 2;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;

/**
 * Binds a datagram socket without SO_REUSEADDR, so that nobody else can while the descriptor is open. Not a TCP socket: those
 * are kept from a port by connections of others that have ended long ago and are in TIME_WAIT. See `Platform`.
 */
export function reservePort(libc: Libc, address: string, port: number): number | null {
  if (!isIPv4(address)) throw new RangeError(`${address} is not an IPv4 address`);
  if (!Number.isInteger(port) || port < 0 || port > 65535) throw new RangeError(`${port} is not a port`);
  const descriptor = libc.socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) throw callFailed('resources-exhausted', 'socket', libc.errorName());
  const name = Buffer.alloc(16);
  name.writeUInt16LE(AF_INET, 0);
  name.writeUInt16BE(port, 2);
  name.set(address.split('.').map(Number), 4);
  if (libc.bind(descriptor, name, name.length) === 0) return descriptor;
  const code = libc.errorName();
  libc.close(descriptor);
  if (code === 'EADDRINUSE' || code === 'EADDRNOTAVAIL' || code === 'EACCES') return null;
  throw callFailed('resources-exhausted', 'bind', code);
}
