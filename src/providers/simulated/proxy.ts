/**
 * The proxy driver of the simulated NICs (section 22 of the digest), and TCP/IP of their host, which assigns the addresses and
 * tells who has registered.
 */

import type { AddressListener, InterfaceAddress } from '../../platform/index.js';
import {
  type Out,
  SIO_ADDRESS_LIST_QUERY,
  type SOCKET_ADDRESS_LIST,
  WSAEFAULT,
  WSAEOPNOTSUPP,
} from '../../spi/index.js';
import { addressList, type NicAddress, nicAddress } from './addresses.js';

/** The interface that a simulated NIC is, unless told otherwise. */
export const simulatedDevice = 1;

/** What assigns addresses to the interfaces of a simulated host, and takes them away. */
export class AddressAssignments {
  readonly #assigned = new Map<string, InterfaceAddress>();
  readonly #listeners = new Set<AddressListener>();

  /** `addresses` as `10.1.0.1/24`: those of the simulated NIC at first. */
  constructor(addresses: readonly string[] = []) {
    for (const address of addresses) this.assign(address);
  }

  assign(text: string, device = simulatedDevice): void {
    const assigned = describe(text, device);
    this.#assigned.set(`${device} ${assigned.address}`, assigned);
    for (const listener of this.#listeners) listener.added(assigned);
  }

  withdraw(text: string, device = simulatedDevice): void {
    const withdrawn = describe(text, device);
    this.#assigned.delete(`${device} ${withdrawn.address}`);
    for (const listener of this.#listeners) listener.removed(withdrawn);
  }

  /** How many are registered. */
  get listeners(): number {
    return this.#listeners.size;
  }

  /** Tells of all addresses before it returns, and of changes until what is returned is called. */
  readonly register = (listener: AddressListener): (() => void) => {
    for (const address of this.#assigned.values()) listener.added(address);
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };
}

function describe(text: string, device: number): InterfaceAddress {
  const { address, prefixLength } = nicAddress(text);
  return { address, prefixLength, family: address.includes(':') ? 'ipv6' : 'ipv4', device };
}

export class ProxyDriver implements AddressListener {
  readonly #assignments: AddressAssignments;
  readonly #devices: ReadonlySet<number>;
  #nics: readonly NicAddress[] = [];
  #stop: (() => void) | null = null;

  /** `devices`: the NICs that it controls. */
  constructor(assignments: AddressAssignments, devices: Iterable<number> = [simulatedDevice]) {
    this.#assignments = assignments;
    this.#devices = new Set(devices);
  }

  /** What DriverEntry does: registers, and is told of all addresses that there are (WSD-PRX-3). */
  load(): void {
    this.#stop = this.#assignments.register(this);
  }

  unload(): void {
    this.#stop?.();
    this.ended();
  }

  added({ device, address, prefixLength }: InterfaceAddress): void {
    // A NIC of somebody else (WSD-PRX-4).
    if (!this.#devices.has(device)) return;
    this.#nics = [...this.#nics.filter((nic) => nic.address !== address), { address, prefixLength }];
  }

  removed({ device, address }: InterfaceAddress): void {
    if (this.#devices.has(device)) this.#nics = this.#nics.filter((nic) => nic.address !== address);
  }

  ended(): void {
    this.#stop = null;
    this.#nics = [];
  }

  serves(address: string): boolean {
    return this.#nics.some((nic) => nic.address === address);
  }

  /** A request of the provider (WSD-PRX-11). Returns its status: 0, or a Winsock error, which the provider passes on. */
  deviceControl(code: number, output: Out<unknown>, outputSize: number, returned: Out<number>): number {
    if (code !== SIO_ADDRESS_LIST_QUERY) return WSAEOPNOTSUPP;
    const Address = addressList(this.#nics);
    returned.value = 4 + Address.reduce((sum, { iSockaddrLength }) => sum + 16 + iSockaddrLength, 0);
    if (outputSize < returned.value) return WSAEFAULT;
    output.value = { iAddressCount: Address.length, Address } satisfies SOCKET_ADDRESS_LIST;
    return 0;
  }
}
