/** WSPSend and WSPRecv: messages onto the wire, and buffers for those that come. */

import {
  MEM_READ,
  MEM_WRITE,
  type Out,
  SOCKET_ERROR,
  WSA_IO_PENDING,
  type WSABUF,
  WSAEFAULT,
  WSAEINVAL,
  WSAEMSGSIZE,
  WSAENOTCONN,
  type WSAOVERLAPPED,
  WSS_OPERATION_IN_PROGRESS,
} from '../../spi/index.js';
import type { Connection } from './connection.js';
import { MESSAGE_SIZE_MAX } from './limits.js';
import type { SharedMemorySocket } from './socket.js';

/** WSPSend on a socket that is one. */
export function send(
  socket: SharedMemorySocket,
  buffers: readonly WSABUF[],
  count: number,
  sent: Out<number> | null,
  overlapped: WSAOVERLAPPED,
  lpErrno: Out<number>,
): number {
  const { connection } = socket;
  const error = count > 0 ? socket.dataError : WSAEINVAL;
  if (error !== 0 || connection === null) {
    lpErrno.value = error || WSAENOTCONN;
    return SOCKET_ERROR;
  }
  const buffer = buffers[0];
  const isWire = socket.sendBuffer === buffer;
  socket.sendBuffer = null;
  if (!isWire || buffer.len > socket.sendBufferLength) {
    // What is longer than the room on the wire is registered nowhere.
    const problem = isWire ? WSAEFAULT : copyToWire(socket, connection, buffers, count);
    if (problem !== 0) {
      lpErrno.value = problem;
      return SOCKET_ERROR;
    }
  }
  const length = socket.sendLength === 0 ? buffer.len : socket.sendLength;
  socket.sendLength = 0;
  if (!connection.commit(length, overlapped)) {
    overlapped.Internal = WSS_OPERATION_IN_PROGRESS;
    lpErrno.value = WSA_IO_PENDING;
    return SOCKET_ERROR;
  }
  socket.complete(overlapped, length);
  if (sent !== null) sent.value = length;
  return 0;
}

/** Memory that is not the wire's own: checked, then gathered onto the wire (WSD-XFR-29). 0 or a Winsock error. */
function copyToWire(
  socket: SharedMemorySocket,
  connection: Connection,
  buffers: readonly WSABUF[],
  count: number,
): number {
  let length = 0;
  for (let i = 0; i < count; i++) {
    if (!socket.registrations.covers(buffers[i], MEM_READ)) return WSAEFAULT;
    length += buffers[i].len;
  }
  if (length > MESSAGE_SIZE_MAX) return WSAEMSGSIZE;
  const wire: WSABUF = { len: 0, buf: buffers[0].buf, offset: 0 };
  connection.begin(length, wire);
  let at = wire.offset;
  for (let i = 0; i < count; i++) {
    const { buf, offset, len } = buffers[i];
    wire.buf.bytes.set(buf.bytes.subarray(offset, offset + len), at);
    at += len;
  }
  socket.sendLength = length;
  return 0;
}

/** WSPRecv on a socket that is one. */
export function receive(
  socket: SharedMemorySocket,
  buffers: readonly WSABUF[],
  count: number,
  overlapped: WSAOVERLAPPED,
  lpErrno: Out<number>,
): number {
  const error = socket.dataError;
  if (error !== 0) lpErrno.value = error;
  else if (count !== 1) lpErrno.value = WSAEINVAL;
  else if (!socket.registrations.covers(buffers[0], MEM_WRITE)) lpErrno.value = WSAEFAULT;
  else {
    socket.connection!.post(buffers[0], overlapped);
    lpErrno.value = WSA_IO_PENDING;
  }
  return SOCKET_ERROR;
}
