/** What the face stands on. Passed in, so that several can run side by side in one process, each over a switch of its own. */

import type { TcpipDescriptor, TcpipServiceProvider } from '../providers/tcpip/index.js';
import type { Scheduler, SwitchSocket } from '../switch/index.js';

export interface Host {
  readonly switch: {
    /** The switch's private record for a socket of the TCP/IP provider (WSD-SOC-2). */
    openSocket(tcpip: TcpipDescriptor): SwitchSocket;
    /** WSD-CLS-21. False, and nothing is done, while connections of the switch are open. */
    cleanup(): boolean;
  };
  readonly tcpip: TcpipServiceProvider;
  readonly scheduler: Scheduler;
  /** Milliseconds, monotonic. */
  now(): number;
}
