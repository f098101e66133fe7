/** What is checked before a provider becomes an entry of the catalog. */

import { IPPROTO_TCP, type SanServiceProvider, SOCK_STREAM } from '../spi/index.js';

const guidPattern = /^[0-9A-F]{8}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{12}$/;
const namePattern = /^[a-z0-9][a-z0-9-]{0,63}$/;

/** True for a GUID in its textual form, upper case. */
export function isGuid(text: unknown): text is string {
  return typeof text === 'string' && guidPattern.test(text);
}

/** Why this is no service provider, or null. */
export function whyNoProvider(value: unknown): string | null {
  if (typeof value !== 'object' || value === null) return 'it is no object';
  const { name, protocolInfo: info, WSPStartupEx } = value as Partial<SanServiceProvider>;
  if (typeof name !== 'string' || !namePattern.test(name))
    return '`name` is no word of small letters, digits and hyphens';
  if (name === 'tcpip') return "the name 'tcpip' is taken";
  if (typeof WSPStartupEx !== 'function') return '`WSPStartupEx` is no function';
  if (typeof info !== 'object' || info === null) return '`protocolInfo` is no object';
  if (!isGuid(info.ProviderId)) return '`protocolInfo.ProviderId` is no GUID in upper case';
  if (info.iSocketType !== SOCK_STREAM || info.iProtocol !== IPPROTO_TCP) {
    return '`protocolInfo` does not describe streams (iSocketType, iProtocol)';
  }
  if (!Number.isInteger(info.dwProviderFlags) || !Number.isInteger(info.ProtocolChain?.ChainLen)) {
    return '`protocolInfo` has no dwProviderFlags or ProtocolChain';
  }
  return null;
}

/** What a module exports as its provider: by default, under the name `provider`, or all of it. */
export function exportedProvider(module: unknown): unknown {
  if (typeof module !== 'object' || module === null) return module;
  const { default: byDefault, provider } = module as { default?: unknown; provider?: unknown };
  return byDefault ?? provider ?? module;
}
