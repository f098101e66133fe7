export * from './accept-queue.js';
export * from './errno.js';
export type { KernelReader, KernelSocket } from './kernel-socket.js';
export * from './native.js';
export * from './pair.js';
export * from './provider.js';
