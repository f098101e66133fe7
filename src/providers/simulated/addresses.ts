/** Addresses of simulated NICs: each with the subnet for which its provider is asked. */

import { isIP } from 'node:net';
import { AF_INET, AF_INET6, type SOCKADDR, type SOCKET_ADDRESS } from '../../spi/index.js';

export interface NicAddress {
  readonly address: string;
  /** Bits of the subnet. */
  readonly prefixLength: number;
}

/** From the usual notation: `10.1.0.1/24`; without a length the address stands for itself alone. */
export function nicAddress(text: string): NicAddress {
  const [address = '', length] = text.split('/');
  if (isIP(address) === 0) throw new TypeError(`no IP address: ${text}`);
  return { address, prefixLength: length === undefined ? (isIP(address) === 6 ? 128 : 32) : Number(length) };
}

/** The answer to SIO_ADDRESS_LIST_QUERY (WSD-TBL-2). */
export function addressList(nics: readonly NicAddress[]): SOCKET_ADDRESS[] {
  return nics.map(({ address, prefixLength }) => {
    const family = isIP(address) === 6 ? AF_INET6 : AF_INET;
    return {
      lpSockaddr: { sa_family: family, address, port: 0 },
      iSockaddrLength: sockaddrSize(family),
      prefixLength,
    };
  });
}

/** Bytes of a sockaddr. */
export function sockaddrSize(family: number): number {
  return family === AF_INET6 ? 28 : 16;
}

/** True if the text is an address of the family that the name claims. */
export function isAddress({ sa_family, address }: SOCKADDR): boolean {
  const version = isIP(address);
  return version !== 0 && sa_family === (version === 4 ? AF_INET : AF_INET6);
}

export function isWildcard({ address }: SOCKADDR): boolean {
  return address === '0.0.0.0' || address === '::';
}

/** How well a listener's address matches a called one: 2 exactly, 1 as a wildcard, 0 not. */
export function matchListener(bound: SOCKADDR, called: SOCKADDR): number {
  if (bound.address === called.address) return 2;
  if (bound.address === '0.0.0.0') return called.sa_family === AF_INET ? 1 : 0;
  if (bound.address === '::') return called.sa_family === AF_INET && bound.ipv6Only === true ? 0 : 1;
  return 0;
}
