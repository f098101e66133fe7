/** Which provider serves an address: the map of WSD-TBL-4. Longest prefix first, then order of registration (WSD-TBL-10). */

import { BlockList, isIPv6 } from 'node:net';
import { AF_INET6, type SOCKADDR, type SOCKET_ADDRESS } from '../spi/index.js';

interface Route<T> {
  readonly family: 'ipv4' | 'ipv6';
  readonly prefix: number;
  readonly subnet: BlockList;
  readonly provider: T;
}

export class RoutingTable<T> {
  readonly #routes: Route<T>[] = [];
  readonly #cache = new Map<string, T | null>();

  /** Adds the addresses of one provider; an entry without prefix length stands for itself alone. */
  add(provider: T, addresses: readonly SOCKET_ADDRESS[]): void {
    for (const { lpSockaddr, prefixLength } of addresses) {
      const family = lpSockaddr.sa_family === AF_INET6 ? 'ipv6' : 'ipv4';
      const prefix = prefixLength ?? (family === 'ipv6' ? 128 : 32);
      const subnet = new BlockList();
      subnet.addSubnet(lpSockaddr.address, prefix, family);
      this.#routes.push({ family, prefix, subnet, provider });
    }
    this.#routes.sort((a, b) => b.prefix - a.prefix);
    this.#cache.clear();
  }

  /** The provider for a destination or a bound local address, or null (WSD-TBL-5). */
  lookup(address: SOCKADDR): T | null {
    let found = this.#cache.get(address.address);
    if (found === undefined) {
      const family = isIPv6(address.address) ? 'ipv6' : 'ipv4';
      found =
        this.#routes.find((route) => route.family === family && route.subnet.check(address.address, family))
          ?.provider ?? null;
      if (this.#cache.size > 1024) this.#cache.clear();
      this.#cache.set(address.address, found);
    }
    return found;
  }
}
