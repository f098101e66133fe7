/** Control codes of sockets. None of them goes to a SAN provider (WSD-OPT-1, WSD-TBL-8, WSD-EXT-1). */

import {
  IPPROTO_TCP,
  type Out,
  SIO_ADDRESS_LIST_QUERY,
  SIO_GET_EXTENSION_FUNCTION_POINTER,
  SIO_GET_GROUP_QOS,
  SIO_GET_QOS,
  SIO_SET_GROUP_QOS,
  SIO_SET_QOS,
  SO_KEEPALIVE,
  SOL_SOCKET,
  WSA_OPERATION_ABORTED,
  WSAEFAULT,
  WSAEINVAL,
  WSAEOPNOTSUPP,
  WSAEWOULDBLOCK,
} from '../spi/index.js';
import {
  FD_ADDRESS_LIST_CHANGE,
  FIONBIO,
  FIONREAD,
  SIO_KEEPALIVE_VALS,
  SIOCATMARK,
  TCP_KEEPIDLE,
  TCP_KEEPINTVL,
} from './constants.js';
import { WSAError } from './error.js';
import { setOption } from './options.js';
import { Pending } from './pending.js';
import type { SocketRecord } from './socket.js';

/** Input of SIO_KEEPALIVE_VALS. */
export interface tcp_keepalive {
  readonly onoff: boolean | number;
  /** Milliseconds without traffic before the first probe. */
  readonly keepalivetime: number;
  /** Milliseconds between probes. */
  readonly keepaliveinterval: number;
}

/** Milliseconds between two looks at the host's addresses where nobody tells of changes. */
const addressPeriod = 1000;

/** FIONBIO, FIONREAD and SIOCATMARK. */
export function control(record: SocketRecord, command: number, argument: number | boolean, syscall: string): number {
  switch (command) {
    case FIONBIO:
      // WSAEventSelect has made it nonblocking, and wants it so.
      if (Number(argument) === 0 && record.events !== null) throw new WSAError(WSAEINVAL, syscall);
      record.nonBlocking = Number(argument) !== 0;
      return Number(record.nonBlocking);
    case FIONREAD:
      return record.transfer?.available ?? 0;
    case SIOCATMARK:
      return Number(record.transfer?.isAtMark ?? true);
    default:
      throw new WSAError(WSAEINVAL, syscall);
  }
}

/** What TCP/IP answers: the host's addresses, and that there is no quality of service (WSD-OPT-8). */
const answeredByTcpip: ReadonlySet<number> = new Set([
  SIO_ADDRESS_LIST_QUERY,
  SIO_GET_QOS,
  SIO_GET_GROUP_QOS,
  SIO_SET_QOS,
  SIO_SET_GROUP_QOS,
]);

export function ioctl(
  record: SocketRecord,
  code: number,
  input: unknown,
  extensions: ReadonlyMap<string, unknown>,
): unknown {
  const syscall = 'WSAIoctl';
  if (answeredByTcpip.has(code)) return askTcpip(record, code);
  if (code === FIONBIO || code === FIONREAD || code === SIOCATMARK) {
    return control(record, code, typeof input === 'boolean' ? input : Number(input ?? 0), syscall);
  }
  if (code === SIO_GET_EXTENSION_FUNCTION_POINTER) {
    const found = extensions.get(String(input).toUpperCase());
    if (found === undefined) throw new WSAError(WSAEINVAL, syscall);
    return found;
  }
  if (code === SIO_KEEPALIVE_VALS) return setKeepAlive(record, input as tcp_keepalive);
  throw new WSAError(WSAEOPNOTSUPP, syscall);
}

function askTcpip(record: SocketRecord, code: number): unknown {
  const out: Out<unknown> = { value: null };
  const errno: Out<number> = { value: 0 };
  if (record.host.tcpip.WSPIoctl(record.descriptor, code, out, errno) === 0) return out.value;
  throw new WSAError(errno.value, 'WSAIoctl');
}

function setKeepAlive(record: SocketRecord, input: tcp_keepalive): undefined {
  if (typeof input !== 'object' || input === null) throw new WSAError(WSAEFAULT, 'WSAIoctl');
  const { onoff, keepalivetime, keepaliveinterval } = input;
  if (!(keepalivetime > 0 && keepaliveinterval > 0)) throw new WSAError(WSAEINVAL, 'WSAIoctl');
  setOption(record, SOL_SOCKET, SO_KEEPALIVE, onoff);
  setOption(record, IPPROTO_TCP, TCP_KEEPIDLE, Math.ceil(keepalivetime / 1000));
  setOption(record, IPPROTO_TCP, TCP_KEEPINTVL, Math.ceil(keepaliveinterval / 1000));
}

/**
 * SIO_ADDRESS_LIST_CHANGE: over when the host's addresses have changed. On a socket that does not block it is
 * WSAEWOULDBLOCK, and FD_ADDRESS_LIST_CHANGE tells.
 */
export function addressListChange(record: SocketRecord, nonBlocking: boolean, signal?: AbortSignal): Pending<number> {
  if (nonBlocking) {
    watchOnce(record, (wsaError) => {
      if (wsaError === 0) record.changed(FD_ADDRESS_LIST_CHANGE, 0);
    });
    throw new WSAError(WSAEWOULDBLOCK, 'WSAIoctl');
  }
  const pending = new Pending<number>('WSAIoctl', signal, () => stop());
  const stop = watchOnce(record, (wsaError) => {
    if (wsaError === 0) pending.resolve(0);
    else pending.reject(wsaError);
  });
  return pending;
}

/** Tells once: 0 after a change, or WSA_OPERATION_ABORTED if the socket is closed before. Returns what ends the waiting. */
function watchOnce(record: SocketRecord, over: (wsaError: number) => void): () => void {
  const { tcpip, scheduler } = record.host;
  const end = (wsaError: number): void => {
    stop();
    over(wsaError);
  };
  const closed = (): void => {
    if (record.closed) end(WSA_OPERATION_ABORTED);
  };
  const told = tcpip.watchAddressList(() => end(0)) ?? look();
  record.watchers.add(closed);
  const stop = (): void => {
    told();
    record.watchers.delete(closed);
  };
  return stop;

  /** Where nobody tells of changes. */
  function look(): () => void {
    const before = tcpip.addressListVersion();
    let cancel = (): void => {};
    const again = (): void => {
      cancel = scheduler.later(() => (tcpip.addressListVersion() === before ? again() : end(0)), addressPeriod);
    };
    again();
    return () => cancel();
  }
}
