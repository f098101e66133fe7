/** AcceptEx: accepts into a socket that there is already, and receives the first data with it if it is asked to. */

import { type SOCKADDR, WSA_OPERATION_ABORTED, WSAEFAULT, WSAEINVAL } from '../spi/index.js';
import { acceptOn } from './accepting.js';
import { WSAError } from './error.js';
import { AcceptCall, type Accepted } from './listener.js';
import { checkSignal, promiseOf, type Waiting } from './pending.js';
import { addressSize, readAddress, writeAddress } from './sockaddr.js';
import type { SocketRecord } from './socket.js';

export interface AcceptExOptions extends Waiting {
  /**
   * Milliseconds for which a connected peer may send nothing, where a receive buffer is given; default 30,000. Then its
   * connection is reset, and the call waits for another one.
   */
  readonly idleLimit?: number | undefined;
}

/** Where AcceptEx writes: data, then two addresses, each with 16 bytes to spare. */
export interface AcceptExBuffer {
  readonly bytes: Uint8Array;
  readonly receiveLength: number;
  readonly localLength: number;
  readonly remoteLength: number;
}

const defaultIdleLimit = 30_000;
const idleLimitMax = 0x7fffffff;
/** More than the address itself, as Windows wants it. */
const spare = 16;
const syscall = 'AcceptEx';

function check({ bytes, receiveLength, localLength, remoteLength }: AcceptExBuffer, family: number): void {
  const needed = addressSize(family) + spare;
  const lengths = [receiveLength, localLength, remoteLength];
  const fits = lengths.every(Number.isInteger) && receiveLength >= 0 && localLength >= needed && remoteLength >= needed;
  if (!(bytes instanceof Uint8Array) || !fits || bytes.length < receiveLength + localLength + remoteLength) {
    throw new WSAError(WSAEFAULT, syscall);
  }
}

/** Bytes received. */
export function acceptEx(
  listening: SocketRecord,
  accepting: SocketRecord,
  buffer: AcceptExBuffer,
  { signal, idleLimit = defaultIdleLimit }: AcceptExOptions,
): Promise<number> {
  checkSignal(syscall, signal);
  if (!accepting.unused || accepting.family !== listening.family) throw new WSAError(WSAEINVAL, syscall);
  if (!(idleLimit > 0 && idleLimit <= idleLimitMax)) throw new WSAError(WSAEINVAL, syscall);
  check(buffer, listening.family);
  return acceptInto(listening, accepting, buffer, signal, idleLimit);
}

async function acceptInto(
  listening: SocketRecord,
  accepting: SocketRecord,
  buffer: AcceptExBuffer,
  signal: AbortSignal | undefined,
  idleLimit: number,
): Promise<number> {
  const closed = new AbortController();
  const cancelled = signal === undefined ? closed.signal : AbortSignal.any([signal, closed.signal]);
  accepting.onclosed = () => closed.abort();
  try {
    for (;;) {
      if (cancelled.aborted) throw new WSAError(WSA_OPERATION_ABORTED, syscall, cancelled.reason);
      const accepted = await acceptOn(
        listening,
        syscall,
        false,
        cancelled,
        (listener, signal) => new AcceptCall(syscall, signal, null, null, (own) => listener.cancel(own)),
      );
      const received = await receive(listening, accepting, accepted, buffer, cancelled, idleLimit);
      if (received === null) continue;
      const { bytes, receiveLength, localLength } = buffer;
      writeAddress(bytes, receiveLength, accepting.local!);
      writeAddress(bytes, receiveLength + localLength, accepting.peer!);
      return received;
    }
  } finally {
    accepting.onclosed = null;
  }
}

/** Bytes of the first data (WSD-ACC-27), 0 if none is wanted, or null if the peer sent nothing for too long. */
async function receive(
  listening: SocketRecord,
  accepting: SocketRecord,
  accepted: Accepted,
  { bytes, receiveLength }: AcceptExBuffer,
  cancelled: AbortSignal,
  idleLimit: number,
): Promise<number | null> {
  if (cancelled.aborted) {
    accepted.stream.reset();
    throw new WSAError(WSA_OPERATION_ABORTED, syscall, cancelled.reason);
  }
  accepting.establishAccepted(listening, accepted);
  if (receiveLength === 0) return 0;
  const transfer = accepting.transfer!;
  const idle = new AbortController();
  const stopTimer = listening.host.scheduler.later(() => idle.abort(), idleLimit);
  try {
    const first = bytes.subarray(0, receiveLength);
    return await promiseOf(transfer.recv(syscall, [first], 0, false, AbortSignal.any([cancelled, idle.signal])));
  } catch (error) {
    // WSD-ACC-28: the accepting SAN socket is closed.
    transfer.reset();
    accepting.disestablish();
    if (cancelled.aborted || !idle.signal.aborted) throw error;
    return null;
  } finally {
    stopTimer();
  }
}

/** The two addresses that AcceptEx has written. */
export function acceptExAddresses({ bytes, receiveLength, localLength, remoteLength }: AcceptExBuffer): {
  local: SOCKADDR;
  remote: SOCKADDR;
} {
  if (bytes.length < receiveLength + localLength + remoteLength) throw new WSAError(WSAEFAULT, 'GetAcceptExSockaddrs');
  const local = readAddress(bytes, receiveLength);
  const remote = readAddress(bytes, receiveLength + localLength);
  if (local === null || remote === null) throw new WSAError(WSAEINVAL, 'GetAcceptExSockaddrs');
  return { local, remote };
}
