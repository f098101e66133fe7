/** Which provider serves an address: the map of WSD-TBL-4. Longest prefix first, then order of registration (WSD-TBL-10). */

import { BlockList, isIPv6 } from 'node:net';
import { AF_INET6, type SOCKADDR, type SOCKET_ADDRESS } from '../spi/index.js';

interface Route<T> {
  readonly family: 'ipv4' | 'ipv6';
  readonly prefix: number;
  readonly subnet: BlockList;
  readonly provider: T;
  /** The provider's address in the subnet. */
  readonly address: SOCKADDR;
}

/** Who serves an address, and from which address of its own. */
export interface Served<T> {
  readonly provider: T;
  readonly local: SOCKADDR;
}

export class RoutingTable<T> {
  readonly #routes: Route<T>[] = [];
  readonly #cache = new Map<string, Served<T> | null>();

  /** Adds the addresses of one provider; an entry without prefix length stands for itself alone. */
  add(provider: T, addresses: readonly SOCKET_ADDRESS[]): void {
    for (const { lpSockaddr, prefixLength } of addresses) {
      const family = lpSockaddr.sa_family === AF_INET6 ? 'ipv6' : 'ipv4';
      const prefix = prefixLength ?? (family === 'ipv6' ? 128 : 32);
      const subnet = new BlockList();
      subnet.addSubnet(lpSockaddr.address, prefix, family);
      this.#routes.push({ family, prefix, subnet, provider, address: lpSockaddr });
    }
    this.#routes.sort((a, b) => b.prefix - a.prefix);
    this.#cache.clear();
  }

  clear(): void {
    this.#routes.length = 0;
    this.#cache.clear();
  }

  /** The provider for a bound local address, or null (WSD-TBL-5). */
  lookup(address: SOCKADDR): T | null {
    return this.route(address)?.provider ?? null;
  }

  /**
   * The provider for a destination with the local address to connect from, or null (WSD-CON-1, WSD-SOC-16). One's own
   * address is reached from itself, as in the kernel.
   */
  route({ address }: SOCKADDR): Served<T> | null {
    let found = this.#cache.get(address);
    if (found === undefined) {
      found = this.#find(address);
      if (this.#cache.size > 1024) this.#cache.clear();
      this.#cache.set(address, found);
    }
    return found;
  }

  #find(address: string): Served<T> | null {
    const family = isIPv6(address) ? 'ipv6' : 'ipv4';
    const route = this.#routes.find((one) => one.family === family && one.subnet.check(address, family));
    if (route === undefined) return null;
    const own = this.#routes.find((one) => one.provider === route.provider && one.address.address === address);
    return { provider: route.provider, local: (own ?? route).address };
  }
}
