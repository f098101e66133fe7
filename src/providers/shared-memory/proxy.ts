/**
 * What stands in for this provider's proxy driver (section 22 of the digest): it knows the addresses of this host, because it
 * is told of each that comes or goes, and answers the requests that the provider passes down to it.
 */

import { networkInterfaces } from 'node:os';
import { type AddressListener, type InterfaceAddress, PlatformError } from '../../platform/index.js';
import {
  AF_INET,
  AF_INET6,
  type Out,
  SIO_ADDRESS_LIST_QUERY,
  type SOCKADDR,
  type SOCKET_ADDRESS,
  type SOCKET_ADDRESS_LIST,
  WSAEFAULT,
  WSAEOPNOTSUPP,
} from '../../spi/index.js';
import { matchAddress } from './addresses.js';

/** Tells of all addresses at once, and of changes until what is returned is called; throws PlatformError where nobody tells. */
export type NotifyAddresses = (listener: AddressListener) => () => void;

type Address = Pick<InterfaceAddress, 'address' | 'family'>;

/** Every address of this network is served, so one of the loopback network stands for all of them. */
const loopback: SOCKET_ADDRESS = {
  lpSockaddr: { sa_family: AF_INET, address: '127.0.0.1', port: 0 },
  iSockaddrLength: 16,
  prefixLength: 8,
};

/** Addresses that are not this provider's: the loopback network has its own entry, and link-local ones need a scope. */
function isStranger({ address, family }: Address): boolean {
  return family === 'ipv4' ? address.startsWith('127.') : /^fe[89ab]/i.test(address);
}

/** An address of the host stands for itself alone. */
function entryOf({ address, family }: Address): SOCKET_ADDRESS {
  const ipv6 = family === 'ipv6';
  return {
    lpSockaddr: { sa_family: ipv6 ? AF_INET6 : AF_INET, address, port: 0 },
    iSockaddrLength: ipv6 ? 28 : 16,
    prefixLength: ipv6 ? 128 : 32,
  };
}

export class ProxyDriver implements AddressListener {
  readonly #notify: NotifyAddresses;
  /** By interface and address: two interfaces may have the same one. */
  readonly #present = new Map<string, SOCKET_ADDRESS>();
  /** Null: nobody tells of changes, so the host is asked each time. */
  #stop: (() => void) | null = null;

  constructor(notify: NotifyAddresses) {
    this.#notify = notify;
  }

  /** What DriverEntry does: registers, and is told of all addresses that there are (WSD-PRX-3). */
  load(): void {
    try {
      this.#stop = this.#notify(this);
    } catch (error) {
      if (!(error instanceof PlatformError)) throw error;
    }
  }

  unload(): void {
    this.#stop?.();
    this.ended();
  }

  added(address: InterfaceAddress): void {
    if (!isStranger(address)) this.#present.set(`${address.device} ${address.address}`, entryOf(address));
  }

  removed({ device, address }: InterfaceAddress): void {
    this.#present.delete(`${device} ${address}`);
  }

  ended(): void {
    this.#stop = null;
    this.#present.clear();
  }

  /** Link-local IPv6 addresses are left out. */
  get addresses(): readonly SOCKET_ADDRESS[] {
    const others = this.#stop === null ? askHost() : [...this.#present.values()];
    const seen = new Map(others.map((entry) => [entry.lpSockaddr.address, entry]));
    return [loopback, ...seen.values()];
  }

  serves(name: SOCKADDR): boolean {
    if (name.sa_family === AF_INET && name.address.startsWith('127.')) return true;
    return this.addresses.some(({ lpSockaddr }) => matchAddress(lpSockaddr.address, name) === 2);
  }

  /** A request of the provider (WSD-PRX-11). Returns its status: 0, or a Winsock error, which the provider passes on. */
  deviceControl(code: number, output: Out<unknown>, outputSize: number, returned: Out<number>): number {
    if (code !== SIO_ADDRESS_LIST_QUERY) return WSAEOPNOTSUPP;
    const Address = [...this.addresses];
    returned.value = 4 + Address.reduce((sum, { iSockaddrLength }) => sum + 16 + iSockaddrLength, 0);
    if (outputSize < returned.value) return WSAEFAULT;
    output.value = { iAddressCount: Address.length, Address } satisfies SOCKET_ADDRESS_LIST;
    return 0;
  }
}

function askHost(): SOCKET_ADDRESS[] {
  const all = Object.values(networkInterfaces()).flatMap((entries) => entries ?? []);
  return all
    .map(({ address, family }): Address => ({ address, family: family === 'IPv6' ? 'ipv6' : 'ipv4' }))
    .filter((address) => !isStranger(address))
    .map(entryOf);
}
