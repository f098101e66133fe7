/** `NODE_DEBUG=sockets-direct` shows the decisions. */

import { debuglog } from 'node:util';

const log = debuglog('sockets-direct');

/** Where nobody listens, even the call that finds it out costs as much as a message. */
export const debug: (format: string, ...values: unknown[]) => void = log.enabled ? log : () => {};
