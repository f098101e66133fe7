/** Switches of several processes in one world with virtual time, each with a log of all that it asks of its providers. */

import assert from 'node:assert/strict';
import type { Reason } from '../../src/diagnostics/reasons.js';
import { createTcpipProvider, type TcpipProvider, type TcpipSocket } from '../../src/providers/tcpip/provider.js';
import {
  AF_INET,
  AF_INET6,
  CF_ACCEPT,
  type Out,
  type SanServiceProvider,
  type SOCKADDR,
  SOCKET_ERROR,
  WSAECONNREFUSED,
  WSAEWOULDBLOCK,
} from '../../src/spi/index.js';
import {
  type AcceptHandler,
  type ConnectionEvents,
  type SanConnection,
  Switch,
  type SwitchOptions,
  type SwitchSocket,
} from '../../src/switch/index.js';
import { Log, Tap } from './tap.js';

export function at(address: string, port: number): SOCKADDR {
  return { sa_family: address.includes(':') ? AF_INET6 : AF_INET, address, port };
}

/** TCP/IP as the switch sees it: it says what it is told to say, and keeps a log. */
export class Tcpip implements TcpipProvider {
  readonly protocolInfo = createTcpipProvider().protocolInfo;
  /** libuv's status of the next listens and connects. */
  listenStatus = 0;
  connectStatus = 0;
  readonly #log: Log;
  readonly #names = new WeakMap<TcpipSocket, SOCKADDR>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** A socket of the program, bound to this name if one is given. */
  socket(local: SOCKADDR | null): TcpipSocket {
    const socket = this.adopt({} as TcpipSocket['handle']);
    if (local !== null) this.#names.set(socket, local);
    return socket;
  }

  adopt(handle: TcpipSocket['handle']): TcpipSocket {
    return { spi: 'ProviderSocket', handle, request: null, status: 0, family: AF_INET, ipv6Only: false };
  }

  WSPBind(s: TcpipSocket, name: SOCKADDR, ...rest: [number, Out<number>]): number {
    this.#names.set(s, name);
    return this.#finish('WSPBind', s, 0, [s, name, ...rest]);
  }

  WSPListen(s: TcpipSocket, backlog: number, lpErrno: Out<number>): number {
    return this.#finish('WSPListen', s, this.listenStatus, [s, backlog, lpErrno]);
  }

  WSPConnect(...args: Parameters<TcpipProvider['WSPConnect']>): number {
    const [s] = args;
    args[7].value = WSAEWOULDBLOCK;
    this.#finish('WSPConnect', s, this.connectStatus, args);
    return SOCKET_ERROR;
  }

  WSPGetSockName(s: TcpipSocket): SOCKADDR | null {
    return this.#names.get(s) ?? null;
  }

  WSPCloseSocket(s: TcpipSocket, lpErrno: Out<number>): number {
    return this.#finish('WSPCloseSocket', s, 0, [s, lpErrno]);
  }

  WSPCleanup(lpErrno: Out<number>): number {
    return this.#log.end(this.#log.begin('tcpip', 'WSPCleanup', [lpErrno]), 0);
  }

  /** Whether the addresses of the host have changed. */
  version = 1;

  addressListVersion(): number {
    return this.version;
  }

  /** Told of changes; null: nobody can be. */
  watchers: Set<() => void> | null = new Set();

  watchAddressList(changed: () => void): (() => void) | null {
    this.watchers?.add(changed);
    return this.watchers && (() => this.watchers?.delete(changed));
  }

  isOwnAddress(): boolean {
    return true;
  }

  #finish(fn: string, s: TcpipSocket, status: number, args: readonly unknown[]): number {
    const call = this.#log.begin('tcpip', fn, args);
    s.status = status;
    return this.#log.end(call, status === 0 ? 0 : SOCKET_ERROR);
  }
}

/** What a program does with a connection: reads everything, and remembers it. */
export class Program implements ConnectionEvents {
  readonly connection: SanConnection;
  readonly received: Buffer[] = [];
  /** `end`, or `error` with the number. */
  readonly told: string[] = [];

  constructor(connection: SanConnection, reads = true) {
    this.connection = connection;
    connection.events = this;
    if (reads) connection.readStart();
  }

  onData(chunk: Buffer): void {
    this.received.push(chunk);
  }

  onEnd(): void {
    this.told.push('end');
  }

  onError(wsaError: number): void {
    this.told.push(`error ${wsaError}`);
  }

  get bytes(): Buffer {
    return Buffer.concat(this.received);
  }
}

/** What became of a connect. */
export class Outcome {
  connection: SanConnection | null = null;
  failedWith: number | null = null;
  fellBack = false;
  reason: Reason | null = null;
  /** How often the program was told anything. */
  told = 0;

  get settled(): boolean {
    return this.told > 0;
  }
}

export interface Connecting {
  readonly socket: SwitchSocket;
  readonly tcpip: TcpipSocket;
  readonly outcome: Outcome;
}

export interface Listening {
  readonly socket: SwitchSocket;
  readonly tcpip: TcpipSocket;
  readonly status: number;
  readonly accepted: SanConnection[];
}

/** Microtask-free time and turns of one event loop. */
export type HostScheduler = SwitchOptions['scheduler'];

/** A process with a switch. */
export class Host {
  readonly log = new Log();
  readonly tcpip = new Tcpip(this.log);
  readonly taps: readonly Tap[];
  readonly decisions: Reason[] = [];
  readonly switch: Switch;
  #port = 50_000;

  constructor(
    scheduler: HostScheduler,
    providers: readonly SanServiceProvider[],
    options: Partial<SwitchOptions> = {},
  ) {
    this.taps = providers.map((provider) => new Tap(this.log, provider));
    this.switch = new Switch({
      // What a test throws from inside a provider is its own.
      isOwn: () => true,
      tcpip: this.tcpip,
      providers: () => this.taps,
      startReason: () => 'no-provider',
      scheduler,
      now: () => performance.now(),
      portReservation: () => ({ reserve: () => ({ release() {} }), random: () => 0.5 }),
      isForeign: () => false,
      required: false,
      trace: null,
      count: (reason) => this.decisions.push(reason),
      ...options,
    });
  }

  get tap(): Tap {
    return this.taps[0]!;
  }

  /** A connect of the program, on a socket bound to `local` if that is given. */
  connect(remote: SOCKADDR, local: SOCKADDR | null = null): Connecting {
    const tcpip = this.tcpip.socket(local);
    const socket = this.switch.openSocket(tcpip);
    return { socket, tcpip, outcome: this.start(socket, remote) };
  }

  start(socket: SwitchSocket, remote: SOCKADDR): Outcome {
    const outcome = new Outcome();
    socket.connect(remote, {
      connected: (connection) => {
        outcome.told++;
        outcome.connection = connection;
      },
      failed: (wsaError, reason) => {
        outcome.told++;
        outcome.failedWith = wsaError;
        outcome.reason = reason;
      },
      fallback: (reason) => {
        outcome.told++;
        outcome.fellBack = true;
        outcome.reason = reason;
      },
    });
    return outcome;
  }

  /** A listen of the program on a socket that is bound to the name. */
  listen(local: SOCKADDR, condition: AcceptHandler['condition'] = () => CF_ACCEPT): Listening {
    const tcpip = this.tcpip.socket(local);
    const socket = this.switch.openSocket(tcpip);
    const accepted: SanConnection[] = [];
    const status = socket.listen(511, { condition, accepted: (connection) => accepted.push(connection) });
    return { socket, tcpip, status, accepted };
  }

  /** A port that the program's own socket may be bound to. */
  port(): number {
    return this.#port++;
  }
}

/** Everything a provider may report, and what section 20 of the digest says that the switch makes of it. */
export const finalErrors: readonly number[] = [10054, WSAECONNREFUSED, 10065];
export const otherErrors: readonly number[] = [
  ...[6, 995, 996, 997, 10013, 10014, 10022, 10024, 10035, 10036, 10037, 10038, 10040, 10041, 10042, 10043, 10044],
  ...[10045, 10047, 10048, 10049, 10050, 10051, 10052, 10053, 10055, 10056, 10057, 10058, 10060, 10091, 10092, 10093],
  ...[10067, 11002],
];

export function assertSubsequence(actual: readonly string[], expected: readonly string[]): void {
  let i = 0;
  for (const one of actual) if (one === expected[i]) i++;
  assert.equal(i, expected.length, `${expected.join(', ')} in this order among ${actual.join(', ')}`);
}
