/**
 * Servers, and sockets that TCP/IP carries, for status displays. Sockets are found when somebody asks: Node.js lists its
 * active handles. It leaves out those that hold no event loop, as idle ones of connection pools, so connects that fell back
 * are kept until their handles close.
 */

import net from 'node:net';
import { DenseSet, type Member } from '../collections/dense-set.js';
import type { ConnectionStatus, ListenerStatus } from '../diagnostics/status.js';
import type { NativeTcpHandle } from '../providers/tcpip/native.js';
import { connectionInfo } from './connection-info.js';
import { requireInternals } from './internals.js';

/** A connect that TCP/IP carries, with the time of the decision. */
class Fallback implements Member {
  place = -1;
  readonly since = performance.now();
  constructor(readonly handle: NativeTcpHandle) {}
}

const fallenBack = new DenseSet<Fallback>();
/** On a TCP handle: its fallback. */
const fallbackKey = Symbol('sockets-direct.fallback');
/** Servers that listen on a hooked handle. */
const listening = new Map<NativeTcpHandle, net.Server>();

type Reset = NativeTcpHandle['reset'];

function forget(handle: NativeTcpHandle): void {
  const fallback = handle[fallbackKey];
  if (fallback instanceof Fallback) fallenBack.delete(fallback);
}

function close(this: NativeTcpHandle, callback?: () => void): void {
  forget(this);
  requireInternals().tcpOriginal.close.call(this, callback);
}

function reset(this: NativeTcpHandle, callback?: () => void): number {
  forget(this);
  return (requireInternals().TCP.prototype.reset as Reset).call(this, callback);
}

/** A connect whose handle TCP/IP carries from now on. */
export function noteFallback(handle: NativeTcpHandle): void {
  const fallback = new Fallback(handle);
  forget(handle);
  handle[fallbackKey] = fallback;
  fallenBack.add(fallback);
  // Properties of the handle, because other handles are nobody's business.
  handle.close = close;
  handle.reset = reset;
}

export function noteListener(handle: NativeTcpHandle, server: net.Server): void {
  listening.set(handle, server);
}

export function forgetListener(handle: NativeTcpHandle): void {
  listening.delete(handle);
}

/** Sockets and servers whose handles hold the event loop. */
function activeHandles(): readonly object[] {
  const { _getActiveHandles: list } = process as unknown as { _getActiveHandles?(): object[] };
  return typeof list === 'function' ? list.call(process) : [];
}

export function* tcpConnections(): Generator<ConnectionStatus> {
  const { ownerSymbol } = requireInternals();
  const now = performance.now();
  const seen = new Set<object>();
  for (const { handle, since } of fallenBack) {
    const owner = handle[ownerSymbol];
    if (!(owner instanceof net.Socket) || owner.connecting || seen.has(owner)) continue;
    seen.add(owner);
    // Of the handle, because TLS counts what it carries and not what goes over the wire.
    const status = describe(owner, 'connect', Math.round(now - since), handle as unknown as Counted);
    if (status !== null) yield status;
  }
  for (const owner of activeHandles()) {
    if (!(owner instanceof net.Socket) || seen.has(owner)) continue;
    const { _server: server } = owner as { _server?: net.Server | null };
    // Servers that the hooks do not look at are none of ours, nor are their sockets.
    if (server == null || connectionInfo(server).reason === null) continue;
    const status = describe(owner, 'accept', null, owner);
    if (status !== null) yield status;
  }
}

/** What counts bytes. */
type Counted = Pick<net.Socket, 'bytesRead' | 'bytesWritten'>;

function describe(
  socket: net.Socket,
  role: 'connect' | 'accept',
  age: number | null,
  { bytesRead, bytesWritten }: Counted,
): ConnectionStatus | null {
  const { provider, reason } = connectionInfo(socket);
  const { localAddress, localPort, remoteAddress, remotePort } = socket;
  if (provider !== 'tcpip' || reason === null || remoteAddress === undefined) return null;
  return {
    provider,
    reason,
    role,
    state: 'open',
    localAddress: { address: localAddress ?? '', port: localPort ?? 0 },
    peerAddress: { address: remoteAddress, port: remotePort ?? 0 },
    peerPid: null,
    age,
    bytesRead,
    bytesWritten,
    credits: null,
  };
}

export function* tcpListeners(): Generator<ListenerStatus> {
  const servers = new Set(listening.values());
  for (const owner of activeHandles()) if (owner instanceof net.Server) servers.add(owner);
  for (const server of servers) {
    const { reason } = connectionInfo(server);
    const name = server.address();
    if (reason === null || name === null || typeof name === 'string') continue;
    yield {
      address: { address: name.address, port: name.port },
      reason,
      connections: (server as { _connections?: number })._connections ?? 0,
    };
  }
}
