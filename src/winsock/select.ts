/** select and WSAPoll: wait for states of several sockets, whoever carries them. */

import {
  FD_ACCEPT,
  FD_CLOSE,
  FD_CONNECT,
  FD_OOB,
  FD_READ,
  FD_WRITE,
  WSAEFAULT,
  WSAEINVAL,
  WSAENOTSOCK,
} from '../spi/index.js';
import { POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLRDBAND, POLLRDNORM, POLLWRNORM } from './constants.js';
import { WSAError } from './error.js';
import { waitUntil } from './event.js';
import type { Waiting } from './pending.js';
import { SOCKET, type SocketRecord } from './socket.js';

/** A set of sockets for `select`, which leaves those in it that are ready. */
export type fd_set = Set<SOCKET>;

/** Time that `select` waits. */
export interface TIMEVAL {
  readonly tv_sec: number;
  readonly tv_usec: number;
}

/** What WSAPoll asks of a socket, and its answer. */
export interface WSAPOLLFD {
  readonly fd: SOCKET;
  /** POLLRDNORM, POLLRDBAND, POLLWRNORM. */
  readonly events: number;
  revents: number;
}

/** Conditions of {@link SocketRecord.conditions} that make a socket ready for reading, writing, or an exception. */
const readReady = FD_READ | FD_ACCEPT | FD_CLOSE;
const writeReady = FD_WRITE;

/** True for a connect that has failed, which `select` tells as an exception. */
function hasFailed({ conditions, lastError }: SocketRecord): boolean {
  return (conditions & FD_CONNECT) !== 0 && lastError !== 0;
}

function watch(records: readonly SocketRecord[], wake: () => void): () => void {
  for (const { watchers } of records) watchers.add(wake);
  return () => {
    for (const { watchers } of records) watchers.delete(wake);
  };
}

/**
 * Waits until a socket of the sets is ready: to receive or accept without waiting (`readfds`; also at the end of data), to
 * send (`writefds`; also when a nonblocking connect is done), or has urgent data or a failed connect (`exceptfds`). Resolves
 * with how many are, and the sets hold those only; with 0 after `timeout` (null: never). Sets are Set objects or null.
 */
export async function select(
  _nfds: number,
  readfds: fd_set | null,
  writefds: fd_set | null = null,
  exceptfds: fd_set | null = null,
  timeout: TIMEVAL | null = null,
  { signal }: Waiting = {},
): Promise<number> {
  const sets = [readfds, writefds, exceptfds];
  if (sets.some((set) => set !== null && !(set instanceof Set))) throw new WSAError(WSAEFAULT, 'select');
  const members = sets.map((set) => [...(set ?? [])].map((s) => [s, SOCKET.reveal(s, 'select')] as const));
  if (members.every(({ length }) => length === 0)) throw new WSAError(WSAEINVAL, 'select');
  const milliseconds = timeout === null ? Number.POSITIVE_INFINITY : timeout.tv_sec * 1000 + timeout.tv_usec / 1000;
  if (!(milliseconds >= 0)) throw new WSAError(WSAEINVAL, 'select');
  const isReady = [
    (record: SocketRecord) => (record.conditions & readReady) !== 0,
    (record: SocketRecord) => (record.conditions & writeReady) !== 0,
    (record: SocketRecord) => (record.conditions & FD_OOB) !== 0 || hasFailed(record),
  ];
  const ready = (): SOCKET[][] =>
    members.map((pairs, i) => pairs.filter(([, record]) => record.closed || isReady[i]!(record)).map(([s]) => s));
  const count = (): number => ready().reduce((sum, { length }) => sum + length, 0);
  const records = members.flat().map(([, record]) => record);
  const some = (): number => count() || -1;
  await waitUntil('select', some, 0, milliseconds, signal, (wake) => watch(records, wake));
  for (const { closed } of records) if (closed) throw new WSAError(WSAENOTSOCK, 'select');
  const found = ready();
  for (const [i, set] of sets.entries()) {
    set?.clear();
    for (const s of found[i]!) set?.add(s);
  }
  return found.reduce((sum, { length }) => sum + length, 0);
}

/** The same for one array: sets `revents` of each, resolves with how many are not 0. `timeout`: milliseconds, below 0: never. */
export async function WSAPoll(
  fdArray: readonly WSAPOLLFD[],
  timeout: number,
  { signal }: Waiting = {},
): Promise<number> {
  if (!Array.isArray(fdArray) || fdArray.length === 0) throw new WSAError(WSAEINVAL, 'WSAPoll');
  for (const { events } of fdArray) {
    if ((events & ~(POLLIN | POLLWRNORM)) !== 0) throw new WSAError(WSAEINVAL, 'WSAPoll');
  }
  const records = fdArray.map(({ fd }) => SOCKET.peek(fd));
  const ask = (): number => {
    let count = 0;
    for (const [i, entry] of fdArray.entries()) {
      entry.revents = answer(records[i]!, entry.events);
      if (entry.revents !== 0) count++;
    }
    return count === 0 ? -1 : count;
  };
  const open = records.filter((record) => record !== null);
  return waitUntil('WSAPoll', ask, 0, timeout < 0 ? Number.POSITIVE_INFINITY : timeout, signal, (wake) =>
    watch(open, wake),
  );
}

function answer(record: SocketRecord | null, events: number): number {
  if (record === null || record.closed) return POLLNVAL;
  const { conditions, transfer } = record;
  let revents = 0;
  if ((conditions & (FD_READ | FD_ACCEPT)) !== 0) revents |= events & POLLRDNORM;
  if ((conditions & FD_OOB) !== 0) revents |= events & POLLRDBAND;
  if ((conditions & FD_WRITE) !== 0) revents |= events & POLLWRNORM;
  // These are told unasked.
  if ((conditions & FD_CLOSE) !== 0) revents |= POLLHUP;
  if (hasFailed(record) || (transfer !== null && transfer.error !== 0)) revents |= POLLERR;
  return revents;
}
