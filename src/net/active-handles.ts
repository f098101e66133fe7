/**
 * What Node answers when asked what keeps a process running: a connection of a SAN counts as the TCP socket that it stands
 * for. A client's has the program's own TCP handle behind it, which Node counts; an accepted one has nothing.
 */

import { DenseSet } from '../collections/dense-set.js';
import { isHoldingTimer } from '../switch/liveness.js';
import type { SanHandle } from './san-handle-face.js';

interface ProcessInternals {
  /** Sockets, servers and other owners of referenced handles. Deprecated, and what tools that look for leaks ask. */
  _getActiveHandles?(): object[];
  getActiveResourcesInfo(): string[];
}

const open = new DenseSet<SanHandle>();

export function handleOpened(handle: SanHandle): void {
  open.add(handle);
}

export function handleClosed(handle: SanHandle): void {
  open.delete(handle);
}

function uncounted(): SanHandle[] {
  return [...open].filter((handle) => handle.tcp === null && handle.hasRef());
}

/** Replaces the two functions of `process`. */
export function hookActiveHandles(): void {
  const internals = process as unknown as ProcessInternals;
  const { _getActiveHandles: handles, getActiveResourcesInfo: resources } = internals;
  if (handles !== undefined) {
    internals._getActiveHandles = () => [
      ...handles.call(process),
      ...uncounted().map((handle) => handle.owner ?? handle),
    ];
  }
  internals.getActiveResourcesInfo = () => {
    const found = resources.call(process);
    const ours = isHoldingTimer() ? found.lastIndexOf('Timeout') : -1;
    if (ours >= 0) found.splice(ours, 1);
    return [...found, ...uncounted().map(() => 'TCPSocketWrap')];
  };
}
