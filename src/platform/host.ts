import { readFileSync, statSync } from 'node:fs';
import { callFailed, PlatformError } from './error.js';
import type { Libc } from './libc.js';

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_NETNS_COOKIE = 71;
const LOCK_SH = 1;

/** Throws PlatformError `runtime-untested` or `platform-unsupported` before anything is loaded. */
export function checkHost(): void {
  const { versions, platform, arch } = process;
  for (const runtime of ['bun', 'deno', 'electron'] as const) {
    if (versions[runtime] !== undefined) throw new PlatformError('runtime-untested', runtime);
  }
  if (platform !== 'linux') throw new PlatformError('platform-unsupported', platform);
  // The order of memory accesses on arm64 is weaker, and the litmus test has not run there.
  if (arch !== 'x64') throw new PlatformError('platform-unsupported', arch);
}

export function networkNamespaceCookie(libc: Libc): bigint {
  const descriptor = libc.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) throw callFailed('resources-exhausted', 'socket', libc.errorName());
  const cookie = Buffer.alloc(8);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(cookie.length);
  const result = libc.getsockopt(descriptor, SOL_SOCKET, SO_NETNS_COOKIE, cookie, length);
  libc.close(descriptor);
  if (result === 0) return cookie.readBigUInt64LE();
  // Before Linux 5.14 the inode has to do; unlike the cookie it is used again within one boot.
  return BigInt(statSync('/proc/self/ns/net', { bigint: true }).ino);
}

export function lockSharedDirectory(libc: Libc, descriptor: number): void {
  if (libc.flock(descriptor, LOCK_SH) !== 0) throw callFailed('rendezvous-unavailable', 'flock', libc.errorName());
}

/**
 * Our effective user id if it tells one user from another, otherwise null.
 *
 * In a user namespace every user without a mapping has the overflow id. A process that has it itself cannot tell its own
 * processes from strangers'.
 */
export function ownUser(): number | null {
  const uid = process.geteuid!();
  const overflow = Number(readFileSync('/proc/sys/kernel/overflowuid', 'utf8'));
  if (uid !== overflow) return uid;
  const map = readFileSync('/proc/self/uid_map', 'utf8').trim().split(/\s+/).join(' ');
  return map === '0 0 4294967295' ? uid : null;
}
