/**
 * Overlapped operations: a call that waits, started for a WSAOVERLAPPED. The call returns at once; the end is told by the
 * record's event object or by a completion routine, and by WSAGetOverlappedResult.
 */

import { WSA_IO_INCOMPLETE, WSA_IO_PENDING, WSAEFAULT, WSAEINVAL, WSS_OPERATION_IN_PROGRESS } from '../spi/index.js';
import { WSAError } from './error.js';
import { WSAEVENT } from './event.js';
import type { Outcome } from './pending.js';

/** Called in a later turn when the operation is over. `dwError`: 0 or a Winsock error. */
export type CompletionRoutine = (
  dwError: number,
  cbTransferred: number,
  lpOverlapped: WSAOVERLAPPED,
  dwFlags: number,
) => void;

/** What WSAGetOverlappedResult tells. */
export interface OverlappedResult {
  /** Bytes. */
  readonly cbTransfer: number;
  /** MSG_OOB for received urgent data. */
  readonly dwFlags: number;
}

/** The socket that an operation belongs to. */
export interface OperationOwner {
  /** Operations that go on. */
  readonly overlapped: Set<WSAOVERLAPPED>;
}

/** An operation that goes on in the background. */
export interface Running {
  readonly promise: Promise<number>;
  cancel(): void;
}

interface Operation {
  readonly record: OperationOwner;
  readonly syscall: string;
  readonly flags: number;
  running: Running | null;
  /** Never rejected. */
  over: Promise<void>;
  error: unknown;
}

/** One overlapped operation at a time; it can be used again when that is over. */
export class WSAOVERLAPPED {
  /** STATUS_PENDING (0x103) while the operation runs; then 0 or the error. */
  Internal = 0;
  /** Bytes transferred. */
  InternalHigh = 0;
  /** Position in the file of TransmitFile, low and high 32 bits. */
  Offset = 0;
  OffsetHigh = 0;
  /** Set when the operation is over; not if there is a completion routine. */
  hEvent: WSAEVENT | null;
  #operation: Operation | null = null;

  constructor(hEvent: WSAEVENT | null = null) {
    this.hEvent = hEvent;
  }

  /**
   * Starts an operation. Returns 0 if it is over already, which is told in the same ways, else WSA_IO_PENDING. What does not
   * even begin is thrown.
   */
  static start(
    overlapped: WSAOVERLAPPED,
    record: OperationOwner,
    syscall: string,
    flags: number,
    routine: CompletionRoutine | null,
    begin: () => Outcome<number> | Running,
  ): number {
    if (!(overlapped instanceof WSAOVERLAPPED)) throw new WSAError(WSAEFAULT, syscall);
    if (routine !== null && typeof routine !== 'function') throw new WSAError(WSAEFAULT, syscall);
    if (overlapped.#operation !== null && overlapped.#operation.running !== null)
      throw new WSAError(WSAEINVAL, syscall);
    const event = overlapped.hEvent === null ? null : WSAEVENT.check(overlapped.hEvent, syscall);
    const started = begin();
    const operation: Operation = { record, syscall, flags, running: null, over: Promise.resolve(), error: null };
    overlapped.#operation = operation;
    overlapped.Internal = WSS_OPERATION_IN_PROGRESS;
    overlapped.InternalHigh = 0;
    const complete = (bytes: number, error: unknown): void => {
      operation.running = null;
      operation.error = error;
      record.overlapped.delete(overlapped);
      const dwError = error === null ? 0 : error instanceof WSAError ? error.number : WSAEFAULT;
      overlapped.InternalHigh = bytes;
      overlapped.Internal = dwError;
      if (routine === null) event?.set();
      else process.nextTick(routine, dwError, bytes, overlapped, flags);
    };
    // A routine is called instead; the event object is the program's own then.
    if (routine === null) event?.reset();
    if (typeof started === 'number') {
      complete(started, null);
      return 0;
    }
    operation.running = started;
    record.overlapped.add(overlapped);
    operation.over = started.promise.then(
      (bytes) => complete(bytes, null),
      (error: unknown) => complete(0, error),
    );
    return WSA_IO_PENDING;
  }

  static operationOf(overlapped: WSAOVERLAPPED, record: OperationOwner, syscall: string): Operation {
    const operation = overlapped instanceof WSAOVERLAPPED ? overlapped.#operation : null;
    if (operation === null || operation.record !== record) throw new WSAError(WSAEINVAL, syscall);
    return operation;
  }

  /** Cancels the operation; false if it is over or cancelled already. */
  static cancel(overlapped: WSAOVERLAPPED, record: OperationOwner): boolean {
    if (!record.overlapped.delete(overlapped)) return false;
    overlapped.#operation?.running?.cancel();
    return true;
  }
}

/** What the operation has transferred; throws what it has failed with, or WSA_IO_INCOMPLETE. */
export function overlappedResult(record: OperationOwner, overlapped: WSAOVERLAPPED): OverlappedResult {
  const operation = WSAOVERLAPPED.operationOf(overlapped, record, 'WSAGetOverlappedResult');
  if (operation.running !== null) throw new WSAError(WSA_IO_INCOMPLETE, 'WSAGetOverlappedResult');
  if (operation.error !== null) throw operation.error;
  return { cbTransfer: overlapped.InternalHigh, dwFlags: operation.flags };
}

export async function waitForOverlapped(record: OperationOwner, overlapped: WSAOVERLAPPED): Promise<OverlappedResult> {
  await WSAOVERLAPPED.operationOf(overlapped, record, 'WSAGetOverlappedResult').over;
  return overlappedResult(record, overlapped);
}

/** An asynchronous function as an operation. */
export function running(begin: (signal: AbortSignal) => Promise<number>): Running {
  const controller = new AbortController();
  return { promise: begin(controller.signal), cancel: () => controller.abort() };
}
