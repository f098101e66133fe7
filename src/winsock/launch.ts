/** The two idioms of calls that wait: a promise, or an overlapped operation. */

import { running, WSAOVERLAPPED } from './overlapped.js';
import type { Waiting } from './pending.js';
import { SOCKET, type SocketRecord } from './socket.js';

/** What does not even begin is rejected by a promise, and thrown where there is none. */
export function launch(
  syscall: string,
  s: SOCKET,
  target: Waiting | WSAOVERLAPPED,
  begin: (record: SocketRecord, signal: AbortSignal | undefined) => Promise<number>,
): Promise<number> | number {
  if (!(target instanceof WSAOVERLAPPED)) {
    return new Promise((resolve) => resolve(begin(SOCKET.reveal(s, syscall), target.signal)));
  }
  const record = SOCKET.reveal(s, syscall);
  return WSAOVERLAPPED.start(target, record, syscall, 0, null, () => running((signal) => begin(record, signal)));
}
