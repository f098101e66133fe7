/** Two event loops' worth of shared memory in one process. */

import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Reason } from '../../src/diagnostics/reasons.js';
import { SharedMemoryProvider } from '../../src/providers/shared-memory/provider.js';
import type { NotifyAddresses } from '../../src/providers/shared-memory/proxy.js';
import { until } from '../link/support.js';
import { realTime } from '../support/real-time.js';
import type { Party, Rig, RigOptions } from './rig.js';

/** Turns of the loop without anything to do after which nothing is under way. */
const quietTurns = 5;

/** What only shared memory has. */
export interface SharedMemoryRig extends Rig {
  /** Where the providers find each other. */
  readonly directory: string;
  /** Why links and connections were ended, and peers refused. */
  readonly reasons: readonly Reason[];
}

/** Milliseconds; the machine may be busy with something else. */
const patience = 15_000;

export function sharedMemoryRig({ connectBudget = patience, assignments, peerMemory }: RigOptions): SharedMemoryRig {
  const directory = mkdtempSync(join(tmpdir(), 'sockets-direct-test-'));
  // Nothing of a provider keeps a process alive.
  const alive = setInterval(() => {}, 60_000);
  const usePeerMemory = peerMemory ?? process.env.SOCKETS_DIRECT_PEER_MEMORY !== 'off';
  const made: SharedMemoryProvider[] = [];
  const reasons: Reason[] = [];
  const party = (notifyAddresses?: NotifyAddresses): Party => {
    const provider = new SharedMemoryProvider({
      environment: { SOCKETS_DIRECT_DIR: directory, SOCKETS_DIRECT_PEER_MEMORY: usePeerMemory ? '' : 'off' },
      ...realTime,
      random: () => 0,
      connectBudget,
      count: (reason) => reasons.push(reason),
      ...(notifyAddresses === undefined ? {} : { notifyAddresses }),
    });
    made.push(provider);
    // The end of a process is the end of its Unix sockets, without a word on the ring.
    return { provider, address: '127.0.0.1', others: ['127.0.0.2', '127.0.0.99'], kill: () => provider.links!.close() };
  };
  const isQuiet = (): boolean =>
    made.every(({ links }) => [...(links?.all ?? [])].every((link) => !link.hasRecords && !link.hasWaiting));
  return {
    directory,
    reasons,
    server: party(assignments?.register),
    client: party(),
    until: (condition, what) => until(condition, what, patience),
    settle: async () => {
      for (let quiet = 0; quiet < quietTurns; quiet = isQuiet() ? quiet + 1 : 0) {
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
    // Only on its own link is such an address one.
    stranger: ['fe80::7/64', 1],
    servedByTcpip: async (address) => {
      const server = createServer();
      server.listen({ host: address, port: 0 });
      const [event] = await Promise.race([
        once(server, 'listening').then(() => ['listening']),
        once(server, 'error').then(() => ['error']),
      ]);
      server.close();
      return event === 'listening';
    },
    close: () => {
      clearInterval(alive);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
