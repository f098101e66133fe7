import { fileURLToPath } from 'node:url';

/**
 * The preload for `--require`: it is loaded before the program begins. While `--import` loads one, messages that reach a worker
 * of a cluster are lost.
 */
export const preload = fileURLToPath(new URL('../register/index.js', import.meta.url));

/** The same as it stands in NODE_OPTIONS, where spaces end an option. */
export const preloadOption = `--require=${/[\s"\\]/.test(preload) ? `"${preload.replaceAll(/["\\]/g, '\\$&')}"` : preload}`;
