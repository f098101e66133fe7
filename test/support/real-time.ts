/** The clock and the turns of this event loop, for what gets them passed in. */

import type { Scheduler } from '../../src/providers/shared-memory/scheduler.js';

export const scheduler: Scheduler = {
  soon: (task) => {
    setImmediate(task);
  },
  later: (task, milliseconds) => {
    const timer = setTimeout(task, milliseconds).unref();
    return () => clearTimeout(timer);
  },
};

export const realTime = {
  /** Microseconds, monotonic. */
  now: (): number => performance.now() * 1000,
  scheduler,
};
