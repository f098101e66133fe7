/** What the hooks publish on the diagnostics channels. Each function looks first whether somebody subscribes. */

import type net from 'node:net';
import {
  type AcceptMessage,
  acceptChannel,
  type CloseCause,
  type CloseMessage,
  type ConnectErrorMessage,
  type ConnectMessage,
  closeChannel,
  connectChannel,
  connectErrorChannel,
  type Endpoint,
  type FallbackMessage,
  fallbackChannel,
} from '../diagnostics/channels.js';
import { type Reason, reasons } from '../diagnostics/reasons.js';
import { uvErrorCode } from '../providers/tcpip/errno.js';
import type { SanConnection } from '../switch/face.js';
import type { SanHandle } from './san-handle-face.js';

function endpoint({ address = '', port = 0 }: { address?: string; port?: number }): Endpoint {
  return { address, port };
}

function ends({ provider, localAddress, peerAddress }: SanConnection) {
  return { provider, localAddress: endpoint(localAddress), peerAddress: endpoint(peerAddress) };
}

/** `started`: of `performance.now()`. */
export function publishConnect(socket: net.Socket, connection: SanConnection, started: number): void {
  if (!connectChannel.hasSubscribers) return;
  const message: ConnectMessage = { socket, ...ends(connection), duration: performance.now() - started };
  connectChannel.publish(message);
}

export function publishAccept(server: net.Server, san: SanHandle): void {
  // Without an owner the server has dropped the connection.
  if (!acceptChannel.hasSubscribers || san.owner === null) return;
  const message: AcceptMessage = { socket: san.owner, server, ...ends(san.connection) };
  acceptChannel.publish(message);
}

type Destination = Partial<Endpoint>;

export function publishConnectFallback(socket: net.Socket, destination: Destination, reason: Reason): void {
  if (!fallbackChannel.hasSubscribers) return;
  const address = endpoint(destination);
  const message: FallbackMessage = { socket, server: null, address, reason, text: reasons[reason] };
  fallbackChannel.publish(message);
}

export function publishListenFallback(server: net.Server, reason: Reason): void {
  if (!fallbackChannel.hasSubscribers) return;
  const name = server.address();
  const address = name === null || typeof name === 'string' ? null : endpoint(name);
  const message: FallbackMessage = { socket: null, server, address, reason, text: reasons[reason] };
  fallbackChannel.publish(message);
}

/** `status`: negative errno of libuv. */
export function publishConnectError(
  socket: net.Socket,
  destination: Destination,
  reason: Reason,
  status: number,
): void {
  if (!connectErrorChannel.hasSubscribers) return;
  const address = endpoint(destination);
  const message: ConnectErrorMessage = { socket, address, reason, text: reasons[reason], code: uvErrorCode(status) };
  connectErrorChannel.publish(message);
}

export function publishClose(san: SanHandle, cause: CloseCause, duration: number): void {
  if (!closeChannel.hasSubscribers || san.owner === null) return;
  const { owner: socket, bytesRead, bytesWritten } = san;
  const message: CloseMessage = { socket, ...ends(san.connection), bytesRead, bytesWritten, duration, cause };
  closeChannel.publish(message);
}
