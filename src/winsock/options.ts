/**
 * Socket options. Almost all are the switch's or TCP/IP's (WSD-OPT-1); the two that can be a provider's, SO_DEBUG and
 * SO_GROUP_PRIORITY, are remembered by the switch for the companions it makes (WSD-SOC-17).
 */

import {
  IPPROTO_TCP,
  type Out,
  SO_DEBUG,
  SO_ERROR,
  SO_GROUP_ID,
  SO_GROUP_PRIORITY,
  SO_KEEPALIVE,
  SO_LINGER,
  SO_OOBINLINE,
  SO_RCVBUF,
  SO_RDMA_THRESHOLD_SIZE,
  SO_REUSEADDR,
  SO_SNDBUF,
  SO_TYPE,
  SOCK_STREAM,
  SOL_SOCKET,
  TCP_NODELAY,
  WSAEFAULT,
  WSAEINVAL,
  WSAENOPROTOOPT,
  type WSAPROTOCOL_INFO,
} from '../spi/index.js';
import {
  NOT_CONNECTED,
  SO_ACCEPTCONN,
  SO_CONDITIONAL_ACCEPT,
  SO_CONNECT_TIME,
  SO_DONTLINGER,
  SO_EXCLUSIVEADDRUSE,
  SO_PROTOCOL_INFO,
  SO_RCVTIMEO,
  SO_SNDTIMEO,
  SO_UPDATE_ACCEPT_CONTEXT,
  SO_UPDATE_CONNECT_CONTEXT,
  TCP_KEEPCNT,
  TCP_KEEPIDLE,
  TCP_KEEPINTVL,
} from './constants.js';
import { WSAError } from './error.js';
import { sendBufferDefault } from './sending.js';
import type { SocketRecord } from './socket.js';
import type { LINGER } from './socket-options.js';
import { receiveBufferDefault } from './transfer.js';

export type OptionValue = number | boolean | LINGER;
/** What `getOption` can answer. */
export type OptionAnswer = number | LINGER | WSAPROTOCOL_INFO;

interface Option {
  get?(record: SocketRecord): OptionAnswer;
  set?(record: SocketRecord, value: OptionValue): void;
}

const syscall = 'setsockopt';
const integerMax = 0x7fffffff;

function flag(value: OptionValue): number {
  if (typeof value === 'boolean' || typeof value === 'number') return Number(value) === 0 ? 0 : 1;
  throw new WSAError(WSAEFAULT, syscall);
}

function integer(value: OptionValue): number {
  if (typeof value !== 'number') throw new WSAError(WSAEFAULT, syscall);
  if (!Number.isInteger(value) || value < 0 || value > integerMax) throw new WSAError(WSAEINVAL, syscall);
  return value;
}

function positive(value: OptionValue): number {
  const number = integer(value);
  if (number === 0) throw new WSAError(WSAEINVAL, syscall);
  return number;
}

/** A number that the record keeps, and that takes effect wherever it means something. */
function kept(level: number, name: number, initial: number, check: (value: OptionValue) => number): Option {
  return {
    get: (record) => record.option(level, name) ?? initial,
    set: (record, value) => record.setOption({ level, name, value: check(value) }),
  };
}

/** One that nobody below can change (WSD-OPT-8). */
function ofTcpip(name: number): Option {
  return {
    get: (record) => {
      const out: Out<number> = { value: 0 };
      const errno: Out<number> = { value: 0 };
      if (record.host.tcpip.WSPGetSockOpt(record.descriptor, SOL_SOCKET, name, out, errno) === 0) return out.value;
      throw new WSAError(errno.value, 'getsockopt');
    },
  };
}

/** SO_REUSEADDR and its opposite: what one is set to, the other cannot be. */
function addressUse(name: number, opposite: number): Option {
  const option = kept(SOL_SOCKET, name, 0, flag);
  return {
    ...option,
    set: (record, value) => {
      if (flag(value) === 1 && record.option(SOL_SOCKET, opposite) === 1) throw new WSAError(WSAEINVAL, syscall);
      if (record.local !== null) throw new WSAError(WSAEINVAL, syscall);
      option.set?.(record, value);
    },
  };
}

const nothing: Option = { set: () => {} };

const socketOptions: ReadonlyMap<number, Option> = new Map<number, Option>([
  [SO_DEBUG, kept(SOL_SOCKET, SO_DEBUG, 0, flag)],
  [SO_GROUP_ID, ofTcpip(SO_GROUP_ID)],
  [SO_GROUP_PRIORITY, { ...kept(SOL_SOCKET, SO_GROUP_PRIORITY, 0, integer), ...ofTcpip(SO_GROUP_PRIORITY) }],
  [SO_KEEPALIVE, kept(SOL_SOCKET, SO_KEEPALIVE, 0, flag)],
  [SO_OOBINLINE, kept(SOL_SOCKET, SO_OOBINLINE, 0, flag)],
  [SO_SNDBUF, kept(SOL_SOCKET, SO_SNDBUF, sendBufferDefault, integer)],
  [SO_RCVBUF, kept(SOL_SOCKET, SO_RCVBUF, receiveBufferDefault, integer)],
  [SO_RDMA_THRESHOLD_SIZE, kept(SOL_SOCKET, SO_RDMA_THRESHOLD_SIZE, integerMax, integer)],
  [SO_SNDTIMEO, kept(SOL_SOCKET, SO_SNDTIMEO, 0, integer)],
  [SO_RCVTIMEO, kept(SOL_SOCKET, SO_RCVTIMEO, 0, integer)],
  [SO_REUSEADDR, addressUse(SO_REUSEADDR, SO_EXCLUSIVEADDRUSE)],
  [SO_EXCLUSIVEADDRUSE, addressUse(SO_EXCLUSIVEADDRUSE, SO_REUSEADDR)],
  [SO_TYPE, { get: () => SOCK_STREAM }],
  [SO_ACCEPTCONN, { get: ({ listener, listensElsewhere }) => Number(listener !== null || listensElsewhere) }],
  // Reading it clears it.
  [SO_ERROR, { get: (record) => record.takeError() }],
  [SO_LINGER, { get: ({ lingering }) => lingering, set: setLinger }],
  [
    SO_DONTLINGER,
    {
      get: ({ lingering }) => Number(!lingering.l_onoff),
      set: (record, value) => {
        record.lingering = { l_onoff: flag(value) === 0, l_linger: record.lingering.l_linger };
      },
    },
  ],
  [
    SO_CONDITIONAL_ACCEPT,
    {
      get: ({ conditional }) => Number(conditional),
      set: (record, value) => {
        if (record.listener !== null) throw new WSAError(WSAEINVAL, syscall);
        record.conditional = flag(value) === 1;
      },
    },
  ],
  [
    SO_CONNECT_TIME,
    {
      get: ({ connectedAt, host }) =>
        connectedAt === null ? NOT_CONNECTED : Math.floor((host.now() - connectedAt) / 1000),
    },
  ],
  // All providers look like TCP/IP (WSD-COMP-2).
  [SO_PROTOCOL_INFO, { get: ({ host, family }) => ({ ...host.tcpip.protocolInfo, iAddressFamily: family }) }],
  [SO_UPDATE_ACCEPT_CONTEXT, nothing],
  [SO_UPDATE_CONNECT_CONTEXT, nothing],
]);

const tcpOptions: ReadonlyMap<number, Option> = new Map<number, Option>([
  [TCP_NODELAY, kept(IPPROTO_TCP, TCP_NODELAY, 0, flag)],
  [TCP_KEEPIDLE, kept(IPPROTO_TCP, TCP_KEEPIDLE, 7200, positive)],
  [TCP_KEEPINTVL, kept(IPPROTO_TCP, TCP_KEEPINTVL, 1, positive)],
  [TCP_KEEPCNT, kept(IPPROTO_TCP, TCP_KEEPCNT, 10, positive)],
]);

const levels: ReadonlyMap<number, ReadonlyMap<number, Option>> = new Map([
  [SOL_SOCKET, socketOptions],
  [IPPROTO_TCP, tcpOptions],
]);

function setLinger(record: SocketRecord, value: OptionValue): void {
  if (typeof value !== 'object' || value === null) throw new WSAError(WSAEFAULT, syscall);
  const { l_onoff, l_linger } = value;
  if (!Number.isInteger(l_linger) || l_linger < 0 || l_linger > 0xffff) throw new WSAError(WSAEINVAL, syscall);
  record.lingering = { l_onoff: Boolean(l_onoff), l_linger };
}

export function setOption(record: SocketRecord, level: number, name: number, value: OptionValue): void {
  const option = levels.get(level)?.get(name);
  if (option?.set === undefined) throw new WSAError(WSAENOPROTOOPT, syscall);
  option.set(record, value);
}

export function getOption(record: SocketRecord, level: number, name: number): OptionAnswer {
  const option = levels.get(level)?.get(name);
  if (option?.get === undefined) throw new WSAError(WSAENOPROTOOPT, 'getsockopt');
  return option.get(record);
}
