/**
 * The peer's process memory, as far as the kernel lets us read it: decided for each link and direction, at the first RDMA
 * read, by reading bytes that the peer has named in the handshake. Whatever fails here makes a read go over the ring.
 */

import { randomFillSync } from 'node:crypto';
import type { PeerMemoryReason } from '../../diagnostics/peer-memory.js';
import type { ProcessMemory } from '../../platform/index.js';

/** Random bytes of a process and where they lie, for the peer to prove that it reads this process and no other. */
export interface Probe {
  readonly address: bigint;
  readonly bytes: Uint8Array;
}

export const PROBE_SIZE = 16;

/** Ours, which has to be kept reachable; null if this process must not be read, and reads nobody. */
export function ownProbe(
  platform: ProcessMemory,
  environment: Readonly<Record<string, string | undefined>>,
): Probe | null {
  if (environment.SOCKETS_DIRECT_PEER_MEMORY === 'off') return null;
  const memory = new ArrayBuffer(PROBE_SIZE);
  const bytes = randomFillSync(new Uint8Array(memory));
  const address = platform.addressOf(memory);
  return address === null ? null : { address, bytes };
}

export interface PeerMemoryOptions {
  readonly platform: ProcessMemory;
  /** As the kernel tells it of the link's socket: 0 if the peer is in another process namespace. */
  readonly pid: number;
  /** Of the handshake. */
  readonly probe: Probe | null;
  /** False: SOCKETS_DIRECT_PEER_MEMORY=off. */
  readonly allowed: boolean;
}

export class PeerMemory {
  readonly #options: PeerMemoryOptions;
  #access: PeerMemoryReason = 'not-tried';
  /** Holds on to the process, so that its number cannot come to mean another; -1: not held. */
  #process = -1;
  #closed = false;

  constructor(options: PeerMemoryOptions) {
    this.#options = options;
  }

  /** Without trying. */
  get access(): PeerMemoryReason {
    return this.#access;
  }

  /** Tries, if that has not been done: some 20 us. */
  try(): PeerMemoryReason {
    if (this.#access === 'not-tried' && !this.#closed) {
      this.#access = this.#probe();
      if (this.#access !== 'direct') this.#release();
    }
    return this.#access;
  }

  #probe(): PeerMemoryReason {
    const { platform, pid, probe, allowed } = this.#options;
    if (!allowed) return 'off-by-environment';
    if (probe === null) return 'off-at-peer';
    if (pid <= 0) return 'other-pid-namespace';
    const held = platform.holdProcess(pid);
    if (held === null) return 'not-permitted';
    this.#process = held;
    const memory = new ArrayBuffer(PROBE_SIZE);
    const into = platform.addressOf(memory)!;
    const copied = platform.readProcessMemory(pid, probe.address, into, PROBE_SIZE);
    if (copied === 'EPERM' || copied === 'ENOSYS') return this.#refused(into);
    const same = copied === PROBE_SIZE && Buffer.from(memory).equals(probe.bytes);
    return same && platform.isSameProcess(held) ? 'direct' : 'not-the-peer';
  }

  /** A filter that blocks the call blocks it for our own memory as well; a check of permissions does not. */
  #refused(into: bigint): PeerMemoryReason {
    const copied = this.#options.platform.readProcessMemory(process.pid, into, into, 1);
    return copied === 1 ? 'not-permitted' : 'call-blocked';
  }

  /** Copies memory of the peer into ours. False: it could not be read, or it is not known whose it was. */
  read(address: bigint, into: bigint, length: number): boolean {
    if (this.try() !== 'direct' || this.#closed) return false;
    const { platform, pid } = this.#options;
    const copied = platform.readProcessMemory(pid, address, into, length);
    // Afterwards: a process that is there now was there all the time.
    if (copied === length && platform.isSameProcess(this.#process)) return true;
    if (copied === 'EPERM' || copied === 'ENOSYS') {
      // Permissions can be taken away, by prctl(PR_SET_DUMPABLE) of the peer or a change of its user.
      this.#access = 'not-permitted';
      this.#release();
    }
    return false;
  }

  #release(): void {
    if (this.#process >= 0) this.#options.platform.releaseProcess(this.#process);
    this.#process = -1;
  }

  /** The link has ended. */
  close(): void {
    this.#closed = true;
    this.#release();
  }
}
