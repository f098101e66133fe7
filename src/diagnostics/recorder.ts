/**
 * Records what crosses the service provider interface, as lines of JSON in a file of its own for each process. It wraps
 * any provider and changes nothing of what it does. Switched on by SOCKETS_DIRECT_TRACE=<path prefix>.
 *
 * Of each socket only the first calls on the data path are recorded, so that a trace shows how a connection comes about
 * and does not grow with what it carries.
 */

import { closeSync, openSync, writeSync } from 'node:fs';
import {
  CF_ACCEPT,
  CF_DEFER,
  CF_REJECT,
  errorName,
  INVALID_SOCKET,
  type Out,
  type ProviderMemoryExtension,
  ProviderMemoryGuid,
  procedureNames,
  type SanServiceProvider,
  SIO_ADDRESS_LIST_QUERY,
  SIO_GET_EXTENSION_FUNCTION_POINTER,
  type SOCKADDR,
  SOCKET_ERROR,
  type WSPPROC_TABLE,
  type WSPUPCALLTABLEEX,
} from '../spi/index.js';

/** One line of a trace. */
export interface TraceRecord {
  /** Start of the call, milliseconds since the epoch, with fractions. */
  t: number;
  /** End of the call, for calls. */
  end?: number;
  pid: number;
  provider: string;
  kind: 'call' | 'upcall' | 'condition' | 'session';
  fn: string;
  /** Ordinal of the socket within the process; 0 where there is none. */
  socket: number;
  result: number | string;
  /** Name of the Winsock error, or empty. */
  error: string;
  detail: string;
}

/** Lines of one socket and one function on the data path. */
const dataLinesMax = 64;
const dataFunctions = new Set(['WSPSend', 'WSPRecv', 'WSPGetOverlappedResult', 'WPUCompleteOverlappedRequest']);
const flushLines = 64;
const flushDelay = 10;

type AnyFunction = (...args: never[]) => unknown;

export class Recorder {
  readonly #descriptor: number;
  readonly #ordinals = new WeakMap<object, number>();
  readonly #counts = new WeakMap<object, Map<string, number>>();
  #last = 0;
  #lines: string[] = [];
  #timer: NodeJS.Timeout | null = null;

  constructor(prefix: string) {
    this.#descriptor = openSync(`${prefix}.${process.pid}.jsonl`, 'a', 0o600);
    process.on('exit', () => this.close());
  }

  /** The provider, with everything it is asked and everything it asks recorded. */
  wrap(provider: SanServiceProvider): SanServiceProvider {
    const { name } = provider;
    return {
      name,
      protocolInfo: provider.protocolInfo,
      WSPStartupEx: (version, data, tcpip, upcalls, table) => {
        const t = now();
        const result = provider.WSPStartupEx(version, data, tcpip, this.#wrapUpcalls(name, upcalls), table);
        const error = result === 0 ? '' : errorName(result);
        this.#write({
          t,
          end: now(),
          pid: process.pid,
          provider: name,
          kind: 'call',
          fn: 'WSPStartupEx',
          socket: 0,
          result,
          error,
          detail: tcpip.szProtocol,
        });
        if (table.value !== null) table.value = this.#wrapTable(name, table.value);
        return result;
      },
    };
  }

  /** A step of a session. */
  session(fn: string, provider: string, socket: object, detail: string): void {
    this.#write({
      t: now(),
      pid: process.pid,
      provider,
      kind: 'session',
      fn,
      socket: this.#ordinal(socket),
      result: 0,
      error: '',
      detail,
    });
  }

  #wrapTable(provider: string, table: WSPPROC_TABLE): WSPPROC_TABLE {
    const wrapped = {} as Record<string, AnyFunction>;
    for (const fn of procedureNames) {
      const inner = table[fn] as (...args: unknown[]) => unknown;
      wrapped[fn] = (...args: unknown[]) => {
        const [s] = args;
        const socket = typeof s === 'object' && s !== null && fn !== 'WSPCleanup' ? s : null;
        if (socket !== null && !this.#wanted(socket, fn)) return inner(...args);
        const t = now();
        if (fn === 'WSPAccept') args[3] = this.#wrapCondition(provider, socket, args[3] as Condition);
        const errno = args[args.length - 1] as Out<number>;
        errno.value = 0;
        const result = inner(...args);
        if (fn === 'WSPIoctl' && args[1] === SIO_GET_EXTENSION_FUNCTION_POINTER && args[2] === ProviderMemoryGuid) {
          this.#wrapMemory(provider, args[4] as Out<unknown>);
        }
        const failed = result === SOCKET_ERROR || result === INVALID_SOCKET || result === false;
        const error = failed && errno.value !== 0 ? errorName(errno.value) : '';
        this.#write({
          t,
          end: now(),
          pid: process.pid,
          provider,
          kind: 'call',
          fn,
          socket: socket === null ? 0 : this.#ordinal(socket),
          result: typeof result === 'object' && result !== null ? `socket ${this.#ordinal(result)}` : Number(result),
          error,
          detail: describe(fn, args),
        });
        return result;
      };
    }
    return wrapped as unknown as WSPPROC_TABLE;
  }

  /** Allocation stands in a trace for the registrations that it makes unnecessary; what is asked for each send does not. */
  #wrapMemory(provider: string, pointer: Out<unknown>): void {
    const inner = pointer.value as ProviderMemoryExtension | null;
    if (inner === null) return;
    pointer.value = {
      ...inner,
      WSPAllocateReceiveMemory: (length, lpErrno) => {
        const t = now();
        const region = inner.WSPAllocateReceiveMemory(length, lpErrno);
        this.#write({
          t,
          end: now(),
          pid: process.pid,
          provider,
          kind: 'call',
          fn: 'WSPAllocateReceiveMemory',
          socket: 0,
          result: region === null ? 0 : 'region',
          error: region === null ? errorName(lpErrno.value) : '',
          detail: `${length} bytes`,
        });
        return region;
      },
    } satisfies ProviderMemoryExtension;
  }

  #wrapCondition(provider: string, socket: object | null, condition: Condition): Condition {
    if (condition === null) return null;
    return (...args) => {
      const t = now();
      const verdict = condition(...args);
      const name =
        { [CF_ACCEPT]: 'CF_ACCEPT', [CF_REJECT]: 'CF_REJECT', [CF_DEFER]: 'CF_DEFER' }[verdict] ?? String(verdict);
      const detail = `caller ${text(args[0])}, called ${text(args[4])}`;
      this.#write({
        t,
        pid: process.pid,
        provider,
        kind: 'condition',
        fn: 'ConditionFunction',
        socket: socket === null ? 0 : this.#ordinal(socket),
        result: name,
        error: '',
        detail,
      });
      return verdict;
    };
  }

  #wrapUpcalls(provider: string, upcalls: WSPUPCALLTABLEEX): WSPUPCALLTABLEEX {
    const record = (fn: string, socket: object | null, result: number | string, detail: string) =>
      this.#write({
        t: now(),
        pid: process.pid,
        provider,
        kind: 'upcall',
        fn,
        socket: socket === null ? 0 : this.#ordinal(socket),
        result,
        error: '',
        detail,
      });
    return {
      ...upcalls,
      WPUCreateSocketHandle: (catalogEntryId, context, lpErrno) => {
        const handle = upcalls.WPUCreateSocketHandle(catalogEntryId, context, lpErrno);
        if (handle !== INVALID_SOCKET && typeof context === 'object' && context !== null) {
          this.#ordinals.set(handle, this.#ordinal(context));
        }
        record(
          'WPUCreateSocketHandle',
          handle === INVALID_SOCKET ? null : handle,
          handle === INVALID_SOCKET ? -1 : 'handle',
          '',
        );
        return handle;
      },
      WPUCloseSocketHandle: (s, lpErrno) => {
        const result = upcalls.WPUCloseSocketHandle(s, lpErrno);
        record('WPUCloseSocketHandle', s, result, '');
        return result;
      },
      WPUSetEvent: (event, lpErrno) => {
        record('WPUSetEvent', null, 1, `event ${event.handle}`);
        return upcalls.WPUSetEvent(event, lpErrno);
      },
      WPUResetEvent: (event, lpErrno) => {
        record('WPUResetEvent', null, 1, `event ${event.handle}`);
        return upcalls.WPUResetEvent(event, lpErrno);
      },
      WPUCompleteOverlappedRequest: (s, overlapped, error, bytes, lpErrno) => {
        if (this.#wanted(s, 'WPUCompleteOverlappedRequest')) {
          record('WPUCompleteOverlappedRequest', s, error === 0 ? 0 : errorName(error), `${bytes} bytes`);
        }
        return upcalls.WPUCompleteOverlappedRequest(s, overlapped, error, bytes, lpErrno);
      },
    };
  }

  #wanted(socket: object, fn: string): boolean {
    if (!dataFunctions.has(fn)) return true;
    let counts = this.#counts.get(socket);
    if (counts === undefined) {
      counts = new Map();
      this.#counts.set(socket, counts);
    }
    const count = (counts.get(fn) ?? 0) + 1;
    counts.set(fn, count);
    return count <= dataLinesMax;
  }

  #ordinal(socket: object): number {
    let ordinal = this.#ordinals.get(socket);
    if (ordinal === undefined) {
      ordinal = ++this.#last;
      this.#ordinals.set(socket, ordinal);
    }
    return ordinal;
  }

  #write(record: TraceRecord): void {
    this.#lines.push(JSON.stringify(record));
    if (this.#lines.length >= flushLines) this.#flush();
    else this.#timer ??= setTimeout(() => this.#flush(), flushDelay).unref();
  }

  #flush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#lines.length === 0) return;
    writeSync(this.#descriptor, `${this.#lines.join('\n')}\n`);
    this.#lines = [];
  }

  close(): void {
    this.#flush();
    closeSync(this.#descriptor);
  }
}

type Condition = Parameters<WSPPROC_TABLE['WSPAccept']>[3];

function now(): number {
  return performance.timeOrigin + performance.now();
}

function text(address: SOCKADDR): string {
  return `${address.address}:${address.port}`;
}

function describe(fn: string, args: readonly unknown[]): string {
  switch (fn) {
    case 'WSPBind':
    case 'WSPConnect':
      return text(args[1] as SOCKADDR);
    case 'WSPListen':
      return `backlog ${args[1]}`;
    case 'WSPEventSelect':
      return args[2] === 0x08 ? 'FD_ACCEPT' : args[2] === 0x10 ? 'FD_CONNECT' : String(args[2]);
    case 'WSPEnumNetworkEvents':
      return `events ${(args[2] as { lNetworkEvents: number }).lNetworkEvents}`;
    case 'WSPIoctl':
      if (args[1] === SIO_ADDRESS_LIST_QUERY) return 'SIO_ADDRESS_LIST_QUERY';
      return args[1] === SIO_GET_EXTENSION_FUNCTION_POINTER
        ? `SIO_GET_EXTENSION_FUNCTION_POINTER ${args[2]}`
        : String(args[1]);
    case 'WSPSend':
    case 'WSPRecv':
      return `${(args[1] as { len: number }[])[0].len} bytes`;
    default:
      return '';
  }
}
