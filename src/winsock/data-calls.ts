/** Calls that move data. */

import {
  FD_OOB,
  FD_READ,
  FD_WRITE,
  MSG_OOB,
  MSG_PARTIAL,
  MSG_PEEK,
  MSG_WAITALL,
  SOL_SOCKET,
  WSAEFAULT,
  WSAEINVAL,
  WSAEOPNOTSUPP,
  WSAETIMEDOUT,
  WSAEWOULDBLOCK,
} from '../spi/index.js';
import {
  MSG_DONTROUTE,
  MSG_PUSH_IMMEDIATE,
  SO_RCVTIMEO,
  SO_SNDTIMEO,
  TF_DISCONNECT,
  TF_REUSE_SOCKET,
  TF_WRITE_BEHIND,
} from './constants.js';
import { disconnect } from './disconnect.js';
import { WSAError } from './error.js';
import { launch } from './launch.js';
import { type CompletionRoutine, WSAOVERLAPPED } from './overlapped.js';
import { type Outcome, Pending, promiseOf, type Waiting } from './pending.js';
import { SOCKET, type SocketRecord } from './socket.js';
import { type HANDLE, type TRANSMIT_FILE_BUFFERS, transmitSource } from './transmit-file.js';

/** Bytes in memory: what len and buf of a WSABUF are. */
export type WSABUF = Uint8Array;

const sendFlags = MSG_OOB | MSG_DONTROUTE;
const receiveFlags = MSG_OOB | MSG_PEEK | MSG_WAITALL | MSG_PARTIAL | MSG_PUSH_IMMEDIATE;

function checkedBuffers(buffers: WSABUF | readonly WSABUF[], syscall: string): readonly Uint8Array[] {
  if (buffers instanceof Uint8Array) return [buffers];
  if (!Array.isArray(buffers) || !buffers.every((buffer) => buffer instanceof Uint8Array)) {
    throw new WSAError(WSAEFAULT, syscall);
  }
  if (buffers.length === 0) throw new WSAError(WSAEINVAL, syscall);
  return buffers;
}

function checkFlags(flags: number, known: number, syscall: string): void {
  if ((flags & ~known) !== 0) throw new WSAError(WSAEOPNOTSUPP, syscall);
}

/** A blocking call ends with WSAETIMEDOUT after the time that the option says. */
function withTimeout(record: SocketRecord, option: number, outcome: Outcome<number>): Promise<number> {
  const milliseconds = record.option(SOL_SOCKET, option) ?? 0;
  if (milliseconds > 0 && outcome instanceof Pending) {
    outcome.onsettled = record.host.scheduler.later(() => outcome.expire(WSAETIMEDOUT), milliseconds);
  }
  return promiseOf(outcome);
}

function beginSend(
  record: SocketRecord,
  syscall: string,
  buffers: readonly Uint8Array[],
  flags: number,
  nonBlocking: boolean,
  signal: AbortSignal | undefined,
): Outcome<number> {
  checkFlags(flags, sendFlags, syscall);
  try {
    return record.operate(syscall, nonBlocking, signal, (own) =>
      record.connection(syscall).send(syscall, buffers, flags, nonBlocking, own),
    );
  } catch (error) {
    if (error instanceof WSAError && error.number === WSAEWOULDBLOCK) record.events?.enable(FD_WRITE);
    throw error;
  }
}

function beginReceive(
  record: SocketRecord,
  syscall: string,
  buffers: readonly Uint8Array[],
  flags: number,
  nonBlocking: boolean,
  signal: AbortSignal | undefined,
): Outcome<number> {
  checkFlags(flags, receiveFlags, syscall);
  if ((flags & MSG_WAITALL) !== 0 && (nonBlocking || (flags & MSG_PEEK) !== 0)) {
    throw new WSAError(WSAEOPNOTSUPP, syscall);
  }
  try {
    return record.operate(syscall, nonBlocking, signal, (own) =>
      record.connection(syscall).recv(syscall, buffers, flags, nonBlocking, own),
    );
  } finally {
    if (record.events !== null) record.enableEvents((flags & MSG_OOB) === 0 ? FD_READ : FD_OOB);
  }
}

/**
 * Sends all of `buf`, and resolves with its length when it is taken or written; until then it must stay as it is, except on
 * a socket that does not block. With MSG_OOB its last byte is urgent.
 */
export async function send(s: SOCKET, buf: Uint8Array, flags = 0, { signal }: Waiting = {}): Promise<number> {
  const record = SOCKET.reveal(s, 'send');
  const buffers = checkedBuffers(buf, 'send');
  return withTimeout(record, SO_SNDTIMEO, beginSend(record, 'send', buffers, flags, record.nonBlocking, signal));
}

/**
 * Receives at least one byte into `buf`, or 0 when the peer has ended its sending. MSG_WAITALL: as many as there is room for,
 * unless the data ends before, or urgent data comes. MSG_PEEK: they stay to be received. MSG_OOB: the urgent byte.
 */
export async function recv(s: SOCKET, buf: Uint8Array, flags = 0, { signal }: Waiting = {}): Promise<number> {
  const record = SOCKET.reveal(s, 'recv');
  const buffers = checkedBuffers(buf, 'recv');
  return withTimeout(record, SO_RCVTIMEO, beginReceive(record, 'recv', buffers, flags, record.nonBlocking, signal));
}

/** Sends several buffers, in order, as one. Like `send` otherwise. */
export function WSASend(
  s: SOCKET,
  lpBuffers: WSABUF | readonly WSABUF[],
  dwFlags?: number,
  options?: Waiting,
): Promise<number>;
/**
 * The same as an overlapped operation, whether the socket blocks or not: returns 0 if it is done already, else WSA_IO_PENDING.
 * Buffers must stay as they are until it is over.
 */
export function WSASend(
  s: SOCKET,
  lpBuffers: WSABUF | readonly WSABUF[],
  dwFlags: number,
  lpOverlapped: WSAOVERLAPPED,
  lpCompletionRoutine?: CompletionRoutine | null,
): number;
export function WSASend(
  s: SOCKET,
  lpBuffers: WSABUF | readonly WSABUF[],
  dwFlags = 0,
  target: Waiting | WSAOVERLAPPED = {},
  lpCompletionRoutine: CompletionRoutine | null = null,
): Promise<number> | number {
  return transferCall('WSASend', s, lpBuffers, dwFlags, target, lpCompletionRoutine, beginSend, SO_SNDTIMEO);
}

/** Receives into several buffers, in order, as into one. Like `recv` otherwise. */
export function WSARecv(
  s: SOCKET,
  lpBuffers: WSABUF | readonly WSABUF[],
  dwFlags?: number,
  options?: Waiting,
): Promise<number>;
/** The same as an overlapped operation; see WSASend. Several are served in the order of their calls. */
export function WSARecv(
  s: SOCKET,
  lpBuffers: WSABUF | readonly WSABUF[],
  dwFlags: number,
  lpOverlapped: WSAOVERLAPPED,
  lpCompletionRoutine?: CompletionRoutine | null,
): number;
export function WSARecv(
  s: SOCKET,
  lpBuffers: WSABUF | readonly WSABUF[],
  dwFlags = 0,
  target: Waiting | WSAOVERLAPPED = {},
  lpCompletionRoutine: CompletionRoutine | null = null,
): Promise<number> | number {
  return transferCall('WSARecv', s, lpBuffers, dwFlags, target, lpCompletionRoutine, beginReceive, SO_RCVTIMEO);
}

function transferCall(
  syscall: string,
  s: SOCKET,
  lpBuffers: WSABUF | readonly WSABUF[],
  flags: number,
  target: Waiting | WSAOVERLAPPED,
  routine: CompletionRoutine | null,
  begin: typeof beginSend,
  timeout: number,
): Promise<number> | number {
  if (target instanceof WSAOVERLAPPED) {
    const record = SOCKET.reveal(s, syscall);
    const buffers = checkedBuffers(lpBuffers, syscall);
    return WSAOVERLAPPED.start(target, record, syscall, flags & MSG_OOB, routine, () =>
      begin(record, syscall, buffers, flags, false, undefined),
    );
  }
  return new Promise((resolve) => {
    const record = SOCKET.reveal(s, syscall);
    const buffers = checkedBuffers(lpBuffers, syscall);
    const outcome = begin(record, syscall, buffers, flags, record.nonBlocking, target.signal);
    resolve(withTimeout(record, timeout, outcome));
  });
}

/**
 * Sends the head, `nNumberOfBytesToWrite` bytes (0: all that follow) of an open file, and the tail, without anything of other
 * sends in between; resolves with how many bytes. The file may be null. With a WSAOVERLAPPED it is read from Offset and
 * OffsetHigh, else from where it stands. TF_DISCONNECT ends the sending then, TF_REUSE_SOCKET makes the socket one that can
 * be connected again, as DisconnectEx does.
 */
export function TransmitFile(
  hSocket: SOCKET,
  hFile: HANDLE | null,
  nNumberOfBytesToWrite?: number,
  nNumberOfBytesPerSend?: number,
  lpOverlapped?: null,
  lpTransmitBuffers?: TRANSMIT_FILE_BUFFERS | null,
  dwReserved?: number,
  options?: Waiting,
): Promise<number>;
export function TransmitFile(
  hSocket: SOCKET,
  hFile: HANDLE | null,
  nNumberOfBytesToWrite: number,
  nNumberOfBytesPerSend: number,
  lpOverlapped: WSAOVERLAPPED,
  lpTransmitBuffers?: TRANSMIT_FILE_BUFFERS | null,
  dwReserved?: number,
): number;
export function TransmitFile(
  hSocket: SOCKET,
  hFile: HANDLE | null,
  nNumberOfBytesToWrite = 0,
  nNumberOfBytesPerSend = 0,
  lpOverlapped: WSAOVERLAPPED | null = null,
  lpTransmitBuffers: TRANSMIT_FILE_BUFFERS | null = null,
  dwReserved = 0,
  options: Waiting = {},
): Promise<number> | number {
  const syscall = 'TransmitFile';
  return launch(syscall, hSocket, lpOverlapped ?? options, (record, signal) => {
    if ((dwReserved & ~(TF_DISCONNECT | TF_REUSE_SOCKET | TF_WRITE_BEHIND)) !== 0) {
      throw new WSAError(WSAEINVAL, syscall);
    }
    const position = lpOverlapped === null ? null : lpOverlapped.OffsetHigh * 0x1_0000_0000 + lpOverlapped.Offset;
    const part = { file: hFile, length: nNumberOfBytesToWrite, bytesPerSend: nNumberOfBytesPerSend, position };
    const source = transmitSource(part, lpTransmitBuffers ?? {});
    const sent = promiseOf(
      record.operate(syscall, false, signal, (own) => record.connection(syscall).sendSource(syscall, source, own)),
    );
    if ((dwReserved & (TF_DISCONNECT | TF_REUSE_SOCKET)) === 0) return sent;
    const reuse = (dwReserved & TF_REUSE_SOCKET) !== 0;
    return sent.then((bytes) => disconnect(syscall, record, reuse, signal).then(() => bytes));
  });
}
