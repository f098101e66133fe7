/** Winsock faces over switches of their own, in one process, with everything that crosses to the providers on record. */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { inspect } from 'node:util';
import { SharedMemoryProvider } from '../../src/providers/shared-memory/provider.js';
import { createTcpipProvider, type TcpipServiceProvider } from '../../src/providers/tcpip/index.js';
import { SharePlace } from '../../src/sharing/index.js';
import {
  AF_INET,
  errorName,
  IPPROTO_TCP,
  type Out,
  procedureNames,
  type SanServiceProvider,
  SOCK_STREAM,
  type SOCKADDR,
  type WSPPROC_TABLE,
} from '../../src/spi/index.js';
import { type Scheduler, Switch } from '../../src/switch/index.js';
import * as calls from '../../src/winsock/calls.js';
import { WSAError } from '../../src/winsock/error.js';
import { createFace, type Face } from '../../src/winsock/face.js';
import type { SOCKET } from '../../src/winsock/socket.js';

/** The carriers on which the same tests run. */
export const carriers = ['shared-memory', 'tcpip'] as const;
export type CarrierName = (typeof carriers)[number];

/** A call of a provider's function, in the order of their beginnings. */
export interface Call {
  readonly fn: string;
  readonly args: readonly unknown[];
  result: unknown;
  /** Name of the error, or empty. */
  error: string;
  /** The call has returned. */
  over: boolean;
}

type AnyFunction = (...args: unknown[]) => unknown;

function record(log: Call[], fn: string, inner: AnyFunction): AnyFunction {
  return (...args) => {
    const call: Call = { fn, args, result: undefined, error: '', over: false };
    log.push(call);
    const errno = args.at(-1) as Out<number> | undefined;
    call.result = inner(...args);
    if ((call.result === -1 || call.result === false) && errno !== undefined) call.error = errorName(errno.value);
    call.over = true;
    return call.result;
  };
}

const tcpipNames = [
  'WSPSocket',
  'WSPAccept',
  'WSPBind',
  'WSPListen',
  'WSPConnect',
  'WSPGetSockName',
  'WSPGetPeerName',
  'WSPGetSockOpt',
  'WSPSetSockOpt',
  'WSPIoctl',
  'kernelSocket',
  'kernelDescriptor',
  'fromKernelDescriptor',
  'closeKernelDescriptor',
  'addArrival',
  'WSPCleanup',
  'WSPCloseSocket',
  'adopt',
  'isOwnAddress',
  'addressListVersion',
  'expectConnect',
] as const satisfies readonly (keyof TcpipServiceProvider)[];

/** Time of a side: that of Node.js, but timers run when the test says so. */
export class ManualTimers {
  readonly #timers = new Set<{ task: () => void; milliseconds: number }>();

  later(task: () => void, milliseconds: number): () => void {
    const timer = { task, milliseconds };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Fires those of that length; tells how many there were. */
  fire(milliseconds: number): number {
    const due = [...this.#timers].filter((timer) => timer.milliseconds === milliseconds);
    for (const timer of due) {
      this.#timers.delete(timer);
      timer.task();
    }
    return due.length;
  }
}

export interface SideOptions {
  /** A fallback is an error. Default: with shared memory. */
  required?: boolean;
  /** Milliseconds. */
  connectBudget?: number;
  timers?: ManualTimers;
  /** False: as where koffi is not installed. */
  kernelSockets?: boolean;
  /** False: changes of addresses can only be looked for. */
  addressesTold?: boolean;
}

/** One program's Winsock, with a switch and a provider of its own. */
export class Side {
  readonly face: Face;
  /** Calls of the SAN provider. */
  readonly san: Call[] = [];
  /** Calls of the TCP/IP provider. */
  readonly tcpip: Call[] = [];
  /** Every property of the SAN provider's table that anybody asked for. */
  readonly asked = new Set<string>();
  /** Milliseconds, added to the clock. */
  clockAhead = 0;
  /** Changes of the host's addresses that have not really happened. */
  #addressListAhead = 0;
  readonly #addressWatchers = new Set<() => void>();

  constructor(
    carrier: CarrierName,
    readonly directory: string,
    options: SideOptions = {},
  ) {
    const inner = createTcpipProvider();
    const tcpip = { protocolInfo: inner.protocolInfo } as Record<string, unknown>;
    for (const name of tcpipNames) tcpip[name] = record(this.tcpip, name, (inner[name] as AnyFunction).bind(inner));
    if (options.kernelSockets === false) tcpip.kernelSocket = () => null;
    const { addressListVersion } = tcpip as { addressListVersion: () => number };
    tcpip.addressListVersion = () => addressListVersion() + this.#addressListAhead;
    tcpip.watchAddressList = (changed: () => void) => {
      if (options.addressesTold === false) return null;
      this.#addressWatchers.add(changed);
      return () => this.#addressWatchers.delete(changed);
    };
    const later = (task: () => void, milliseconds: number): (() => void) => {
      const timer = setTimeout(task, milliseconds).unref();
      return () => clearTimeout(timer);
    };
    const scheduler: Scheduler = {
      soon: (task) => void setImmediate(task),
      next: (task) => process.nextTick(task),
      later,
    };
    const provider = new SharedMemoryProvider({
      environment: { SOCKETS_DIRECT_DIR: directory },
      now: () => performance.now() * 1000,
      random: () => 0,
      count: () => {},
      connectBudget: options.connectBudget ?? 5000,
      scheduler,
    });
    const shared = new Switch({
      // What a test throws from inside a provider is its own.
      isOwn: () => true,
      tcpip: tcpip as unknown as TcpipServiceProvider,
      providers: () => (carrier === 'tcpip' ? 'no-provider' : [this.#observed(provider)]),
      startReason: () => 'no-provider',
      scheduler,
      now: () => performance.now(),
      portReservation: () => ({ reserve: () => ({ release: () => {} }), random: Math.random }),
      isForeign: () => false,
      required: options.required ?? carrier === 'shared-memory',
      trace: null,
      count: () => {},
    });
    this.face = createFace(() => ({
      switch: shared,
      tcpip: tcpip as unknown as TcpipServiceProvider,
      sharing: new SharePlace({ SOCKETS_DIRECT_DIR: directory }),
      scheduler:
        options.timers === undefined
          ? scheduler
          : { ...scheduler, later: (...timer) => options.timers!.later(...timer) },
      now: () => performance.now() + this.clockAhead,
    }));
  }

  /** The addresses of the host are others from now on. Returns how many were told. */
  changeAddresses(): number {
    this.#addressListAhead++;
    const told = [...this.#addressWatchers];
    for (const changed of told) changed();
    return told.length;
  }

  #observed(provider: SanServiceProvider): SanServiceProvider {
    return {
      name: provider.name,
      protocolInfo: provider.protocolInfo,
      WSPStartupEx: (version, data, info, upcalls, table) => {
        const result = provider.WSPStartupEx(version, data, info, upcalls, table);
        if (table.value !== null) table.value = this.#observedTable(table.value);
        return result;
      },
    };
  }

  #observedTable(table: WSPPROC_TABLE): WSPPROC_TABLE {
    const wrapped: Record<string, AnyFunction> = {};
    for (const fn of procedureNames) wrapped[fn] = record(this.san, fn, table[fn] as AnyFunction);
    return new Proxy(wrapped, {
      get: (target, name: string) => {
        this.asked.add(name);
        return target[name];
      },
    }) as unknown as WSPPROC_TABLE;
  }

  socket(af = AF_INET): SOCKET {
    return this.face.WSASocket(af, SOCK_STREAM, IPPROTO_TCP);
  }

  /** A listening socket at a port of the system's choice. */
  listening(backlog = 16, options: readonly (readonly [level: number, name: number, value: number])[] = []): Listening {
    const s = this.socket();
    for (const option of options) calls.setsockopt(s, ...option);
    calls.bind(s, loopback(0));
    calls.listen(s, backlog);
    return { s, name: calls.getsockname(s) };
  }

  /** Names of the SAN provider's calls from the `from`th on. */
  sanNames(from = 0): string[] {
    return this.san.slice(from).map(({ fn }) => fn);
  }

  count(of: 'san' | 'tcpip', fn: string): number {
    return this[of].filter((call) => call.fn === fn).length;
  }
}

export interface Listening {
  readonly s: SOCKET;
  readonly name: SOCKADDR;
}

export function loopback(port: number): SOCKADDR {
  return { sa_family: AF_INET, address: '127.0.0.1', port };
}

/** A server's and a client's side that find each other, both started; they go with the test. */
export function twoSides(
  t: TestContext,
  carrier: CarrierName,
  options: { server?: SideOptions; client?: SideOptions; clientCarrier?: CarrierName } = {},
): { server: Side; client: Side } {
  const directory = mkdtempSync(join(tmpdir(), 'sockets-direct-winsock-'));
  const rendezvous = join(directory, 'rendezvous');
  const server = new Side(carrier, rendezvous, options.server);
  const client = new Side(options.clientCarrier ?? carrier, rendezvous, options.client);
  for (const { face } of [server, client]) face.WSAStartup(0x0202);
  t.after(() => {
    for (const { face } of [server, client]) {
      try {
        for (;;) face.WSACleanup();
      } catch (error) {
        assert.equal((error as WSAError).code, 'WSANOTINITIALISED');
      }
    }
    rmSync(directory, { recursive: true, force: true });
  });
  return { server, client };
}

export interface Pair {
  server: Side;
  client: Side;
  listening: Listening;
  /** The client's socket. */
  near: SOCKET;
  /** The accepted one. */
  far: SOCKET;
}

/** A connection. */
export async function connected(
  t: TestContext,
  carrier: CarrierName,
  options: Parameters<typeof twoSides>[2] = {},
): Promise<Pair> {
  const { server, client } = twoSides(t, carrier, options);
  const listening = server.listening();
  const near = client.socket();
  const [far] = await Promise.all([calls.accept(listening.s), calls.connect(near, listening.name)]);
  assert.equal(calls.connectionInfo(near).provider, carrier);
  assert.equal(calls.connectionInfo(far).provider, carrier);
  return { server, client, listening, near, far };
}

/** Fails unless the promise is rejected with that Winsock error; gives it back. */
export async function fails(promise: Promise<unknown>, code: string): Promise<WSAError> {
  const error = await promise.then(
    (value) => assert.fail(`resolved with ${inspect(value)}`),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof WSAError, String(error));
  assert.equal(error.code, code);
  return error;
}

/** The same for a call that answers at once. */
export function throws(call: () => unknown, code: string): void {
  assert.throws(call, (error) => error instanceof WSAError && error.code === code);
}

/** Receives that many bytes, or all up to the end. */
export async function receive(s: SOCKET, length = Number.POSITIVE_INFINITY): Promise<Buffer> {
  const parts: Buffer[] = [];
  let total = 0;
  const buffer = Buffer.alloc(65536);
  while (total < length) {
    const count = await calls.recv(s, buffer.subarray(0, Math.min(buffer.length, length - total)));
    if (count === 0) break;
    parts.push(Buffer.from(buffer.subarray(0, count)));
    total += count;
  }
  return Buffer.concat(parts);
}

export async function receiveText(s: SOCKET, length?: number): Promise<string> {
  return (await receive(s, length)).toString('latin1');
}

/** A turn of the event loop. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Turns until the condition holds, for at most five seconds. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const end = performance.now() + 5000;
  while (!condition()) {
    if (performance.now() > end) assert.fail(`still not: ${what}`);
    await turn();
  }
}

/** Fails where a call is not over after many turns of the event loop, long before the limit of its test. */
export async function overSoon<T>(call: Promise<T>): Promise<T> {
  let over = false;
  const note = (): void => {
    over = true;
  };
  call.then(note, note);
  for (let i = 0; i < 20_000 && !over; i++) await new Promise((resolve) => setImmediate(resolve));
  if (!over) throw new Error('the call is still not over');
  return call;
}
