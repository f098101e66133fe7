/** What all accepts have in common. */

import { WSAError } from './error.js';
import type { AcceptCall, Accepted, Listener } from './listener.js';
import { promiseOf } from './pending.js';
import type { SocketRecord } from './socket.js';

/** The next connection of a listening socket, when this process has control of it (WSD-DUP-11). */
export function acceptOn(
  record: SocketRecord,
  syscall: string,
  nonBlocking: boolean,
  signal: AbortSignal | undefined,
  make: (listener: Listener, signal: AbortSignal | undefined) => AcceptCall,
): Promise<Accepted> {
  const { share } = record;
  if (share !== null && share.error !== 0) throw new WSAError(share.error, syscall);
  if (!record.listensElsewhere) record.listening(syscall);
  return promiseOf(
    record.operate(syscall, nonBlocking, signal, (own) => {
      const listener = record.listening(syscall);
      return listener.accept(make(listener, own), nonBlocking);
    }),
  );
}
