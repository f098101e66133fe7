/** How a plain program is started with Sockets Direct, and without it. */

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** From build/bench/harness to dist/register: what `node --import sockets-direct/register` loads in a user's project. */
const register = new URL('../../../dist/register/index.js', import.meta.url);

export function isBuilt(): boolean {
  return existsSync(fileURLToPath(register));
}

/** Arguments of node that install Sockets Direct in an unmodified program. */
export const preload: readonly string[] = ['--import', register.href];

/**
 * The environment without anything that could install or configure Sockets Direct: a contender that is to run without it
 * must not inherit it, and the other one gets exactly what is given.
 */
export function cleanEnvironment(extra: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (name === 'NODE_OPTIONS' || name === 'NODE_DEBUG' || name.startsWith('SOCKETS_DIRECT')) continue;
    env[name] = value;
  }
  return { ...env, ...extra };
}
