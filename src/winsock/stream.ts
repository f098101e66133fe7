/** What carries an established connection, whichever provider it is of. */

import type { SanConnection } from '../switch/index.js';

/** A byte stream with half-close. A SAN connection is one as it is; `tcp-stream.ts` makes one of a native TCP handle. */
export interface Stream extends Omit<SanConnection, 'writeQueueSize' | 'largeThreshold'> {
  /** Sends of more bytes go by RDMA, where there is such a thing. */
  largeThreshold?: number;
  /** False: urgent data can neither be sent nor received. */
  readonly hasUrgent?: boolean;
}

/** Most bytes of one `writeUrgent`. */
export const urgentMax = 4096;
