/** The way into a file of compatibility scenarios: the test runner's, and that of the two programs it starts. */

import type { Scenarios } from './scenario.js';

/**
 * Without arguments the file declares a test for each scenario. With `server` or `client` it is that end of them all, and
 * performs those that it is told to.
 */
export async function compare(url: string, scenarios: Scenarios): Promise<void> {
  const [role] = process.argv.slice(2);
  if (role === 'server' || role === 'client') (await import('./perform.js')).perform(role, scenarios);
  else (await import('./declare.js')).declare(url, scenarios);
}
