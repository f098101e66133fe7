/** Modules of the compiled package, the same instances that a program with the preload uses. */

import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { dist } from '../test/support/preload.js';

/** Imports `dist/<path>.js`; its types are those of `src/<path>.ts`. */
export async function packageModule<T>(path: string): Promise<T> {
  return (await import(pathToFileURL(join(dist, `${path}.js`)).href)) as T;
}
