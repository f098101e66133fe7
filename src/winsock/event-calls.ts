/** Calls by which programs learn what has happened: event objects, network events, overlapped results, and waiting for them. */

import {
  FD_ACCEPT,
  FD_CLOSE,
  FD_CONNECT,
  FD_OOB,
  FD_READ,
  FD_WRITE,
  WSAEINVAL,
  type WSANETWORKEVENTS,
} from '../spi/index.js';
import { FD_ADDRESS_LIST_CHANGE } from './constants.js';
import { WSAError } from './error.js';
import { WSAEVENT } from './event.js';
import { NetworkEvents } from './network-events.js';
import { type OverlappedResult, overlappedResult, WSAOVERLAPPED, waitForOverlapped } from './overlapped.js';
import { SOCKET } from './socket.js';

export { WSACloseEvent, WSACreateEvent, WSAResetEvent, WSASetEvent, WSAWaitForMultipleEvents } from './event.js';
export { select, WSAPoll } from './select.js';

const networkEvents = FD_ACCEPT | FD_CLOSE | FD_CONNECT | FD_OOB | FD_READ | FD_WRITE | FD_ADDRESS_LIST_CHANGE;

/**
 * Has the socket's network events recorded from now on, and `hEventObject` set with each; the socket does not block any more.
 * What is true already is recorded at once. Replaces an earlier call, together with what that has recorded; no events, or
 * null, cancels it. Throws WSAEINVAL or WSA_INVALID_HANDLE.
 */
export function WSAEventSelect(s: SOCKET, hEventObject: WSAEVENT | null, lNetworkEvents: number): void {
  const record = SOCKET.reveal(s, 'WSAEventSelect');
  if ((lNetworkEvents & ~networkEvents) !== 0) throw new WSAError(WSAEINVAL, 'WSAEventSelect');
  if (hEventObject === null && lNetworkEvents !== 0) throw new WSAError(WSAEINVAL, 'WSAEventSelect');
  const event = hEventObject === null ? null : WSAEVENT.check(hEventObject, 'WSAEventSelect');
  record.nonBlocking = true;
  record.selectEvents(event === null || lNetworkEvents === 0 ? null : new NetworkEvents(event, lNetworkEvents));
}

/** What has been recorded since the previous call; resets `hEventObject`, if one is given, in the same step. */
export function WSAEnumNetworkEvents(s: SOCKET, hEventObject: WSAEVENT | null = null): WSANETWORKEVENTS {
  const { events } = SOCKET.reveal(s, 'WSAEnumNetworkEvents');
  if (events === null) throw new WSAError(WSAEINVAL, 'WSAEnumNetworkEvents');
  if (hEventObject !== null) WSAEVENT.check(hEventObject, 'WSAEnumNetworkEvents').reset();
  return events.take();
}

/**
 * The outcome of an overlapped operation on `s`: throws what it has failed with, WSA_IO_INCOMPLETE while it goes on, WSAEINVAL
 * if there was none. With `fWait` it waits: then all of this is a promise.
 */
export function WSAGetOverlappedResult(s: SOCKET, lpOverlapped: WSAOVERLAPPED, fWait: true): Promise<OverlappedResult>;
export function WSAGetOverlappedResult(s: SOCKET, lpOverlapped: WSAOVERLAPPED, fWait?: false): OverlappedResult;
export function WSAGetOverlappedResult(
  s: SOCKET,
  lpOverlapped: WSAOVERLAPPED,
  fWait = false,
): OverlappedResult | Promise<OverlappedResult> {
  if (fWait)
    return new Promise((resolve) =>
      resolve(waitForOverlapped(SOCKET.reveal(s, 'WSAGetOverlappedResult'), lpOverlapped)),
    );
  return overlappedResult(SOCKET.reveal(s, 'WSAGetOverlappedResult'), lpOverlapped);
}

/**
 * Cancels the operation, or all that go on on the socket; they end with WSA_OPERATION_ABORTED. Of a send that has begun
 * nobody knows how much has left, so the connection is lost. False: there was nothing to cancel.
 */
export function CancelIoEx(s: SOCKET, lpOverlapped: WSAOVERLAPPED | null = null): boolean {
  const record = SOCKET.reveal(s, 'CancelIoEx');
  if (lpOverlapped !== null) {
    return WSAOVERLAPPED.cancel(lpOverlapped, record);
  }
  let cancelled = false;
  for (const overlapped of [...record.overlapped].reverse())
    cancelled = WSAOVERLAPPED.cancel(overlapped, record) || cancelled;
  return cancelled;
}
