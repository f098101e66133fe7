/** Errors of TCP/IP: libuv's negative errno values (Linux), Winsock numbers, and the code names that programs see. */

import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import {
  WSA_NOT_ENOUGH_MEMORY,
  WSA_OPERATION_ABORTED,
  WSAEACCES,
  WSAEADDRINUSE,
  WSAEADDRNOTAVAIL,
  WSAEAFNOSUPPORT,
  WSAEALREADY,
  WSAECONNABORTED,
  WSAECONNREFUSED,
  WSAECONNRESET,
  WSAEDESTADDRREQ,
  WSAEFAULT,
  WSAEHOSTUNREACH,
  WSAEINPROGRESS,
  WSAEINTR,
  WSAEINVAL,
  WSAEISCONN,
  WSAEMFILE,
  WSAEMSGSIZE,
  WSAENETDOWN,
  WSAENETRESET,
  WSAENETUNREACH,
  WSAENOBUFS,
  WSAENOPROTOOPT,
  WSAENOTCONN,
  WSAENOTSOCK,
  WSAEOPNOTSUPP,
  WSAEPROTONOSUPPORT,
  WSAEPROTOTYPE,
  WSAESHUTDOWN,
  WSAETIMEDOUT,
  WSAEWOULDBLOCK,
  WSASYSCALLFAILURE,
} from '../../spi/index.js';

const { errno } = constants;

export const UV_EADDRNOTAVAIL = -errno.EADDRNOTAVAIL;
export const UV_EPIPE = -errno.EPIPE;
export const UV_EBADF = -errno.EBADF;
export const UV_EINVAL = -errno.EINVAL;
export const UV_EAGAIN = -errno.EAGAIN;
export const UV_ENOTCONN = -errno.ENOTCONN;
export const UV_ECANCELED = -errno.ECANCELED;
export const UV_ECONNABORTED = -errno.ECONNABORTED;
export const UV_ECONNRESET = -errno.ECONNRESET;
export const UV_ECONNREFUSED = -errno.ECONNREFUSED;

/** Both directions agree on these pairs. */
const pairs: readonly (readonly [number, number])[] = [
  [WSAEACCES, -errno.EACCES],
  [WSAEADDRINUSE, -errno.EADDRINUSE],
  [WSAEADDRNOTAVAIL, -errno.EADDRNOTAVAIL],
  [WSAEAFNOSUPPORT, -errno.EAFNOSUPPORT],
  [WSAEALREADY, -errno.EALREADY],
  [WSAECONNABORTED, UV_ECONNABORTED],
  [WSAECONNREFUSED, UV_ECONNREFUSED],
  [WSAECONNRESET, UV_ECONNRESET],
  [WSAEDESTADDRREQ, -errno.EDESTADDRREQ],
  [WSAEFAULT, -errno.EFAULT],
  [WSAEHOSTUNREACH, -errno.EHOSTUNREACH],
  [WSAEINPROGRESS, -errno.EINPROGRESS],
  [WSAEINTR, -errno.EINTR],
  [WSAEINVAL, UV_EINVAL],
  [WSAEISCONN, -errno.EISCONN],
  [WSAEMFILE, -errno.EMFILE],
  [WSAEMSGSIZE, -errno.EMSGSIZE],
  [WSAENETDOWN, -errno.ENETDOWN],
  [WSAENETRESET, -errno.ENETRESET],
  [WSAENETUNREACH, -errno.ENETUNREACH],
  [WSAENOBUFS, -errno.ENOBUFS],
  [WSAENOPROTOOPT, -errno.ENOPROTOOPT],
  [WSAENOTCONN, UV_ENOTCONN],
  [WSAENOTSOCK, -errno.ENOTSOCK],
  [WSAEOPNOTSUPP, -errno.EOPNOTSUPP],
  [WSAEPROTONOSUPPORT, -errno.EPROTONOSUPPORT],
  [WSAEPROTOTYPE, -errno.EPROTOTYPE],
  [WSAESHUTDOWN, UV_EPIPE],
  [WSAETIMEDOUT, -errno.ETIMEDOUT],
  [WSAEWOULDBLOCK, -errno.EAGAIN],
  [WSA_NOT_ENOUGH_MEMORY, -errno.ENOMEM],
  [WSA_OPERATION_ABORTED, UV_ECANCELED],
];

const uvByWsa = new Map(pairs);
const wsaByUv = new Map<number, number>([
  ...pairs.map(([wsa, uv]) => [uv, wsa] as const),
  [-errno.EPERM, WSAEACCES],
  [UV_EBADF, WSAENOTSOCK],
  [-errno.ENFILE, WSAEMFILE],
]);

/** libuv's negative errno for a Winsock error; 0 for 0, EINVAL for one without counterpart. */
export function toUvErrno(wsaError: number): number {
  return wsaError === 0 ? 0 : (uvByWsa.get(wsaError) ?? UV_EINVAL);
}

/** The Winsock error for a negative errno of libuv; 0 for 0, WSASYSCALLFAILURE for one without counterpart. */
export function toWsaError(uvErrno: number): number {
  return uvErrno === 0 ? 0 : (wsaByUv.get(uvErrno) ?? WSASYSCALLFAILURE);
}

/** The name that programs compare with, for example `ECONNRESET` for -104. */
export function uvErrorCode(uvErrno: number): string {
  return getSystemErrorName(uvErrno);
}
