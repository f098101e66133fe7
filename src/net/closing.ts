/**
 * Callbacks of closed handles. libuv calls them in a phase of its own, after immediates, and the event loop goes on until
 * then. A native handle that is closed with them is the way into that phase; one serves all that close in one turn.
 */

import { TCP_SOCKET } from '../providers/tcpip/native.js';
import { requireInternals } from './internals.js';
import { contain, settle } from './ticks.js';

let waiting: (() => void)[] | null = null;

export function inClosingPhase(callback: () => void): void {
  if (waiting !== null) {
    waiting.push(callback);
    return;
  }
  waiting = [callback];
  const { TCP } = requireInternals();
  new TCP(TCP_SOCKET).close(callAll);
}

function callAll(): void {
  const callbacks = waiting!;
  waiting = null;
  for (const callback of callbacks) {
    settle();
    contain(callback, undefined, undefined);
  }
}
