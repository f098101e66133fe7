/** WSAStartup and WSACleanup: counted, and what they open and close. */

import { WINSOCK_VERSION, WSANOTINITIALISED, WSAVERNOTSUPPORTED } from '../spi/index.js';
import { WSAError } from './error.js';
import type { Host } from './host.js';

/** What WSAStartup tells. Versions have the major number in the low byte. */
export interface WSADATA {
  readonly wVersion: number;
  readonly wHighVersion: number;
  readonly szDescription: string;
  readonly szSystemStatus: string;
}

/** A socket as the last WSACleanup sees it. */
export interface Abandonable {
  /** Closes abortively; what is pending fails with WSA_OPERATION_ABORTED. */
  abandon(): void;
}

/** Milliseconds between two attempts to clean up; they become rarer. */
const cleanupPeriod = 100;
const cleanupPeriodMax = 10_000;

export class Startup {
  /** Open sockets. */
  readonly sockets = new Set<Abandonable>();
  readonly #makeHost: () => Host;
  #host: Host | null = null;
  #count = 0;

  /** `makeHost` is called once, at the first WSAStartup. */
  constructor(makeHost: () => Host) {
    this.#makeHost = makeHost;
  }

  start(version: number): WSADATA {
    const major = version & 0xff;
    const minor = (version >> 8) & 0xff;
    if (major < 2) throw new WSAError(WSAVERNOTSUPPORTED, 'WSAStartup');
    this.#host ??= this.#makeHost();
    this.#count++;
    return {
      wVersion: major === 2 && minor < 2 ? version & 0xffff : WINSOCK_VERSION,
      wHighVersion: WINSOCK_VERSION,
      szDescription: 'Sockets Direct',
      szSystemStatus: 'Running',
    };
  }

  /** The last one closes all sockets and cleans up every provider (WSD-CLS-21). */
  cleanup(): void {
    const host = this.started('WSACleanup');
    if (--this.#count > 0) return;
    for (const socket of [...this.sockets]) socket.abandon();
    this.#cleanUp(host);
  }

  /** The switch waits for connections that still deliver what was sent before their sockets were closed (WSD-CLS-5). */
  #cleanUp(host: Host, period = cleanupPeriod): void {
    if (this.#count > 0 || host.switch.cleanup()) return;
    host.scheduler.later(() => this.#cleanUp(host, Math.min(2 * period, cleanupPeriodMax)), period);
  }

  /** Throws WSANOTINITIALISED for a call before WSAStartup or after the last WSACleanup. */
  started(syscall: string): Host {
    if (this.#host === null || this.#count === 0) throw new WSAError(WSANOTINITIALISED, syscall);
    return this.#host;
  }
}
