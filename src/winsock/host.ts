/** What the face stands on. Passed in, so that several can run side by side in one process, each over a switch of its own. */

import type { TcpipDescriptor, TcpipServiceProvider } from '../providers/tcpip/index.js';
import type { MovableConnection, Scheduler, SwitchSocket } from '../switch/index.js';

/** A stream of messages between two processes that share a socket. */
export interface ShareChannel {
  onmessage: ((message: unknown) => void) | null;
  /** The other process has closed its end, or is gone. */
  onclose: (() => void) | null;
  readonly processId: number;
  send(message: object): void;
  end(): void;
}

/** How processes that share a socket find each other. Both throw an Error where that cannot be done. */
export interface Sharing {
  leave(
    processId: number,
    description: object,
    descriptor: () => Promise<number | null>,
    taken: (channel: ShareChannel) => void,
  ): { readonly number: number; withdraw(): void };
  take(number: number): {
    readonly description: unknown;
    open(opened: (channel: ShareChannel | null, descriptor: number | null) => void): void;
  } | null;
}

export interface Host {
  readonly sharing: Sharing;
  readonly switch: {
    /** The switch's private record for a socket of the TCP/IP provider (WSD-SOC-2). */
    openSocket(tcpip: TcpipDescriptor): SwitchSocket;
    /** A connection that has been in another process goes on here, or a Winsock error. */
    receiveConnection(moved: unknown, former: MovableConnection | null): MovableConnection | number;
    /** WSD-CLS-21. False, and nothing is done, while connections of the switch are open. */
    cleanup(): boolean;
  };
  readonly tcpip: TcpipServiceProvider;
  readonly scheduler: Scheduler;
  /** Milliseconds, monotonic. */
  now(): number;
}
