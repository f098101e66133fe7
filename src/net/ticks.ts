/**
 * How callbacks of the switch reach the program.
 *
 * libuv calls Node once for each event, and Node then runs the tick queue and microtasks before the next one. The switch
 * delivers several events in one turn of its poller, so the same has to happen between them: a program sees no difference.
 */

import { withoutWarning } from '../providers/tcpip/native.js';

interface ProcessInternals {
  _tickCallback?(): void;
  /** Listeners by event. */
  readonly _events?: { readonly uncaughtException?: unknown };
  /** What Node calls for an error that nobody caught; true if a listener or a domain took it. */
  _fatalException?(error: unknown, fromPromise: boolean): boolean;
}

const internals = process as unknown as ProcessInternals;
const hasCaptureCallback = process.hasUncaughtExceptionCaptureCallback;
const drain = withoutWarning(internals._tickCallback);

/** Whether this runtime can drain its tick queue on demand, as its own immediates do. */
export const canDrain = typeof drain === 'function' && typeof internals._fatalException === 'function';

/**
 * To be called before an event is delivered. It runs what the previous event of the same turn has left behind; with empty
 * queues it costs some 25 ns, less than finding out whether there was a previous event.
 */
export function settle(): void {
  if (!somebodyCatches()) {
    drain!();
    return;
  }
  for (;;) {
    try {
      drain!();
      return;
    } catch (error) {
      // Node leaves the rest of the queue to a later turn then, but no event may overtake it.
      uncaught(error);
    }
  }
}

/**
 * Calls a handler of the program. What it throws must not unwind the switch, which has other connections to serve: it
 * goes where Node would send it. If nobody can catch it there, it is left alone: the process ends anyway, and its
 * message then names the right line.
 */
export function contain<T, A>(callback: (this: T, argument: A) => void, self: T, argument: A): void {
  if (!somebodyCatches()) {
    callback.call(self, argument);
    return;
  }
  try {
    callback.call(self, argument);
  } catch (error) {
    uncaught(error);
  }
}

/** The module `domain` puts its property there; its domains catch only once they are entered, which is too late to ask. */
function somebodyCatches(): boolean {
  // Asked before every delivery, and `listenerCount` costs more than all the rest.
  const listeners = internals._events;
  return (
    listeners === undefined ||
    listeners.uncaughtException !== undefined ||
    hasCaptureCallback() ||
    'domain' in internals
  );
}

/** Node's own treatment, which also puts its stack of async contexts in order: a throw inside a tick leaves it behind. */
function uncaught(error: unknown): void {
  if (internals._fatalException!(error, false) !== true) throw error;
}
