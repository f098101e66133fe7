/**
 * Stands between the switch and a provider that may be anybody's module: what it throws is the failure of the call that
 * threw. So it ends a connect or a connection, and never the process. What a program throws out of an up-call or a condition
 * function passes through the provider and is not its fault: that goes on.
 */

import {
  type ExtensionFunctions,
  INVALID_SOCKET,
  type Out,
  procedureNames,
  SOCKET_ERROR,
  WSAENETDOWN,
  type WSPPROC_TABLE,
  type WSPUPCALLTABLEEX,
} from '../spi/index.js';

type AnyFunction = (...args: never[]) => unknown;
/** Has `lpErrno` as its last argument. */
type Call = (...args: unknown[]) => unknown;

/** What a call returns that has failed, where that is not SOCKET_ERROR. */
const failures: Readonly<Record<string, unknown>> = {
  WSPAccept: INVALID_SOCKET,
  WSPSocket: INVALID_SOCKET,
  WSPGetOverlappedResult: false,
  WSPGetQOSByName: false,
  WSPRegisterMemory: null,
  WSPAllocateReceiveMemory: null,
};

export class Guard {
  readonly #tell: (call: string, error: unknown) => void;
  /** What the program has thrown through the provider. */
  #passing: { readonly error: unknown } | null = null;

  /** Calls that have thrown. */
  readonly #told = new Set<string>();

  /** `tell` is told of each call that throws, once. */
  constructor(tell: (call: string, error: unknown) => void) {
    this.#tell = tell;
  }

  upcalls(inner: WSPUPCALLTABLEEX): WSPUPCALLTABLEEX {
    return { ...inner, WPUCompleteOverlappedRequest: this.#passes(inner.WPUCompleteOverlappedRequest) };
  }

  #passes<F extends AnyFunction>(call: F): F {
    return ((...args: Parameters<F>) => {
      try {
        return call(...args);
      } catch (error) {
        this.#passing = { error };
        throw error;
      }
    }) as F;
  }

  #failed(call: string, lpErrno: Out<number>, error: unknown): unknown {
    this.#caught(call, error);
    lpErrno.value = WSAENETDOWN;
    return call in failures ? failures[call] : SOCKET_ERROR;
  }

  /** Goes on if it is the program's. */
  #caught(call: string, error: unknown): void {
    if (this.#passing?.error === error) throw error;
    this.#passing = null;
    if (this.#told.has(call)) return;
    this.#told.add(call);
    this.#tell(call, error);
  }

  #guarded(name: string, self: object): Call {
    const call = (self as Record<string, Call>)[name]!.bind(self);
    return (...args) => {
      try {
        return call(...args);
      } catch (error) {
        return this.#failed(name, args[args.length - 1] as Out<number>, error);
      }
    };
  }

  table(inner: WSPPROC_TABLE): WSPPROC_TABLE {
    const guarded = Object.fromEntries(procedureNames.map((name) => [name, this.#guarded(name, inner)]));
    const { WSPAccept, ...others } = guarded as unknown as WSPPROC_TABLE;
    return {
      ...others,
      WSPAccept: (s, addr, addrlen, condition, data, lpErrno) =>
        WSPAccept(s, addr, addrlen, condition && this.#passes(condition), data, lpErrno),
      // Those of each message, without a list of arguments.
      WSPSend: (s, buffers, count, sent, flags, overlapped, routine, thread, lpErrno) => {
        try {
          return inner.WSPSend(s, buffers, count, sent, flags, overlapped, routine, thread, lpErrno);
        } catch (error) {
          return this.#failed('WSPSend', lpErrno, error) as number;
        }
      },
      WSPRecv: (s, buffers, count, received, flags, overlapped, routine, thread, lpErrno) => {
        try {
          return inner.WSPRecv(s, buffers, count, received, flags, overlapped, routine, thread, lpErrno);
        } catch (error) {
          return this.#failed('WSPRecv', lpErrno, error) as number;
        }
      },
      WSPGetOverlappedResult: (s, overlapped, transferred, wait, flags, lpErrno) => {
        try {
          return inner.WSPGetOverlappedResult(s, overlapped, transferred, wait, flags, lpErrno);
        } catch (error) {
          return this.#failed('WSPGetOverlappedResult', lpErrno, error) as boolean;
        }
      },
    };
  }

  extensions(inner: ExtensionFunctions): ExtensionFunctions {
    const guarded: Record<string, unknown> = {};
    for (const [name, value] of Object.entries(inner)) {
      guarded[name] = typeof value === 'function' ? this.#guarded(name, inner) : value;
    }
    const { providerMemory, diagnostics } = inner;
    if (providerMemory !== null) {
      guarded.providerMemory = {
        WSPAllocateReceiveMemory: this.#guarded('WSPAllocateReceiveMemory', providerMemory),
        WSPGetSendBuffer: this.#guarded('WSPGetSendBuffer', providerMemory),
      };
    }
    if (diagnostics !== null) {
      const ask = <T>(call: string, question: () => T, otherwise: T): T => {
        try {
          return question();
        } catch (error) {
          this.#caught(call, error);
          return otherwise;
        }
      };
      guarded.diagnostics = {
        WSPQueryReason: (s) => ask('WSPQueryReason', () => diagnostics.WSPQueryReason(s), null),
        // As if the peer had not taken everything: no cut stream must look like an ended one.
        WSPQueryUnconsumed: (s) => ask('WSPQueryUnconsumed', () => diagnostics.WSPQueryUnconsumed(s), 1),
        WSPQueryPeerProcess: (s) => ask('WSPQueryPeerProcess', () => diagnostics.WSPQueryPeerProcess(s), null),
      } satisfies ExtensionFunctions['diagnostics'];
    }
    return guarded as unknown as ExtensionFunctions;
  }
}
