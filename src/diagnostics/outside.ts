import { AsyncResource } from 'node:async_hooks';

/** Made when the package is loaded, before the program has contexts of its own. */
const outside = new AsyncResource('SOCKETSDIRECT');

/**
 * Runs what outlives the request that needs it first: it must neither see the asynchronous context of that request (an
 * AsyncLocalStorage) nor keep it alive.
 */
export function outsideOfContexts<T>(body: () => T): T {
  return outside.runInAsyncScope(body);
}
