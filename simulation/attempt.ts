/** One connect of a program and all that becomes of it: the model against which both ends are checked. */

import { constants } from 'node:os';
import type { Reason } from '../src/diagnostics/reasons.js';
import {
  errorName,
  SO_DEBUG,
  type SOCKADDR,
  SOL_SOCKET,
  WSAECONNREFUSED,
  WSAECONNRESET,
  WSAEHOSTUNREACH,
  WSAETIMEDOUT,
} from '../src/spi/index.js';
import type { SanConnection } from '../src/switch/index.js';
import { check, fail } from './failure.js';
import { type Pair, ProgramEnd } from './program.js';
import type { Host, ProgramSocket } from './rig.js';
import { Stream } from './streams.js';
import type { SimulatedTcpHandle } from './tcpip.js';

/** What an attempt has to know of the run it is part of. */
export interface Run extends Pick<Pair, 'note'> {
  /** Why a connection between processes may be lost that no program has ended, or null. */
  excuse(hosts: readonly Host[]): string | null;
  /** The processes that listen or have listened. */
  readonly servers: readonly Host[];
  /** Those to which ends may move. */
  readonly movers: readonly Host[];
  /** A listener was closed, which ends connections that are still negotiating, or a negotiation may have taken too long. */
  mayEndNegotiations(): boolean;
  /** A queue of requests was full, or a program said no. */
  mayRefuse(): boolean;
}

const finalErrors: readonly number[] = [WSAECONNRESET, WSAECONNREFUSED, WSAEHOSTUNREACH];

export class Attempt implements Pair {
  readonly name: string;
  readonly socket: ProgramSocket;
  outcome: 'connected' | 'failed' | 'fallback' | null = null;
  cancelled = false;
  /** Microseconds until the outcome. */
  took = 0;
  readonly #began: number;
  /** Name under which the SAN knows the caller. */
  caller = '';
  client: ProgramEnd | null = null;
  server: ProgramEnd | null = null;
  /** How the SAN's connect ended: 0 or an error; null while it has not, or was not begun. */
  endedBelow: number | null = null;
  /** The acceptor's provider has returned a socket. */
  acceptedBelow = false;
  acceptedAbove = false;
  /** Times that the condition function was asked. */
  asked = 0;
  tcpStatus: number | null = null;
  lostMove = false;
  onConnected: ((end: ProgramEnd) => void) | null = null;
  readonly #run: Run;
  readonly #up: Stream;
  readonly #down: Stream;

  constructor(
    run: Run,
    readonly number: number,
    readonly host: Host,
  ) {
    this.#run = run;
    this.name = `connection ${number}`;
    // Most programs bind nothing; some bind a port.
    const bound = host.rig.world.chance(0.1) ? host.name(10_000 + number, '0.0.0.0') : null;
    this.socket = host.socket(bound);
    this.#began = host.rig.world.now();
    this.#up = new Stream(2 * number);
    this.#down = new Stream(2 * number + 1);
  }

  excuse(): string | null {
    if (this.lostMove) return 'lost on its way to another process';
    return this.#run.excuse([this.host, ...this.#run.servers, ...this.#run.movers]);
  }

  mayEndNegotiation(): boolean {
    return this.cancelled || this.#run.mayEndNegotiations();
  }

  note(what: string): void {
    this.#run.note(what);
  }

  start(remote: SOCKADDR): void {
    this.socket.tcpip.request = {
      oncomplete: (status) => {
        check(this.outcome === 'fallback', `${this.name}: TCP/IP answers, and was not asked`);
        check(this.tcpStatus === null, `${this.name}: TCP/IP answers twice`);
        this.tcpStatus = status;
        const expected = [0, -constants.errno.ECONNREFUSED, -constants.errno.ETIMEDOUT];
        check(expected.includes(status), `${this.name}: TCP/IP's status ${status}`);
      },
    };
    const { world } = this.host.rig;
    if (world.chance(0.2)) this.socket.switchSocket.setOption(SOL_SOCKET, SO_DEBUG, 1);
    this.socket.switchSocket.connect(remote, {
      connected: (connection) => this.#connected(connection),
      failed: (wsaError, reason) => this.#failed(wsaError, reason),
      fallback: (reason, status) => this.#fellBack(reason, status),
    });
  }

  #ends(outcome: 'connected' | 'failed' | 'fallback', detail: string): void {
    this.note(`${this.name} ${outcome} ${detail}`);
    check(this.host.process.isAlive, `${this.name}: a dead process is told ${outcome}`);
    check(this.outcome === null, `${this.name}: ${outcome} after ${this.outcome}`);
    check(!this.cancelled, `${this.name}: ${outcome} after it was cancelled`);
    this.outcome = outcome;
    this.took = this.host.rig.world.now() - this.#began;
  }

  #connected(connection: SanConnection): void {
    this.#ends('connected', '');
    check(this.endedBelow === 0, `${this.name}: connected, and its SAN has not said so`);
    // Both ends must never decide differently (decision 8).
    check(this.acceptedBelow, `${this.name}: connected, and nobody has accepted`);
    this.client = new ProgramEnd(`${this.name} client`, this.host.process, this, connection, this.#up, this.#down);
    this.#join();
    this.onConnected?.(this.client);
  }

  #failed(wsaError: number, reason: Reason): void {
    this.#ends('failed', `${errorName(wsaError)} ${reason}`);
    if (reason === 'negotiation-failed') {
      const excused = this.excuse() !== null || this.#run.mayEndNegotiations() || this.server?.closed === true;
      check(excused, `${this.name}: the negotiation failed without a reason`);
      check(this.endedBelow === 0, `${this.name}: a negotiation of what is not connected`);
      return;
    }
    check(wsaError === this.endedBelow, `${this.name}: ${errorName(wsaError)}, and the SAN said something else`);
    if (wsaError === WSAECONNREFUSED && reason === 'refused') {
      check(this.#run.mayRefuse(), `${this.name}: refused, and nobody has refused`);
    } else {
      fail(`${this.name}: a final ${errorName(wsaError)} (${reason})`);
    }
  }

  #fellBack(reason: Reason, status: number): void {
    this.#ends('fallback', reason);
    check(!this.acceptedBelow, `${this.name}: TCP/IP carries it, and a SAN has accepted it`);
    // WSD-CON-13: three errors are final, and what is connected stays on its SAN (WSD-CON-17).
    const ended = this.endedBelow ?? WSAETIMEDOUT;
    check(ended !== 0 && !finalErrors.includes(ended), `${this.name}: TCP/IP after the SAN's ${errorName(ended)}`);
    check(status === 0, `${this.name}: TCP/IP's connect returned ${status}`);
  }

  /** The acceptor's provider returns a socket for this caller. */
  acceptBelow(): void {
    check(!this.acceptedBelow, `${this.name}: accepted twice by a provider`);
    check(this.outcome !== 'fallback', `${this.name}: a SAN accepts it, and TCP/IP carries it`);
    this.acceptedBelow = true;
  }

  accepted(host: Host, connection: SanConnection): ProgramEnd {
    this.note(`${this.name} accepted`);
    check(!this.acceptedAbove, `${this.name}: accepted twice`);
    check(this.acceptedBelow, `${this.name}: accepted by the switch and not by its provider`);
    check(this.outcome !== 'fallback', `${this.name}: accepted on a SAN, and TCP/IP carries it`);
    this.acceptedAbove = true;
    this.server = new ProgramEnd(`${this.name} server`, host.process, this, connection, this.#down, this.#up);
    this.#join();
    return this.server;
  }

  /** TCP/IP has brought a connection from this socket. */
  arrived(handle: SimulatedTcpHandle): void {
    check(this.outcome === 'fallback', `${this.name}: TCP/IP brings it, and it is ${this.outcome}`);
    check(handle.peer === this.socket.tcpip.handle, `${this.name}: TCP/IP has joined the wrong sockets`);
  }

  #join(): void {
    if (this.client === null || this.server === null) return;
    this.client.peer = this.server;
    this.server.peer = this.client;
  }

  /** The program gives up while it connects. */
  cancel(): void {
    if (this.outcome !== null || this.cancelled) return;
    this.note(`${this.name} cancelled`);
    this.cancelled = true;
    this.socket.close();
  }

  /** The program lets go of everything. */
  close(): void {
    if (this.outcome === null) this.cancel();
    this.client?.close();
    this.server?.close();
    this.socket.close();
  }

  /** What has not happened although nothing is left to happen. */
  get missing(): string | null {
    const { isAlive } = this.host.process;
    if (isAlive && this.outcome === null && !this.cancelled) return `${this.name}: no outcome`;
    if (isAlive && this.outcome === 'fallback' && this.tcpStatus === null) return `${this.name}: no outcome of TCP/IP`;
    for (const end of [this.client, this.server]) {
      if (end === null || !end.process.isAlive) continue;
      if (!end.isOver) return `${end.name}: neither an end nor an error`;
      if (end.waiting > 0) return `${end.name}: ${end.waiting} callbacks are missing`;
      const { writeQueueSize } = end.connection;
      if (writeQueueSize > 0) return `${end.name}: ${writeQueueSize} bytes wait, and no write does`;
    }
    return null;
  }
}
