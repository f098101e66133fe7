/** Joins the hooks of `src/net` and the composed switch. Both ways into the package use it: preload and import. */

import { AsyncResource } from 'node:async_hooks';
import { createRequire } from 'node:module';
// Loaded early for what it remembers.
import '../platform/unix-connect.js';
import { type InstallOptions, installNet, rememberOff, type SocketSwitch } from '../net/index.js';

/** What the switch keeps must not keep the asynchronous context of whichever request needed it first. */
const root = new AsyncResource('SOCKETSDIRECT');

/** The switch and its providers are loaded at the first connect or listen that needs them, never at start-up. */
function getSwitch(): SocketSwitch {
  return root.runInAsyncScope(() => {
    const require = createRequire(import.meta.url);
    const compose = require('../compose.js') as { getSwitch(): SocketSwitch };
    return compose.getSwitch();
  });
}

/** Installs the hooks, unless SOCKETS_DIRECT=off. */
export function activate(eligible?: InstallOptions['eligible']): void {
  if (process.env.SOCKETS_DIRECT === 'off') rememberOff('off-by-environment');
  else installNet(eligible === undefined ? { getSwitch } : { getSwitch, eligible });
}
