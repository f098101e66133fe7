/** What stands for the proxy driver: the addresses of the NICs, as TCP/IP assigns them, and requests of the provider (section 22). */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { name } from '../../src/conformance/memory.js';
import { AddressAssignments } from '../../src/providers/simulated/proxy.js';
import {
  SIO_ADDRESS_LIST_CHANGE,
  SIO_ADDRESS_LIST_QUERY,
  type SOCKET_ADDRESS_LIST,
  WSAEADDRNOTAVAIL,
  WSAEFAULT,
  WSAEOPNOTSUPP,
} from '../../src/spi/index.js';
import { providers } from './adapters.js';
import { type Node, on, type ProviderBench } from './support.js';

/** What the provider lists, apart from the loopback network. */
function listed({ table, errno, socket }: { table: Node['table']; errno: Node['errno']; socket: object }): string[] {
  const out: { value: unknown } = { value: null };
  const returned = { value: 0 };
  const query = table.WSPIoctl(
    socket as never,
    SIO_ADDRESS_LIST_QUERY,
    null,
    0,
    out,
    1 << 16,
    returned,
    null,
    null,
    null,
    errno,
  );
  assert.equal(query, 0);
  const { Address } = out.value as SOCKET_ADDRESS_LIST;
  return Address.map(({ lpSockaddr }) => lpSockaddr.address).filter((address) => address !== '127.0.0.1');
}

function addressesOf(node: Node): string[] {
  const socket = node.socket();
  const found = listed({ table: node.table, errno: node.errno, socket });
  node.close(socket);
  return found;
}

/** A bench whose server's host has these addresses at first. */
function withAddresses(
  provider: (typeof providers)[number],
  body: (bench: ProviderBench, assignments: AddressAssignments) => void | Promise<void>,
  addresses: readonly string[] = ['10.1.0.1/24'],
): () => Promise<void> {
  const assignments = new AddressAssignments(addresses);
  return on(provider, (bench) => body(bench, assignments), { assignments });
}

/** An address and a device that are not the providers' business. */
const strangers = {
  // Only on its own link is such an address one.
  'shared-memory': ['fe80::7/64', 1],
  simulated: ['10.9.0.1/24', 7],
} as const;

for (const provider of providers) {
  test(
    `[${provider}] WSD-PRX-3 all addresses that there are are known right after the start`,
    withAddresses(
      provider,
      ({ server }) => assert.deepEqual(addressesOf(server), ['10.1.0.1', '10.2.0.1', 'fd00::1']),
      ['10.1.0.1/24', '10.2.0.1/24', 'fd00::1/64'],
    ),
  );

  test(
    `[${provider}] WSD-PRX-2 WSD-PRX-5 an address that comes is in the list, one that goes is taken off it`,
    withAddresses(provider, (bench, assignments) => {
      const { server } = bench;
      assignments.assign('10.4.0.1/24');
      assert.deepEqual(addressesOf(server), ['10.1.0.1', '10.4.0.1']);
      // TCP/IP may tell again of what is there.
      assignments.assign('10.4.0.1/24');
      assert.deepEqual(addressesOf(server), ['10.1.0.1', '10.4.0.1']);
      server.bound(bench.port(), '10.4.0.1');
      assignments.withdraw('10.4.0.1/24');
      assert.deepEqual(addressesOf(server), ['10.1.0.1']);
      const bind = server.table.WSPBind(server.socket(), name(bench.port(), '10.4.0.1'), 16, server.errno);
      assert.equal(server.failure(bind), WSAEADDRNOTAVAIL);
      assignments.withdraw('10.1.0.1/24');
      assert.deepEqual(addressesOf(server), []);
    }),
  );

  test(
    `[${provider}] WSD-PRX-4 what is not of its NICs is ignored, when it comes and when it goes`,
    withAddresses(provider, ({ server }, assignments) => {
      const [address, device] = strangers[provider];
      assignments.assign(address, device);
      assert.deepEqual(addressesOf(server), ['10.1.0.1']);
      assignments.assign(address.replace(/\/.*/, '/128').replace(/^10.*/, '10.1.0.1/24'), device + 1000);
      assignments.withdraw(address, device);
      assert.deepEqual(addressesOf(server), ['10.1.0.1']);
    }),
  );

  test(
    `[${provider}] WSD-PRX-6 WSD-PRX-11 the proxy answers the query, and the provider passes its status on, whatever the request`,
    withAddresses(provider, ({ server }) => {
      const { table, errno } = server;
      const request = (code: number, size: number, out: { value: unknown }): number => {
        const returned = { value: 0 };
        return table.WSPIoctl(server.socket(), code, null, 0, out, size, returned, null, null, null, errno);
      };
      const out: { value: unknown } = { value: null };
      assert.equal(request(SIO_ADDRESS_LIST_QUERY, 1 << 16, out), 0);
      assert.ok((out.value as SOCKET_ADDRESS_LIST).iAddressCount > 0);
      out.value = null;
      assert.equal(server.failure(request(SIO_ADDRESS_LIST_QUERY, 3, out)), WSAEFAULT);
      // Applications ask TCP/IP for changes, and the switch does.
      for (const code of [SIO_ADDRESS_LIST_CHANGE, 0, 0xffff]) {
        assert.equal(server.failure(request(code, 1 << 16, out)), WSAEOPNOTSUPP);
      }
      assert.equal(out.value, null);
    }),
  );

  test(
    `[${provider}] WSD-PRX-2 nothing is told to a provider that has been cleaned up`,
    withAddresses(provider, ({ server }, assignments) => {
      assert.equal(assignments.listeners, 1);
      server.stop();
      assert.equal(assignments.listeners, 0);
      assert.equal(server.start({ value: null }), 0);
      assignments.assign('10.4.0.1/24');
      assert.deepEqual(addressesOf(server), ['10.1.0.1', '10.4.0.1']);
    }),
  );
}
