/** What the face stands on. Passed in, so that several can run side by side in one process, each over a switch of its own. */

import type { TcpipProvider, TcpipSocket } from '../providers/tcpip/index.js';
import type { Scheduler, SwitchSocket } from '../switch/index.js';

export interface Host {
  readonly switch: {
    /** The switch's private record for a socket of the TCP/IP provider (WSD-SOC-2). */
    openSocket(tcpip: TcpipSocket): SwitchSocket;
    /** WSD-CLS-21. */
    cleanup(): void;
  };
  readonly tcpip: TcpipProvider;
  readonly scheduler: Scheduler;
  /** Milliseconds, monotonic. */
  now(): number;
}
