/** The switch's part towards one provider: an up-call table that keeps a record of every call and checks each. */

import assert from 'node:assert/strict';
import {
  EventObject,
  INVALID_SOCKET,
  SOCKET_ERROR,
  type SwitchHandle,
  WSAENOBUFS,
  WSAENOTSOCK,
  type WSAOVERLAPPED,
  type WSPUPCALLTABLEEX,
} from '../spi/index.js';

export interface Completion {
  readonly handle: SwitchHandle;
  readonly overlapped: WSAOVERLAPPED;
  readonly error: number;
  readonly bytes: number;
}

export class Handle implements SwitchHandle {
  readonly spi = 'SwitchHandle';
  constructor(
    readonly context: unknown,
    readonly catalogEntryId: number,
  ) {}
}

export class SwitchSide {
  /** Up-calls in their order. */
  readonly log: string[] = [];
  readonly completions: Completion[] = [];
  readonly created: Handle[] = [];
  readonly closed = new Set<SwitchHandle>();
  /** Called at the end of each up-call, inside of it. */
  onUpcall: ((what: string) => void) | null = null;
  /** How many handles WPUCreateSocketHandle still gives. */
  handlesLeft = Number.POSITIVE_INFINITY;
  readonly upcalls: WSPUPCALLTABLEEX;
  /** The process of this side has been killed. */
  dead = false;
  /** What no provider may do, told at the end of the test, because the provider's own loop may be what called. */
  readonly #wrong: string[] = [];

  constructor() {
    this.upcalls = this.#table();
  }

  /** After the last WSPCleanup: every handle has been given back, and nothing was done that must not be. */
  checkEnd(): void {
    assert.deepEqual(this.#wrong, []);
    if (!this.dead) assert.equal(this.closed.size, this.created.length, 'every switch handle is given back');
  }

  #index(handle: SwitchHandle, what: string): number {
    const index = this.created.indexOf(handle as Handle);
    if (index < 0) this.#wrong.push(`${what} names a handle that is none (WSD-SOC-11)`);
    if (this.closed.has(handle)) this.#wrong.push(`${what} after WPUCloseSocketHandle (WSD-CLS-12)`);
    return index;
  }

  #table(): WSPUPCALLTABLEEX {
    const say = (what: string): void => {
      this.log.push(what);
      this.onUpcall?.(what);
    };
    const none = (what: string) => (): never => {
      this.#wrong.push(`${what} is not expected`);
      throw new Error(`${what} is not expected`);
    };
    return {
      WPUCloseEvent: () => true,
      WPUCloseSocketHandle: (s) => {
        const index = this.#index(s, 'close');
        this.closed.add(s);
        say(`close ${index}`);
        return 0;
      },
      WPUCreateEvent: () => new EventObject(),
      WPUCreateSocketHandle: (id, context, lpErrno) => {
        if (this.handlesLeft-- <= 0) {
          lpErrno.value = WSAENOBUFS;
          return INVALID_SOCKET;
        }
        const handle = new Handle(context, id);
        this.created.push(handle);
        say(`create ${this.created.length - 1}`);
        return handle;
      },
      WPUFDIsSet: none('WPUFDIsSet'),
      WPUGetProviderPath: none('WPUGetProviderPath'),
      WPUModifyIFSHandle: none('WPUModifyIFSHandle'),
      WPUPostMessage: none('WPUPostMessage'),
      WPUQueryBlockingCallback: none('WPUQueryBlockingCallback'),
      WPUQuerySocketHandleContext: (s, lpContext, lpErrno) => {
        const handle = this.created[this.#index(s, 'query')];
        if (handle === undefined) {
          lpErrno.value = WSAENOTSOCK;
          return SOCKET_ERROR;
        }
        lpContext.value = handle.context;
        return 0;
      },
      WPUQueueApc: none('WPUQueueApc'),
      WPUResetEvent: (event) => {
        event.reset();
        say('reset');
        return true;
      },
      WPUSetEvent: (event) => {
        event.set();
        say('set');
        return true;
      },
      WPUOpenCurrentThread: none('WPUOpenCurrentThread'),
      WPUCloseThread: none('WPUCloseThread'),
      WPUCompleteOverlappedRequest: (handle, overlapped, error, bytes) => {
        const index = this.#index(handle, 'complete');
        if ((overlapped.hEvent & 1) !== 0) this.#wrong.push('a completion in poll mode was told (WSD-OVL-8)');
        if (this.completions.some((one) => one.overlapped === overlapped))
          this.#wrong.push('an operation completed twice (WSD-OVL-23)');
        overlapped.InternalHigh = bytes;
        overlapped.Internal = error;
        this.completions.push({ handle, overlapped, error, bytes });
        say(`complete ${index} ${error} ${bytes}`);
        return 0;
      },
    };
  }
}
