/** Installing service providers while a program runs. */

import { complain } from '../diagnostics/complain.js';
import { addStatusSource } from '../diagnostics/status.js';
import type { SanServiceProvider } from '../spi/index.js';
import { Catalog } from './catalog.js';

export { Catalog } from './catalog.js';

/** One catalog for all copies of this package in an event loop, because one of them has the switch. */
const key = Symbol.for('sockets-direct.catalog');

let isListed = false;

/** The catalog of this event loop. */
export function catalog(): Catalog {
  const registry = globalThis as unknown as { [key]?: Catalog };
  if (registry[key] === undefined) {
    const made = new Catalog(process.env.SOCKETS_DIRECT_PROVIDERS ?? '', complain);
    Object.defineProperty(registry, key, { value: made });
  }
  const found = registry[key]!;
  if (!isListed) addStatusSource({ providers: () => found.status() });
  isListed = true;
  return found;
}

/**
 * Installs a service provider in this event loop, for as long as it runs or until `removeProvider`. Sockets that listen at
 * all addresses, or at one that it serves, listen on it at once; connects use it from now on. Whether it could be started is
 * told by `status().providers`. Throws TypeError if it is no provider, Error if its name or its GUID is taken.
 */
export function installProvider(provider: SanServiceProvider): void {
  catalog().install(provider);
}

/**
 * Removes a provider that `installProvider` has installed, by its ProviderId. New connections do not use it; those that are
 * established go on, and the provider's WSPCleanup follows the last of them. False: no such provider is installed.
 */
export function removeProvider(providerId: string): boolean {
  return catalog().remove(providerId);
}
