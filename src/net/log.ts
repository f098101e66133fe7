/** `NODE_DEBUG=sockets-direct` shows the decisions. */

import { debuglog } from 'node:util';

export const debug = debuglog('sockets-direct');
