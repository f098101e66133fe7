/** Modules of the compiled package, the same instances that carry the sockets of a program that preloads `modules`. */

import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { modules } from '../test/support/preload.js';

/** Imports `<path>.js`; its types are those of `src/<path>.ts`. */
export async function packageModule<T>(path: string): Promise<T> {
  return (await import(pathToFileURL(join(modules, `${path}.js`)).href)) as T;
}
