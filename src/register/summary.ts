/**
 * Counts the connections of this event loop for `sockets-direct run --summary`, in a file of its own in the directory that
 * SOCKETS_DIRECT_SUMMARY names. It is written once in a turn in which something has changed, so that a process which is
 * killed, as servers are, has told nearly everything.
 */

import diagnosticsChannel from 'node:diagnostics_channel';
import { openSync, writeSync } from 'node:fs';
import type net from 'node:net';
import { join } from 'node:path';
import { threadId } from 'node:worker_threads';
import type { ConnectErrorMessage, FallbackMessage } from '../diagnostics/channels.js';
import type { Reason } from '../diagnostics/reasons.js';
import { type Counts, emptyCounts, type SideCounts } from '../diagnostics/summary.js';
import { connectionInfo } from '../net/connection-info.js';

/** `off`: why nothing in this process is hooked; null if it is. */
export function countFor(folder: string, off: Reason | null): void {
  const counts = emptyCounts();
  const file = new CountsFile(folder, counts);
  const add = (side: SideCounts, reason: Reason): void => {
    side[reason] = (side[reason] ?? 0) + 1;
    file.changed();
  };
  const on = <M>(channel: string, listener: (message: M) => void): void =>
    diagnosticsChannel.subscribe(channel, (message) => listener(message as M));
  on('sockets-direct:connect', () => add(counts.made, 'accelerated'));
  on<FallbackMessage>('sockets-direct:fallback', ({ socket, reason }) => {
    if (socket !== null) add(counts.made, reason);
  });
  on<ConnectErrorMessage>('sockets-direct:connect-error', ({ reason }) => add(counts.made, reason));
  if (off !== null) on('net.client.socket', () => add(counts.made, off));
  on<{ socket: net.Socket }>('net.server.socket', ({ socket }) => {
    const { reason } = connectionInfo(socket);
    // A pipe has no port, and is none of ours.
    if (reason !== null && socket.localPort !== undefined) add(counts.accepted, reason);
  });
}

class CountsFile {
  readonly #folder: string;
  readonly #counts: Counts;
  #descriptor: number | null = null;
  #scheduled = false;
  readonly #write = (): void => {
    this.#scheduled = false;
    try {
      this.#descriptor ??= openSync(
        join(this.#folder, `${process.pid}-${threadId}-${Math.round(performance.timeOrigin)}`),
        'wx',
        0o600,
      );
      // Numbers only grow, so the text does, and covers the one before.
      writeSync(this.#descriptor, JSON.stringify(this.#counts), 0);
    } catch {
      // The run is over, and nobody reads it any more.
    }
  };

  constructor(folder: string, counts: Counts) {
    this.#folder = folder;
    this.#counts = counts;
    process.on('exit', () => {
      if (this.#scheduled) this.#write();
    });
  }

  changed(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#write);
  }
}
