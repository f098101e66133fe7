/**
 * Preload: `node --import sockets-direct/register program.js` carries every socket of an unmodified program. Loading it
 * twice, with `--require`, or in a worker is the same.
 */

import { activate } from './activate.js';

activate();
