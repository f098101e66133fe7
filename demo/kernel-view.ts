/** What the kernel's TCP saw of a transfer: it must see nothing of one over shared memory, and all of one over TCP. */

import { connectedSockets, ESTABLISHED, outSegs } from '../bench/harness/kernel.js';
import type { Check } from './sequence.js';

/** The largest segment on the loopback interface is just below this; so a MiB over TCP takes at least 16 of them. */
const SEGMENT_BYTES = 64 * 1024;

/**
 * OutSegs counts the whole network namespace: another program may send meanwhile. What a transfer really costs is in every
 * attempt, what others send is not, so the smallest count of a few attempts is judged, and a few segments are let pass.
 */
const ATTEMPTS = 5;
const UNRELATED_SEGMENTS = 64;

export function checkNoTcp(port: number): Check {
  const sockets = connectedSockets(port);
  return {
    name: 'kernel: no TCP connection on the port while the SAN client is connected',
    ok: sockets.length === 0,
    detail: `${sockets.length} TCP sockets with port ${port} at either end, in any state but LISTEN`,
  };
}

export function checkTcp(port: number): Check {
  const established = connectedSockets(port).filter(({ state }) => state === ESTABLISHED);
  return {
    name: 'kernel: the client without the preload has a TCP connection to the same listener',
    ok: established.length === 2,
    detail: `${established.length} ESTABLISHED sockets with port ${port} at either end, one for each end expected`,
  };
}

/** `transfer` moves `mib` MiB over the SAN connection. */
export async function checkFlat(mib: number, transfer: () => Promise<unknown>): Promise<Check> {
  const counts: number[] = [];
  while (counts.length < ATTEMPTS && !counts.some((count) => count <= UNRELATED_SEGMENTS)) {
    counts.push(await segmentsOf(transfer));
  }
  const least = Math.min(...counts);
  return {
    name: `kernel: Tcp OutSegs stays flat while ${mib} MiB move over shared memory`,
    ok: least <= UNRELATED_SEGMENTS,
    detail: `${list(counts)} more segments; up to ${UNRELATED_SEGMENTS} are taken for other programs' traffic`,
  };
}

/** The same by TCP. */
export async function checkRising(mib: number, transfer: () => Promise<unknown>): Promise<Check> {
  const count = await segmentsOf(transfer);
  const expected = (mib << 20) / SEGMENT_BYTES;
  return {
    name: `kernel: Tcp OutSegs rises while the same ${mib} MiB move by TCP`,
    ok: count >= expected,
    detail: `${count} more segments, at least ${expected} expected`,
  };
}

async function segmentsOf(transfer: () => Promise<unknown>): Promise<number> {
  const before = outSegs();
  await transfer();
  return outSegs() - before;
}

function list(counts: readonly number[]): string {
  return counts.length === 1
    ? String(counts[0])
    : `${counts.join(', ')} in ${counts.length} attempts: ${Math.min(...counts)}`;
}
