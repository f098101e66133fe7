/**
 * Preload: `node --import sockets-direct/register program.js` carries every socket of an unmodified program. Loading it
 * twice, with `--require`, or in a worker is the same.
 */

import { createRequire } from 'node:module';
import { outsideOfContexts } from '../diagnostics/outside.js';
import { rememberOff } from '../net/connection-info.js';
import { deferHooks } from '../net/deferred.js';
// Loaded early for what it remembers.
import '../platform/unix-connect.js';

function activate(): void {
  // At the first socket, whoever asks for that.
  outsideOfContexts(() => {
    (createRequire(import.meta.url)('./activate.js') as typeof import('./activate.js')).activate();
  });
}

const { SOCKETS_DIRECT: mode, SOCKETS_DIRECT_SUMMARY: summary = '' } = process.env;
// A summary counts connections that nobody hooks, too.
if (summary !== '') activate();
else if (mode === 'off') rememberOff('off-by-environment');
else deferHooks(activate);
