/** Errors as Node's own layers make them from a status. */

import { uvErrorCode } from '../providers/tcpip/errno.js';

/** Same message, members and order of members as Node's internal ErrnoException. */
export function errnoException(status: number, syscall: string): NodeJS.ErrnoException {
  const code = uvErrorCode(status);
  const error: NodeJS.ErrnoException = new Error(`${syscall} ${code}`);
  error.errno = status;
  error.code = code;
  error.syscall = syscall;
  return error;
}
