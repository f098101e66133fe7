/** What carries an established connection, whichever provider it is of. */

import type { SanConnection } from '../switch/index.js';

/** A byte stream with half-close. A SAN connection is one as it is; `tcp-stream.ts` makes one of a native TCP handle. */
export type Stream = Omit<SanConnection, 'writev' | 'writeQueueSize'>;
