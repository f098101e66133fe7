/**
 * A connect under way: SAN first, then TCP/IP, as the switch decides. Below, every connect is nonblocking; the waiting of a
 * blocking one is the promise here (WSD-CON-21).
 */

import type { Reason } from '../diagnostics/reasons.js';
import { type TcpipDescriptor, toWsaError } from '../providers/tcpip/index.js';
import { type SOCKADDR, WSAEWOULDBLOCK } from '../spi/index.js';
import type { ConnectHandler, SanConnection, SwitchSocket } from '../switch/index.js';
import { WSAError } from './error.js';
import type { Host } from './host.js';
import { checkSignal, Pending } from './pending.js';

/** A SAN connection, `tcpip` for the descriptor itself, a Winsock error, or `cancelled`. */
export type ConnectOutcome = SanConnection | 'tcpip' | 'cancelled' | number;

export class Connecting implements ConnectHandler {
  readonly #host: Host;
  readonly #descriptor: TcpipDescriptor;
  readonly #san: SwitchSocket;
  readonly #syscall: string;
  readonly #remote: SOCKADDR;
  readonly #nonBlocking: boolean;
  readonly #pending: Pending<void>;
  #settle: ((outcome: ConnectOutcome) => void) | null;

  constructor(
    host: Host,
    descriptor: TcpipDescriptor,
    san: SwitchSocket,
    syscall: string,
    remote: SOCKADDR,
    nonBlocking: boolean,
    signal: AbortSignal | undefined,
    settle: (outcome: ConnectOutcome) => void,
  ) {
    checkSignal(syscall, signal);
    this.#host = host;
    this.#descriptor = descriptor;
    this.#san = san;
    this.#syscall = syscall;
    this.#remote = remote;
    this.#nonBlocking = nonBlocking;
    this.#settle = settle;
    this.#pending = new Pending<void>(syscall, nonBlocking ? undefined : signal, () => this.#cancel());
    // Of a nonblocking connect nobody is told here: the socket keeps its outcome.
    if (nonBlocking) this.#pending.promise.catch(() => {});
  }

  start(): Promise<void> {
    this.#host.tcpip.expectConnect(this.#descriptor, (wsaError) => this.#tcpCompleted(wsaError));
    this.#san.connect(this.#remote, this);
    if (!this.#nonBlocking) return this.#pending.promise;
    return Promise.reject(new WSAError(WSAEWOULDBLOCK, this.#syscall));
  }

  connected(connection: SanConnection): void {
    if (this.#settle === null) connection.reset();
    else this.#end(connection);
  }

  failed(wsaError: number, _reason: Reason): void {
    this.#end(wsaError);
  }

  fallback(_reason: Reason, status: number): void {
    if (status !== 0) this.#end(toWsaError(status));
  }

  #tcpCompleted(wsaError: number): void {
    this.#end(wsaError === 0 ? 'tcpip' : wsaError);
  }

  #end(outcome: ConnectOutcome): void {
    const settle = this.#settle;
    if (settle === null) return;
    this.#settle = null;
    settle(outcome);
    if (typeof outcome === 'number') this.#pending.reject(outcome);
    else this.#pending.resolve();
  }

  /** WSD-CON-22; TCP/IP cannot end a connect but by closing the descriptor. */
  #cancel(): void {
    const settle = this.#settle;
    this.#settle = null;
    this.#san.close();
    this.#host.tcpip.WSPCloseSocket(this.#descriptor, { value: 0 });
    settle?.('cancelled');
  }

  /** The socket is closed. */
  abandon(wsaError: number): void {
    this.#settle = null;
    this.#pending.reject(wsaError);
  }
}
