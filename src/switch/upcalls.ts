/** What providers may call (section 19 of the digest): socket handles, events, completions. */

import {
  EventObject,
  INVALID_SOCKET,
  type Out,
  SOCKET_ERROR,
  type SwitchHandle,
  WSAEINVAL,
  WSAENOBUFS,
  WSAENOTSOCK,
  WSAEOPNOTSUPP,
  type WSAOVERLAPPED,
  type WSPUPCALLTABLEEX,
} from '../spi/index.js';

/** Who is told that an operation in notify mode is complete. */
export interface CompletionTarget {
  completed(overlapped: WSAOVERLAPPED, wsaError: number, bytes: number): void;
}

/** A switch handle: what WPUCreateSocketHandle returns (WSD-THR-8). */
export class Handle implements SwitchHandle {
  open = true;
  target: CompletionTarget | null = null;
  constructor(readonly context: unknown) {}
  get spi(): 'SwitchHandle' {
    return 'SwitchHandle';
  }
}

/** Handles that may exist at one time. */
const handlesMax = 1_000_000;

export class Upcalls {
  #handles = 0;
  #created: Handle | null = null;
  readonly table: WSPUPCALLTABLEEX;

  constructor() {
    const unsupported = (lpErrno: Out<number>): number => {
      lpErrno.value = WSAEOPNOTSUPP;
      return SOCKET_ERROR;
    };
    this.table = {
      WPUCloseEvent: () => true,
      WPUCloseSocketHandle: (s, lpErrno) => {
        if (!(s instanceof Handle) || !s.open) {
          lpErrno.value = WSAENOTSOCK;
          return SOCKET_ERROR;
        }
        s.open = false;
        s.target = null;
        this.#handles--;
        return 0;
      },
      WPUCreateEvent: () => new EventObject(),
      WPUCreateSocketHandle: (_catalogEntryId, context, lpErrno) => {
        if (this.#handles >= handlesMax) {
          lpErrno.value = WSAENOBUFS;
          return INVALID_SOCKET;
        }
        this.#handles++;
        this.#created = new Handle(context);
        return this.#created;
      },
      WPUFDIsSet: (s, set) => (set.includes(s) ? 1 : 0),
      WPUGetProviderPath: (_id, _path, lpErrno) => unsupported(lpErrno),
      WPUModifyIFSHandle: (_id, _handle, lpErrno) => {
        lpErrno.value = WSAEOPNOTSUPP;
        return INVALID_SOCKET;
      },
      WPUPostMessage: () => false,
      WPUQueryBlockingCallback: (_id, _callback, _context, lpErrno) => unsupported(lpErrno),
      WPUQuerySocketHandleContext: (s, context, lpErrno) => {
        if (!(s instanceof Handle) || !s.open) {
          lpErrno.value = WSAENOTSOCK;
          return SOCKET_ERROR;
        }
        context.value = s.context;
        return 0;
      },
      WPUQueueApc: (_thread, _function, _context, lpErrno) => unsupported(lpErrno),
      WPUResetEvent: (event) => {
        event.reset();
        return true;
      },
      WPUSetEvent: (event) => {
        event.set();
        return true;
      },
      WPUOpenCurrentThread: (_thread, lpErrno) => unsupported(lpErrno),
      WPUCloseThread: (_thread, lpErrno) => unsupported(lpErrno),
      WPUCompleteOverlappedRequest: (s, overlapped, error, bytes, lpErrno) => {
        if (!(s instanceof Handle) || !s.open) {
          lpErrno.value = WSAEINVAL;
          return SOCKET_ERROR;
        }
        overlapped.InternalHigh = bytes;
        overlapped.Internal = error;
        s.target?.completed(overlapped, error, bytes);
        return 0;
      },
    };
  }

  get handleCount(): number {
    return this.#handles;
  }

  /** The handle that the WSPSocket or WSPAccept that has just returned has made. */
  takeCreated(): Handle | null {
    const handle = this.#created;
    this.#created = null;
    return handle;
  }
}
