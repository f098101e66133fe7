/** How addresses of listeners and of calls fit together. */

import { isIP } from 'node:net';
import { AF_INET, AF_INET6, type SOCKADDR } from '../../spi/index.js';
import { addressBytes } from './records.js';

/** True if the text is an address of the family that the name claims. */
export function isAddress({ sa_family, address }: SOCKADDR): boolean {
  const version = isIP(address);
  return version !== 0 && sa_family === (version === 4 ? AF_INET : AF_INET6);
}

/** How well a listener's address matches a called one: as below, but `::` without IPv4 where that was asked for. */
export function matchListener(bound: SOCKADDR, called: SOCKADDR): number {
  if (bound.ipv6Only === true && called.sa_family === AF_INET) return 0;
  return matchAddress(bound.address, called);
}

/** How well a bound address matches a called one: 2 exactly, 1 as a wildcard, 0 not. Dual-stack `::` takes both families. */
export function matchAddress(bound: string, called: SOCKADDR): number {
  if (bound === called.address) return 2;
  if (bound === '0.0.0.0') return called.sa_family === AF_INET ? 1 : 0;
  if (bound === '::') return 1;
  return addressBytes(bound).equals(addressBytes(called.address)) ? 2 : 0;
}
