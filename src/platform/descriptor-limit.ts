import type { Libc } from './libc.js';

/** RLIMIT_NOFILE of Linux. */
const openFiles = 7;

/** Sets the soft limit of this process; returns what it was. Throws Error if the kernel does not let it. */
export function limitDescriptors(libc: Libc, limit: number): number {
  // The limit, and the most that it can be set to.
  const limits = new BigUint64Array(2);
  const bytes = new Uint8Array(limits.buffer);
  if (libc.prlimit(0, openFiles, null, bytes) !== 0) throw new Error(`prlimit: ${libc.errorName()}`);
  const [former] = limits;
  limits[0] = BigInt(limit);
  if (libc.prlimit(0, openFiles, bytes, null) !== 0) throw new Error(`prlimit: ${libc.errorName()}`);
  return Number(former);
}
