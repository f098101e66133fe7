/**
 * How callbacks of the switch reach the program.
 *
 * libuv calls Node once for each event, and Node then runs the tick queue and microtasks before the next one. The switch
 * delivers several events in one turn of its poller, so the same has to happen between them: a program sees no difference.
 */

import { AsyncResource } from 'node:async_hooks';
import { withoutWarning } from '../providers/tcpip/native.js';

const root = new AsyncResource('SOCKETSDIRECTTICKS');

interface ProcessInternals {
  _tickCallback?(): void;
  /** What Node calls for an error that nobody caught; true if a listener or a domain took it. */
  _fatalException?(error: unknown, fromPromise: boolean): boolean;
}

const internals = process as unknown as ProcessInternals;
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
  // A throw would leave the async context of its tick behind; leaving the scope restores ours.
  while (!root.runInAsyncScope(drainCatching));
}

/** False if something was thrown. Node then leaves the rest to a later turn, but no event may overtake it. */
function drainCatching(): boolean {
  try {
    drain!();
    return true;
  } catch (error) {
    uncaught(error);
    return false;
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

function somebodyCatches(): boolean {
  return process.listenerCount('uncaughtException') > 0 || process.hasUncaughtExceptionCaptureCallback();
}

/** Node's own treatment, which also puts its stack of async contexts in order: a throw inside a tick leaves it behind. */
function uncaught(error: unknown): void {
  if (internals._fatalException!(error, false) !== true) throw error;
}
