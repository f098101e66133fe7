/** Joins the hooks of `src/net` and the composed switch. Both ways into the package use it: preload and import. */

import { createRequire } from 'node:module';
// Loaded early for what it remembers.
import '../platform/unix-connect.js';
import { outsideOfContexts } from '../diagnostics/outside.js';
import type { Reason } from '../diagnostics/reasons.js';
import { type InstallOptions, installNet, rememberOff, type SocketSwitch } from '../net/index.js';

/** The switch and its providers are loaded at the first connect or listen that needs them, never at start-up. */
function getSwitch(): SocketSwitch {
  return outsideOfContexts(() => {
    const require = createRequire(import.meta.url);
    const compose = require('../compose.js') as { getSwitch(): SocketSwitch };
    return compose.getSwitch();
  });
}

/** Installs the hooks, unless SOCKETS_DIRECT=off. */
export function activate(eligible?: InstallOptions['eligible']): void {
  const off = install(eligible);
  const { SOCKETS_DIRECT_SUMMARY: summary } = process.env;
  // A module of one program has nothing to tell of the rest of it.
  if (eligible === undefined && summary !== undefined && summary !== '') counting(summary, off);
}

function install(eligible: InstallOptions['eligible']): Reason | null {
  if (process.env.SOCKETS_DIRECT !== 'off') {
    return installNet(eligible === undefined ? { getSwitch } : { getSwitch, eligible });
  }
  rememberOff('off-by-environment');
  return 'off-by-environment';
}

let isCounting = false;

function counting(path: string, off: Reason | null): void {
  if (isCounting) return;
  isCounting = true;
  const require = createRequire(import.meta.url);
  (require('./summary.js') as typeof import('./summary.js')).countFor(path, off);
}
