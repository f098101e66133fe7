/** Where the package under test is: the repository's own `dist`, or what SOCKETS_DIRECT_TEST_DIST names. */

import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** Directory of the compiled package. */
export const dist = process.env.SOCKETS_DIRECT_TEST_DIST ?? fileURLToPath(new URL('../../../dist', import.meta.url));

/** What `node --import` is given to preload the package in `directory`. */
export function preloadUrl(directory = dist): string {
  return pathToFileURL(join(directory, 'register/index.js')).href;
}
