/**
 * `sockets-direct/winsock2`: the Winsock API. Calls that block on Windows are promises here, which an AbortSignal cancels;
 * errors are {@link WSAError}. `docs/winsock2.md` tells what there is.
 */

import { winsockServices } from '../compose.js';
import { createFace } from './face.js';

export type { Reason } from '../diagnostics/reasons.js';
export * from '../spi/constants.js';
export * from '../spi/errors.js';
export type {
  ConditionFunction,
  QOS,
  SOCKADDR,
  SOCKET_ADDRESS,
  SOCKET_ADDRESS_LIST,
  WSANETWORKEVENTS,
  WSAPROTOCOL_INFO,
} from '../spi/index.js';
export type { AcceptExOptions } from './accept-ex.js';
export * from './calls.js';
export * from './constants.js';
export type { WSABUF } from './data-calls.js';
export { WSAError } from './error.js';
export { WSAEVENT } from './event.js';
export type { tcp_keepalive } from './ioctls.js';
export type { OptionAnswer, OptionValue } from './options.js';
export { type CompletionRoutine, type OverlappedResult, WSAOVERLAPPED } from './overlapped.js';
export type { Waiting } from './pending.js';
export type { fd_set, TIMEVAL, WSAPOLLFD } from './select.js';
export type { SOCKET } from './socket.js';
export type { LINGER } from './socket-options.js';
export type { WSADATA } from './startup.js';
export type { HANDLE, TRANSMIT_FILE_BUFFERS } from './transmit-file.js';

export const { WSAStartup, WSACleanup, WSASocket, socket } = createFace(winsockServices);
