/** The honest part of a victim: its own connection to an echo server, and what it can tell of itself. */

import { once } from 'node:events';
import type net from 'node:net';
import { dirname, join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { pathToFileURL } from 'node:url';
import { secret } from './hostile-secret.js';
import { carrier, connect, pattern, report } from './support.js';

interface Counters {
  reasonCounts(): Readonly<Record<string, number>>;
}
const counters = (await import(
  pathToFileURL(join(dirname(process.env.SOCKETS_DIRECT_TEST_INFO!), 'diagnostics', 'counters.js')).href
)) as Counters;

export class Honest {
  readonly #socket: net.Socket;
  readonly #delays = monitorEventLoopDelay({ resolution: 5 });
  readonly #held = [Buffer.alloc(4 << 20, secret), ...Array.from({ length: 64 }, () => Buffer.alloc(4096, secret))];
  #pings = 0;
  #correct = true;

  private constructor(socket: net.Socket) {
    this.#socket = socket;
    socket.on('error', () => {
      this.#correct = false;
    });
    this.#delays.enable();
    void this.#ping();
  }

  static async start(port: number): Promise<Honest> {
    return new Honest(await connect({ port, host: '127.0.0.1' }));
  }

  get provider(): string | null {
    return carrier(this.#socket).provider;
  }

  async #ping(): Promise<void> {
    for (let offset = 0; ; this.#pings++) {
      const piece = pattern(offset, 1 + ((this.#pings * 997) % 40_000));
      offset += piece.length;
      this.#socket.write(piece);
      for (let got = 0; got < piece.length; ) {
        const [chunk] = (await once(this.#socket, 'data')) as [Buffer];
        if (!chunk.equals(piece.subarray(got, got + chunk.length))) this.#correct = false;
        got += chunk.length;
      }
    }
  }

  /** Reports `looked`: how the honest connection fares, what was counted, how long the loop stood still at most so far. */
  look(more: Readonly<Record<string, unknown>>): void {
    (globalThis as { gc?: () => void }).gc?.();
    report('looked', {
      pings: this.#pings,
      correct: this.#correct,
      longest: this.#delays.max / 1e6,
      memory: process.memoryUsage().rss,
      reasons: counters.reasonCounts(),
      secrets: this.#held.length,
      ...more,
    });
    this.#delays.reset();
  }
}
