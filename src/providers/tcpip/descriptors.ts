/** Kernel sockets that several processes have: what is passed between them is a descriptor. */

import { loadPlatform, PlatformError } from '../../platform/index.js';
import type { NativeTcpHandle } from './native.js';

/** Another descriptor of the handle's socket, or null where there is none to be had. `closeDescriptor` is the caller's duty. */
export function duplicateOf(handle: NativeTcpHandle): number | null {
  const { fd } = handle as { fd?: unknown };
  if (typeof fd !== 'number' || fd < 0) return null;
  return duplicateDescriptor(fd);
}

export function duplicateDescriptor(descriptor: number): number | null {
  try {
    return loadPlatform().duplicateDescriptor(descriptor);
  } catch (error) {
    if (error instanceof PlatformError) return null;
    throw error;
  }
}

export function closeDescriptor(descriptor: number): void {
  loadPlatform().closeDescriptor(descriptor);
}
