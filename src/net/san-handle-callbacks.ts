/** What a handle hands on to be called later, or in another context: functions, so that no closure is made for each call. */

import { errnoException } from './errors.js';
import type { NativeRequest, ShutdownRequest } from './node-types.js';
import type { SanHandle } from './san-handle-face.js';

/** The request of a shutdown that did not come through the native stream. */
export function completeShutdown(this: NativeRequest, status: number, handle: object): void {
  (this as ShutdownRequest).oncomplete?.(status, handle, undefined);
}

export function fail(this: SanHandle, status: number): void {
  const socket = this.owner;
  if (socket !== null && !socket.destroyed) socket.destroy(errnoException(status, 'read'));
}

export function resume(handle: { resume(): void }): void {
  handle.resume();
}

export function finishNativeWrite(
  handle: { finishNative(request: NativeRequest, status: number): void },
  request: NativeRequest,
): void {
  handle.finishNative(request, 0);
}
