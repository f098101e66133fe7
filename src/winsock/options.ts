/** Socket options and controls. Only those that accepting, connecting and closing need; others are WSAENOPROTOOPT. */

import {
  IPPROTO_TCP,
  type Out,
  SIO_ADDRESS_LIST_QUERY,
  SO_ERROR,
  SO_KEEPALIVE,
  SO_LINGER,
  SO_TYPE,
  SOCK_STREAM,
  type SOCKET_ADDRESS_LIST,
  SOL_SOCKET,
  TCP_NODELAY,
  WSAEFAULT,
  WSAEINVAL,
  WSAENOPROTOOPT,
  WSAEOPNOTSUPP,
  type WSAPROTOCOL_INFO,
} from '../spi/index.js';
import {
  FIONBIO,
  FIONREAD,
  NOT_CONNECTED,
  SO_ACCEPTCONN,
  SO_CONDITIONAL_ACCEPT,
  SO_CONNECT_TIME,
  SO_DONTLINGER,
  SO_PROTOCOL_INFO,
  SO_UPDATE_ACCEPT_CONTEXT,
} from './constants.js';
import { WSAError } from './error.js';
import type { LINGER, SocketRecord } from './socket.js';

export type OptionValue = number | boolean | LINGER;

function flag(value: OptionValue, syscall: string): number {
  if (typeof value === 'boolean' || typeof value === 'number') return Number(value) === 0 ? 0 : 1;
  throw new WSAError(WSAEFAULT, syscall);
}

export function setOption(record: SocketRecord, level: number, name: number, value: OptionValue): void {
  const syscall = 'setsockopt';
  if ((level === IPPROTO_TCP && name === TCP_NODELAY) || (level === SOL_SOCKET && name === SO_KEEPALIVE)) {
    const option = { level, name, value: flag(value, syscall) };
    record.options.set(`${level} ${name}`, option);
    // A companion that is made later gets it too (WSD-SOC-17).
    record.san?.setOption(level, name, option.value);
    record.applyOption(option);
  } else if (level === SOL_SOCKET && name === SO_CONDITIONAL_ACCEPT) {
    if (record.listener !== null) throw new WSAError(WSAEINVAL, syscall);
    record.conditional = flag(value, syscall) === 1;
  } else if (level === SOL_SOCKET && name === SO_LINGER) {
    record.lingering = linger(value);
  } else if (level === SOL_SOCKET && name === SO_DONTLINGER) {
    record.lingering = { l_onoff: flag(value, syscall) === 0, l_linger: record.lingering.l_linger };
  } else if (level !== SOL_SOCKET || name !== SO_UPDATE_ACCEPT_CONTEXT) {
    throw new WSAError(WSAENOPROTOOPT, syscall);
  }
}

function linger(value: OptionValue): LINGER {
  if (typeof value !== 'object' || value === null) throw new WSAError(WSAEFAULT, 'setsockopt');
  const { l_onoff, l_linger } = value;
  if (!Number.isInteger(l_linger) || l_linger < 0 || l_linger > 0xffff) throw new WSAError(WSAEINVAL, 'setsockopt');
  return { l_onoff: Boolean(l_onoff), l_linger };
}

/** What `getOption` can answer. */
export type OptionAnswer = number | LINGER | WSAPROTOCOL_INFO;

export function getOption(record: SocketRecord, level: number, name: number): OptionAnswer {
  if (level === IPPROTO_TCP && name === TCP_NODELAY) return stored(record, level, name);
  if (level === SOL_SOCKET) {
    switch (name) {
      case SO_KEEPALIVE:
        return stored(record, level, name);
      case SO_TYPE:
        return SOCK_STREAM;
      case SO_ACCEPTCONN:
        return Number(record.listener !== null);
      case SO_CONDITIONAL_ACCEPT:
        return Number(record.conditional);
      case SO_LINGER:
        return record.lingering;
      case SO_DONTLINGER:
        return Number(!record.lingering.l_onoff);
      case SO_ERROR: {
        // Reading it clears it.
        const { lastError } = record;
        record.lastError = 0;
        return lastError;
      }
      case SO_CONNECT_TIME:
        return record.connectedAt === null
          ? NOT_CONNECTED
          : Math.floor((record.host.now() - record.connectedAt) / 1000);
      // All providers look like TCP/IP (WSD-COMP-2).
      case SO_PROTOCOL_INFO:
        return { ...record.host.tcpip.protocolInfo, iAddressFamily: record.family };
    }
  }
  throw new WSAError(WSAENOPROTOOPT, 'getsockopt');
}

function stored(record: SocketRecord, level: number, name: number): number {
  return record.options.get(`${level} ${name}`)?.value ?? 0;
}

/** FIONBIO and FIONREAD. */
export function control(record: SocketRecord, command: number, argument: number | boolean): number {
  if (command === FIONBIO) {
    record.nonBlocking = Number(argument) !== 0;
    return Number(record.nonBlocking);
  }
  if (command === FIONREAD) return record.transfer?.available ?? 0;
  throw new WSAError(WSAEINVAL, 'ioctlsocket');
}

/** SIO_ADDRESS_LIST_QUERY, which TCP/IP answers (WSD-TBL-8). */
export function ioctl(record: SocketRecord, code: number): SOCKET_ADDRESS_LIST {
  if (code !== SIO_ADDRESS_LIST_QUERY) throw new WSAError(WSAEOPNOTSUPP, 'WSAIoctl');
  const out: Out<unknown> = { value: null };
  const errno: Out<number> = { value: 0 };
  if (record.host.tcpip.WSPIoctl(record.descriptor, code, out, errno) !== 0)
    throw new WSAError(errno.value, 'WSAIoctl');
  return out.value as SOCKET_ADDRESS_LIST;
}
