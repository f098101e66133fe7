/** Where the package under test is: the repository's own `dist`, or what SOCKETS_DIRECT_TEST_DIST names. */

import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** Directory of the compiled package. */
export const dist = process.env.SOCKETS_DIRECT_TEST_DIST ?? fileURLToPath(new URL('../../../dist', import.meta.url));

/**
 * The same module by module, not packed into few files: for programs that look into the package, and have to meet the
 * instances that carry their sockets.
 */
export const modules = process.env.SOCKETS_DIRECT_TEST_DIST ?? fileURLToPath(new URL('../../src', import.meta.url));

/** What `node --import` is given to preload the package in `directory`. */
export function preloadUrl(directory = dist): string {
  return pathToFileURL(join(directory, 'register/index.js')).href;
}
