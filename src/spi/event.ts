/**
 * The event object: manual reset, as WSACreateEvent makes it.
 *
 * `set` and `reset` are what WPUSetEvent and WPUResetEvent do (WSD-THR-10). Somebody may wait by `onset`, which is called
 * at each change from unsignalled to signalled, synchronously: a waiter that must not run inside the provider's call
 * stack has to schedule itself.
 */
export class EventObject {
  static #last = 0;
  /** Even, so that bit 0 of `WSAOVERLAPPED.hEvent` stays free (WSD-LIM-6). */
  readonly handle: number;
  onset: (() => void) | null = null;
  #signalled = false;

  constructor() {
    EventObject.#last += 2;
    this.handle = EventObject.#last;
  }

  get signalled(): boolean {
    return this.#signalled;
  }

  set(): void {
    if (this.#signalled) return;
    this.#signalled = true;
    this.onset?.();
  }

  reset(): void {
    this.#signalled = false;
  }
}
