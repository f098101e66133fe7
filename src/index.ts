/**
 * Sockets Direct: Windows Sockets Direct for Node.js.
 *
 * As a module it is a drop-in for `node:net`: sockets and servers made through it may be carried by a SAN provider, all
 * others are left alone. Programs that shall not change a line preload `sockets-direct/register` instead.
 */

import { isBranded, netModule } from './net/import-mode.js';
import { activate } from './register/activate.js';

activate(isBranded);

// What is not replaced below is Node's own.
export * from 'node:net';
export { installProvider, removeProvider } from './catalog/index.js';
export type {
  AcceptMessage,
  CloseCause,
  CloseMessage,
  ConnectErrorMessage,
  ConnectMessage,
  Endpoint,
  FallbackMessage,
} from './diagnostics/channels.js';
export type { Reason } from './diagnostics/reasons.js';
export { reasons } from './diagnostics/reasons.js';
export {
  type ConnectionStatus,
  type ListenerStatus,
  type PollingStatus,
  type ProviderStatus,
  type Status,
  status,
} from './diagnostics/status.js';
export { type ConnectionInfo, connectionInfo } from './net/connection-info.js';
export { connect, createConnection, createServer, Server, Socket, Stream } from './net/import-mode.js';
export default netModule;
