/** Event objects: what overlapped operations and WSAEventSelect signal, and programs wait for. */

import { EventObject, WSA_INVALID_HANDLE, WSAEINVAL } from '../spi/index.js';
import { WSA_INFINITE, WSA_MAXIMUM_WAIT_EVENTS, WSA_WAIT_EVENT_0, WSA_WAIT_TIMEOUT } from './constants.js';
import { WSAError } from './error.js';
import { Pending, type Waiting } from './pending.js';

/** Milliseconds; what a timer of Node.js can do. */
const timeoutMax = 0x7fffffff;

/** An event object, manual reset, of WSACreateEvent. */
export class WSAEVENT {
  readonly #event = new EventObject();
  readonly #waiters = new Set<() => void>();
  #closed = false;

  constructor() {
    this.#event.onset = () => {
      for (const waiter of [...this.#waiters]) waiter();
    };
  }

  get signalled(): boolean {
    return this.#event.signalled;
  }

  set(): void {
    this.#event.set();
  }

  reset(): void {
    this.#event.reset();
  }

  /** Throws WSA_INVALID_HANDLE for what is no event object, or no longer. */
  static check(event: WSAEVENT, syscall: string): WSAEVENT {
    if (!(event instanceof WSAEVENT) || event.#closed) throw new WSAError(WSA_INVALID_HANDLE, syscall);
    return event;
  }

  /** Whoever waits goes on waiting, as on Windows. */
  static close(event: WSAEVENT): void {
    WSAEVENT.check(event, 'WSACloseEvent').#closed = true;
  }

  /** Calls back at each change to signalled, until the returned function is called. */
  static watch(event: WSAEVENT, waiter: () => void): () => void {
    event.#waiters.add(waiter);
    return () => event.#waiters.delete(waiter);
  }
}

/** An event object that is not signalled. It stays signalled until somebody resets it. */
export function WSACreateEvent(): WSAEVENT {
  return new WSAEVENT();
}

/** Throws WSA_INVALID_HANDLE; so do the next two. */
export function WSASetEvent(hEvent: WSAEVENT): void {
  WSAEVENT.check(hEvent, 'WSASetEvent').set();
}

export function WSAResetEvent(hEvent: WSAEVENT): void {
  WSAEVENT.check(hEvent, 'WSAResetEvent').reset();
}

export function WSACloseEvent(hEvent: WSAEVENT): void {
  WSAEVENT.close(hEvent);
}

/**
 * Waits until one of the event objects is signalled, or all of them at the same time; at most 64. Resolves with
 * WSA_WAIT_EVENT_0 plus the lowest index of a signalled one, or with WSA_WAIT_TIMEOUT after `dwTimeout` milliseconds
 * (WSA_INFINITE: never). No event is reset.
 */
export async function WSAWaitForMultipleEvents(
  lphEvents: readonly WSAEVENT[],
  fWaitAll = false,
  dwTimeout: number = WSA_INFINITE,
  { signal }: Waiting = {},
): Promise<number> {
  const syscall = 'WSAWaitForMultipleEvents';
  const valid = Array.isArray(lphEvents) && lphEvents.length > 0 && lphEvents.length <= WSA_MAXIMUM_WAIT_EVENTS;
  if (!valid || !(dwTimeout >= 0)) throw new WSAError(WSAEINVAL, syscall);
  for (const event of lphEvents) WSAEVENT.check(event, syscall);
  const index = (): number => {
    const first = lphEvents.findIndex(({ signalled }) => signalled);
    return first < 0 || (fWaitAll && !lphEvents.every(({ signalled }) => signalled)) ? -1 : WSA_WAIT_EVENT_0 + first;
  };
  return waitUntil(syscall, index, WSA_WAIT_TIMEOUT, dwTimeout, signal, (wake) => {
    const stops = lphEvents.map((event) => WSAEVENT.watch(event, wake));
    return () => {
      for (const stop of stops) stop();
    };
  });
}

/**
 * The waiting of all calls that wait for a state: resolves with what `ask` tells as soon as that is not negative, or with
 * `late` after `milliseconds`. `watch` gets a function to be called when `ask` may have something to tell.
 */
export function waitUntil(
  syscall: string,
  ask: () => number,
  late: number,
  milliseconds: number,
  signal: AbortSignal | undefined,
  watch: (wake: () => void) => () => void,
): Promise<number> {
  const now = ask();
  if (now >= 0) return Promise.resolve(now);
  if (milliseconds === 0) return Promise.resolve(late);
  const pending = new Pending<number>(syscall, signal, () => {});
  if (signal?.aborted) {
    pending.cancel(signal.reason);
    return pending.promise;
  }
  const unwatch = watch(() => {
    const answer = ask();
    if (answer >= 0) pending.resolve(answer);
  });
  const timer = milliseconds < timeoutMax ? setTimeout(() => pending.resolve(late), milliseconds) : undefined;
  pending.onsettled = () => {
    unwatch();
    clearTimeout(timer);
  };
  return pending.promise;
}
