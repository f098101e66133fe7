/** Tells that the catalog file may have changed. */

import { type FSWatcher, watch } from 'node:fs';
import { dirname } from 'node:path';

/** Milliseconds after which a file that is being written is read: editors do it in several steps. */
const calm = 50;

/**
 * Watches the file's folder, because files are exchanged rather than written, and calls `changed` some time after something
 * has happened there, until what is returned is called. Keeps no event loop alive. Null where the kernel does not tell.
 */
export function watchFile(path: string, changed: () => void): (() => void) | null {
  let timer: NodeJS.Timeout | null = null;
  let watcher: FSWatcher;
  try {
    watcher = watch(dirname(path), { persistent: false });
  } catch {
    return null;
  }
  watcher.on('change', () => {
    timer ??= setTimeout(() => {
      timer = null;
      changed();
    }, calm).unref();
  });
  watcher.on('error', () => watcher.close());
  return () => {
    if (timer !== null) clearTimeout(timer);
    watcher.close();
  };
}
