import type net from 'node:net';
import { PlatformError } from './error.js';

/**
 * The descriptor of a connected Unix socket of node:net, which goes on owning it. Throws PlatformError
 * `internals-unavailable`.
 */
export function descriptorOf(socket: net.Socket): number {
  const handle = (socket as { _handle?: { fd?: unknown } | null })._handle;
  const descriptor = handle?.fd;
  if (typeof descriptor === 'number' && descriptor >= 0) return descriptor;
  throw new PlatformError('internals-unavailable', 'descriptor of a pipe');
}
