/** DisconnectEx, and what TransmitFile does with TF_DISCONNECT and TF_REUSE_SOCKET. */

import { WSA_OPERATION_ABORTED, WSAESHUTDOWN } from '../spi/index.js';
import { WSAError } from './error.js';
import { checkSignal, Pending, promiseOf } from './pending.js';
import type { SocketRecord } from './socket.js';
import type { Transfer } from './transfer.js';

/** Room for what comes between our end and the peer's, and nobody wants. */
const scratchSize = 65_536;

/** Resolves with 0 when the end is sent. */
export function disconnecting(syscall: string, record: SocketRecord, signal: AbortSignal | undefined): Pending<number> {
  checkSignal(syscall, signal);
  const transfer = record.connection(syscall);
  const pending = new Pending<number>(syscall, signal, () => {});
  transfer.shutdownSend();
  transfer.afterShutdown(() => {
    if (transfer.error === 0) pending.resolve(0);
    else pending.reject(transfer.error);
  });
  return pending;
}

/** The same; with `reuse`, when the peer has ended too and the socket can be used again. */
export function disconnect(
  syscall: string,
  record: SocketRecord,
  reuse: boolean,
  signal: AbortSignal | undefined,
): Promise<number> {
  if (!reuse) return disconnecting(syscall, record, signal).promise;
  checkSignal(syscall, signal);
  const transfer = record.connection(syscall);
  const pending = new Pending<number>(syscall, signal, () => {});
  transfer.shutdownSend();
  transfer.afterShutdown(() => pending.resolve(0));
  return pending.promise.then(() => reuseSocket(syscall, record, transfer, signal));
}

async function reuseSocket(
  syscall: string,
  record: SocketRecord,
  transfer: Transfer,
  signal: AbortSignal | undefined,
): Promise<number> {
  const scratch = Buffer.allocUnsafe(scratchSize);
  try {
    while ((await promiseOf(transfer.recv(syscall, [scratch], 0, false, signal))) > 0);
  } catch (error) {
    // Shut down or lost, it is over as well.
    const over = error instanceof WSAError && (error.number === WSAESHUTDOWN || transfer.error !== 0);
    if (!over || record.closed) throw error;
  }
  if (record.closed) throw new WSAError(WSA_OPERATION_ABORTED, syscall);
  record.recycle(syscall);
  return 0;
}
