/**
 * Sits between a switch and a provider: keeps a log of every call in both directions, and makes any call fail, answer
 * otherwise, or wait. What is not interfered with goes through unchanged.
 */

import {
  type EventObject,
  FD_CONNECT,
  FD_CONNECT_BIT,
  INVALID_SOCKET,
  type Out,
  ProviderDiagnosticsGuid,
  type ProviderMemoryExtension,
  ProviderMemoryGuid,
  type ProviderSocket,
  procedureNames,
  type SanServiceProvider,
  SIO_ADDRESS_LIST_QUERY,
  SIO_GET_EXTENSION_FUNCTION_POINTER,
  type SOCKET_ADDRESS,
  SOCKET_ERROR,
  type WSABUF,
  WSAEOPNOTSUPP,
  WSAEWOULDBLOCK,
  type WSAOVERLAPPED,
  WSPDeregisterMemoryGuid,
  WSPDeregisterRdmaMemoryGuid,
  WSPMemoryRegistrationCacheCallbackGuid,
  type WSPPROC_TABLE,
  WSPRdmaReadGuid,
  WSPRdmaWriteGuid,
  WSPRegisterMemoryGuid,
  WSPRegisterRdmaMemoryGuid,
  type WSPUPCALLTABLEEX,
} from '../../src/spi/index.js';

type AnyFunction = (...args: unknown[]) => unknown;
type Override = (inner: AnyFunction, ...args: unknown[]) => unknown;

/** A buffer as it was at the time of a call. */
export interface BufferSeen {
  readonly len: number;
  readonly offset: number;
  readonly buf: WSABUF['buf'];
}

/** One call of a provider, of TCP/IP, or of the switch by a provider. */
export interface Call {
  /** Name of the provider, or `tcpip`. */
  readonly on: string;
  readonly fn: string;
  /** The descriptor, or the switch's handle in an up-call; null where there is none. */
  readonly socket: object | null;
  readonly args: readonly unknown[];
  /** Of a data call: its buffers, and `hEvent` of its record, when it was made. */
  readonly buffers: readonly BufferSeen[];
  readonly hEvent: number;
  result: unknown;
  /** The Winsock error if the call failed, else 0. */
  error: number;
  returned: boolean;
}

const dataCalls: readonly string[] = ['WSPSend', 'WSPRecv', 'WSPRdmaRead', 'WSPRdmaWrite'];

export class Log {
  readonly calls: Call[] = [];

  begin(on: string, fn: string, args: readonly unknown[]): Call {
    const [first] = args;
    const data = dataCalls.includes(fn);
    const record = fn.startsWith('WSPRdma') ? 8 : 5;
    const call: Call = {
      on,
      fn,
      socket: typeof first === 'object' ? first : null,
      args,
      buffers: data ? (args[1] as WSABUF[]).map(({ len, offset, buf }) => ({ len, offset, buf })) : [],
      hEvent: data ? (args[record] as WSAOVERLAPPED).hEvent : 0,
      result: undefined,
      error: 0,
      returned: false,
    };
    this.calls.push(call);
    return call;
  }

  end<T>(call: Call, result: T): T {
    call.result = result;
    call.returned = true;
    const failed = result === SOCKET_ERROR || result === null || result === false;
    if (failed) call.error = (call.args.at(-1) as Out<number> | undefined)?.value ?? 0;
    return result;
  }

  of(fn: string, on?: string): readonly Call[] {
    return this.calls.filter((call) => call.fn === fn && (on === undefined || call.on === on));
  }

  /** Names of the calls that concern a socket, in order; of all without one. */
  names(socket?: object): readonly string[] {
    const concerned = this.calls.filter(
      (call) => socket === undefined || call.socket === socket || call.result === socket,
    );
    return concerned.map(({ fn }) => fn);
  }

  /** Place of the first call of this kind from `from` on; throws if there is none. */
  indexOf(fn: string, on?: string, from = 0): number {
    const at = this.calls.findIndex((call, i) => i >= from && call.fn === fn && (on === undefined || call.on === on));
    if (at < 0) throw new Error(`no call of ${fn}${on === undefined ? '' : ` on ${on}`}`);
    return at;
  }

  clear(): void {
    this.calls.length = 0;
  }
}

const extensionNames: Readonly<Record<string, string>> = {
  [WSPRegisterMemoryGuid]: 'WSPRegisterMemory',
  [WSPDeregisterMemoryGuid]: 'WSPDeregisterMemory',
  [WSPRegisterRdmaMemoryGuid]: 'WSPRegisterRdmaMemory',
  [WSPDeregisterRdmaMemoryGuid]: 'WSPDeregisterRdmaMemory',
  [WSPRdmaWriteGuid]: 'WSPRdmaWrite',
  [WSPRdmaReadGuid]: 'WSPRdmaRead',
  [WSPMemoryRegistrationCacheCallbackGuid]: 'WSPMemoryRegistrationCacheCallback',
};

/** Functions of the SPI that are never asked of a SAN provider: the switch does them itself, or TCP/IP. */
export const functionsNotRequired: readonly string[] = [
  ...['WSPAddressToString', 'WSPAsyncSelect', 'WSPCancelBlockingCall', 'WSPGetPeerName', 'WSPGetSockName'],
  ...['WSPJoinLeaf', 'WSPRecvDisconnect', 'WSPRecvFrom', 'WSPSelect', 'WSPSendDisconnect', 'WSPSendTo'],
  ...['WSPShutdown', 'WSPStartup', 'WSPStringToAddress'],
];

/** Extensions that every provider has to have, by GUID (WSD-INI-13). */
export const mandatoryExtensions: readonly string[] = [
  WSPRegisterMemoryGuid,
  WSPDeregisterMemoryGuid,
  WSPRegisterRdmaMemoryGuid,
  WSPDeregisterRdmaMemoryGuid,
  WSPRdmaWriteGuid,
];

/** What a function returns when it fails. */
function failureOf(fn: string): unknown {
  if (fn === 'WSPSocket' || fn === 'WSPAccept') return INVALID_SOCKET;
  if (fn === 'WSPGetOverlappedResult' || fn === 'WSPGetQOSByName') return false;
  if (fn === 'WSPRegisterMemory' || fn === 'WSPAllocateReceiveMemory') return null;
  return SOCKET_ERROR;
}

export class Tap implements SanServiceProvider {
  readonly log: Log;
  readonly name: string;
  readonly protocolInfo;
  /** GUIDs of extensions that the provider says it has not. */
  readonly without = new Set<string>();
  /** Functions that its table has not. */
  readonly lacking = new Set<string>();
  /** Functions that a SAN provider need not have, and that somebody has looked for in its table. */
  readonly missed = new Set<string>();
  /** What the provider answers when it is asked for its addresses; null: what it says itself. */
  addresses: readonly SOCKET_ADDRESS[] | null = null;
  /** What the switch has given to the provider. */
  upcalls: WSPUPCALLTABLEEX | null = null;
  readonly #inner: SanServiceProvider;
  readonly #overrides = new Map<string, Override>();
  #table: WSPPROC_TABLE | null = null;

  constructor(log: Log, inner: SanServiceProvider, name = inner.name) {
    this.log = log;
    this.#inner = inner;
    this.name = name;
    this.protocolInfo = inner.protocolInfo;
  }

  readonly WSPStartupEx: SanServiceProvider['WSPStartupEx'] = (version, data, tcpip, upcalls, table) => {
    const call = this.log.begin(this.name, 'WSPStartupEx', [version, data, tcpip, upcalls, table]);
    this.upcalls = upcalls;
    const start: AnyFunction = () => this.#inner.WSPStartupEx(version, data, tcpip, this.#wrapUpcalls(upcalls), table);
    const result = (this.#overrides.get('WSPStartupEx')?.(start) ?? start()) as number;
    if (table.value !== null) table.value = this.#wrapTable(table.value);
    call.result = result;
    call.error = result;
    return result;
  };

  /** The functions as the switch calls them. */
  get table(): WSPPROC_TABLE {
    return this.#table!;
  }

  /** `answer` takes the place of the function; it may call the provider's own. */
  override<K extends keyof WSPPROC_TABLE>(
    fn: K,
    answer: (inner: WSPPROC_TABLE[K], ...args: Parameters<WSPPROC_TABLE[K]>) => ReturnType<WSPPROC_TABLE[K]>,
  ): void {
    this.#overrides.set(fn, answer as unknown as Override);
  }

  /** The same for an extension function. */
  overrideData(fn: 'WSPRdmaRead' | 'WSPRdmaWrite', answer: (inner: AnyFunction, ...args: unknown[]) => unknown): void {
    this.#overrides.set(fn, answer);
  }

  /** The same for an up-call, between the provider and the switch. */
  overrideUpcall<K extends keyof WSPUPCALLTABLEEX>(
    fn: K,
    answer: (inner: WSPUPCALLTABLEEX[K], ...args: Parameters<WSPUPCALLTABLEEX[K]>) => ReturnType<WSPUPCALLTABLEEX[K]>,
  ): void {
    this.#overrides.set(fn, answer as unknown as Override);
  }

  /** The function fails with this error, `times` times; then it works again. */
  fail(fn: string, wsaError: number, times = Number.POSITIVE_INFINITY): void {
    let left = times;
    this.failWhere(fn, wsaError, () => left-- > 0);
  }

  /** The function fails with this error for the calls that `where` chooses by their arguments. */
  failWhere(fn: string, wsaError: number, where: (args: readonly unknown[]) => boolean): void {
    this.#overrides.set(fn, (inner, ...args) => {
      if (!where(args)) return inner(...args);
      if (fn === 'WSPStartupEx') return wsaError;
      (args.at(-1) as Out<number>).value = wsaError;
      return failureOf(fn);
    });
  }

  /** The function throws, and does nothing else. */
  throwIn(fn: string, error: unknown): void {
    this.#overrides.set(fn, () => {
      throw error;
    });
  }

  restore(fn: string): void {
    this.#overrides.delete(fn);
  }

  /** Connects stay pending until they are settled, and the provider's own are not even begun. */
  holdConnects(): (wsaError: number) => void {
    const events = new Map<ProviderSocket, EventObject>();
    const outcomes = new Map<ProviderSocket, number>();
    const connecting: ProviderSocket[] = [];
    this.override('WSPEventSelect', (inner, s, event, mask, errno) => {
      if (event !== null && (mask & FD_CONNECT) !== 0) events.set(s, event);
      return inner(s, event, mask, errno);
    });
    this.override('WSPConnect', (_inner, s, ...rest) => {
      connecting.push(s);
      rest[6].value = WSAEWOULDBLOCK;
      return SOCKET_ERROR;
    });
    this.override('WSPEnumNetworkEvents', (inner, s, event, record, errno) => {
      const outcome = outcomes.get(s);
      if (outcome === undefined) return inner(s, event, record, errno);
      outcomes.delete(s);
      event?.reset();
      record.lNetworkEvents = FD_CONNECT;
      record.iErrorCode[FD_CONNECT_BIT] = outcome;
      return 0;
    });
    return (wsaError) => {
      for (const s of connecting.splice(0)) {
        outcomes.set(s, wsaError);
        events.get(s)!.set();
      }
    };
  }

  #call(fn: string, inner: AnyFunction, args: unknown[]): unknown {
    const call = this.log.begin(this.name, fn, args);
    const override = this.#overrides.get(fn);
    return this.log.end(call, override === undefined ? inner(...args) : override(inner, ...args));
  }

  #wrapTable(table: WSPPROC_TABLE): WSPPROC_TABLE {
    const wrapped: Record<string, AnyFunction> = {};
    for (const fn of procedureNames) {
      const inner: AnyFunction = (...args) => (table[fn] as AnyFunction).apply(table, args);
      const own = fn === 'WSPIoctl' ? this.#wrapIoctl(inner) : inner;
      wrapped[fn] = (...args) => this.#call(fn, own, args);
    }
    for (const fn of this.lacking) delete wrapped[fn];
    for (const fn of functionsNotRequired) {
      Object.defineProperty(wrapped, fn, { get: () => void this.missed.add(fn) });
    }
    this.#table = wrapped as unknown as WSPPROC_TABLE;
    return this.#table;
  }

  #wrapIoctl(inner: AnyFunction): AnyFunction {
    return (...args) => {
      const [, code, input, , output] = args;
      const errno = args.at(-1) as Out<number>;
      if (code === SIO_GET_EXTENSION_FUNCTION_POINTER && this.without.has(input as string)) {
        errno.value = WSAEOPNOTSUPP;
        return SOCKET_ERROR;
      }
      const result = inner(...args);
      if (result !== 0) return result;
      const out = output as Out<unknown>;
      if (code === SIO_GET_EXTENSION_FUNCTION_POINTER) out.value = this.#wrapExtension(input as string, out.value);
      else if (code === SIO_ADDRESS_LIST_QUERY && this.addresses !== null) {
        out.value = { iAddressCount: this.addresses.length, Address: this.addresses };
      }
      return result;
    };
  }

  #wrapExtension(guid: string, extension: unknown): unknown {
    const name = extensionNames[guid];
    if (name !== undefined) return (...args: unknown[]) => this.#call(name, extension as AnyFunction, args);
    if (guid !== ProviderMemoryGuid && guid !== ProviderDiagnosticsGuid) return extension;
    const functions = extension as Readonly<Record<string, AnyFunction>>;
    const wrap =
      (fn: string): AnyFunction =>
      (...args) =>
        this.#call(fn, (...given) => functions[fn]!.apply(functions, given), args);
    return guid === ProviderMemoryGuid
      ? ({
          WSPAllocateReceiveMemory: wrap('WSPAllocateReceiveMemory'),
          WSPGetSendBuffer: wrap('WSPGetSendBuffer'),
        } as unknown as ProviderMemoryExtension)
      : {
          WSPQueryReason: wrap('WSPQueryReason'),
          WSPQueryUnconsumed: wrap('WSPQueryUnconsumed'),
          WSPQueryPeerProcess: wrap('WSPQueryPeerProcess'),
        };
  }

  #wrapUpcalls(upcalls: WSPUPCALLTABLEEX): WSPUPCALLTABLEEX {
    const functions = upcalls as unknown as Readonly<Record<string, AnyFunction>>;
    const wrapped = Object.fromEntries(
      Object.keys(functions).map((fn) => [fn, (...args: unknown[]) => this.#call(fn, functions[fn]!, args)]),
    );
    return wrapped as unknown as WSPUPCALLTABLEEX;
  }
}
