/** Addresses that this provider serves: those of the own host, each for itself, and 127.0.0.0/8. */

import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { AF_INET, AF_INET6, type SOCKADDR, type SOCKET_ADDRESS } from '../../spi/index.js';
import { addressBytes } from './records.js';

/** The answer to SIO_ADDRESS_LIST_QUERY. Link-local IPv6 addresses are left out: they need a scope. */
export function hostAddresses(): SOCKET_ADDRESS[] {
  const list: SOCKET_ADDRESS[] = [
    { lpSockaddr: { sa_family: AF_INET, address: '127.0.0.1', port: 0 }, iSockaddrLength: 16, prefixLength: 8 },
  ];
  for (const entries of Object.values(networkInterfaces())) {
    for (const { address, family } of entries ?? []) {
      if (family === 'IPv4' && !address.startsWith('127.')) {
        list.push({ lpSockaddr: { sa_family: AF_INET, address, port: 0 }, iSockaddrLength: 16, prefixLength: 32 });
      } else if (family === 'IPv6' && !/^fe[89ab]/i.test(address)) {
        list.push({ lpSockaddr: { sa_family: AF_INET6, address, port: 0 }, iSockaddrLength: 28, prefixLength: 128 });
      }
    }
  }
  return list;
}

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
