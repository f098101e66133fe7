/**
 * What keeps the process running. A SAN connection has no descriptor in libuv, so all of them share one timer: it holds
 * the event loop while at least one of them would hold it as a TCP socket.
 */

import { outsideOfContexts } from '../diagnostics/outside.js';

/** The longest period of a timer. */
const period = 0x7fffffff;

let holders = 0;
let timer: NodeJS.Timeout | null = null;

/** One more connection holds the event loop. */
export function hold(): void {
  holders += 1;
  if (holders > 1) return;
  if (timer === null) timer = outsideOfContexts(() => setInterval(() => {}, period));
  else timer.ref();
}

/** One connection fewer holds the event loop. */
export function release(): void {
  holders -= 1;
  if (holders === 0) timer?.unref();
}

/** Whether the timer is there and holds the event loop; nobody but us knows that it is no timer of the program's. */
export function isHoldingTimer(): boolean {
  return timer?.hasRef() ?? false;
}
