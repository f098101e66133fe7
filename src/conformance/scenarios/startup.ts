/** What a provider shows of itself, how it is started, and what it tells of its addresses and extensions. */

import assert from 'node:assert/strict';
import {
  AF_INET,
  INVALID_SOCKET,
  IPPROTO_TCP,
  PFL_HIDDEN,
  procedureNames,
  SIO_ADDRESS_LIST_QUERY,
  SOCK_STREAM,
  type SOCKET_ADDRESS_LIST,
  tcpipInfo,
  WINSOCK_VERSION,
  WSA_FLAG_OVERLAPPED,
  WSAEFAULT,
  WSAEINVAL,
  WSAENOTSOCK,
  WSAEOPNOTSUPP,
  WSANOTINITIALISED,
  WSASYSNOTREADY,
  WSAVERNOTSUPPORTED,
  WSPDeregisterMemoryGuid,
  WSPDeregisterRdmaMemoryGuid,
  WSPMemoryRegistrationCacheCallbackGuid,
  type WSPPROC_TABLE,
  WSPRdmaReadGuid,
  WSPRdmaWriteGuid,
  WSPRegisterMemoryGuid,
  WSPRegisterRdmaMemoryGuid,
} from '../../spi/index.js';
import { type Scenario, scenario } from '../scenario.js';

const mandatory = {
  WSPRegisterMemoryGuid,
  WSPDeregisterMemoryGuid,
  WSPRegisterRdmaMemoryGuid,
  WSPDeregisterRdmaMemoryGuid,
  WSPRdmaWriteGuid,
};
const optional = { WSPRdmaReadGuid, WSPMemoryRegistrationCacheCallbackGuid };

/** The entries of WSPUPCALLTABLEEX, in their order. */
const upcallNames = [
  'WPUCloseEvent',
  'WPUCloseSocketHandle',
  'WPUCreateEvent',
  'WPUCreateSocketHandle',
  'WPUFDIsSet',
  'WPUGetProviderPath',
  'WPUModifyIFSHandle',
  'WPUPostMessage',
  'WPUQueryBlockingCallback',
  'WPUQuerySocketHandleContext',
  'WPUQueueApc',
  'WPUResetEvent',
  'WPUSetEvent',
  'WPUOpenCurrentThread',
  'WPUCloseThread',
  'WPUCompleteOverlappedRequest',
];

/** Everything callable that an object and what it inherits offers, getters not asked. */
function functionsOf(object: object): string[] {
  const names = new Set<string>();
  for (let o: object | null = object; o !== null && o !== Object.prototype; o = Object.getPrototypeOf(o)) {
    for (const [key, { value }] of Object.entries(Object.getOwnPropertyDescriptors(o))) {
      if (typeof value === 'function' && key !== 'constructor') names.add(key);
    }
  }
  return [...names];
}

export const startup: readonly Scenario[] = [
  scenario(
    'WSD-COMP-13 WSD-SPI-1 WSD-REG-2 the only function of a provider is WSPStartupEx; its table has the required 17, and it is hidden',
    async ({ server, subject }) => {
      const made = Object.values(await subject.module()).filter((value) => typeof value === 'function');
      // Two event loops of one process need two providers, so the module's function is what makes one.
      assert.equal(made.length, 1);
      assert.deepEqual(functionsOf(server.party.provider), ['WSPStartupEx']);
      assert.deepEqual(functionsOf(server.table).sort(), [...procedureNames].sort());
      assert.ok((server.party.provider.protocolInfo.dwProviderFlags & PFL_HIDDEN) !== 0);
    },
  ),

  scenario(
    'WSD-INI-8 WSD-INI-7 the start returns its error itself and takes version 2.2 and above only',
    ({ server }) => {
      const out: { value: WSPPROC_TABLE | null } = { value: null };
      for (const version of [0x0001, 0x0101, 0x0002, 0x0102, 0xff01]) {
        assert.equal(server.start(out, version), WSAVERNOTSUPPORTED, version.toString(16));
        assert.equal(out.value, null);
      }
      assert.equal(server.start(null as never), WSAEFAULT);
      assert.equal(server.start(out, WINSOCK_VERSION, null as never), WSAEFAULT);
      for (const version of [0x0202, 0x0302, 0x0003]) {
        const data = { wVersion: 0, wHighVersion: 0, szDescription: '' };
        assert.equal(server.start(out, version, data), 0);
        assert.deepEqual([data.wVersion, data.wHighVersion], [WINSOCK_VERSION, WINSOCK_VERSION]);
        assert.ok(data.szDescription.length > 0 && data.szDescription.length < 256);
      }
    },
  ),

  scenario(
    `WSD-INI-4 a provider knows the switch by the TCP/IP provider's info, and serves nobody else`,
    ({ server }) => {
      const others = [
        server.party.provider.protocolInfo,
        { ...tcpipInfo, iProtocol: 17 },
        { ...tcpipInfo, iSocketType: 2 },
      ];
      for (const info of others) {
        const out: { value: WSPPROC_TABLE | null } = { value: null };
        assert.equal(server.start(out, undefined, undefined, info), WSASYSNOTREADY);
        assert.equal(out.value, null);
      }
      assert.equal(server.start({ value: null }), 0);
    },
  ),

  scenario('WSD-INI-9 WSD-CLS-23 starts are counted, and only the last cleanup ends everything', (bench) => {
    const { server } = bench;
    const { table, errno } = server;
    assert.equal(server.start({ value: null }), 0);
    const socket = server.bound(bench.port());
    assert.equal(table.WSPCleanup(errno), 0);
    assert.equal(table.WSPListen(socket, 1, errno), 0, 'still started once');
    assert.equal(table.WSPCleanup(errno), 0);
    assert.deepEqual(server.log, ['create 0', 'close 0']);
    assert.equal(server.failure(table.WSPListen(socket, 1, errno)), WSAENOTSOCK);
    assert.equal(server.failure(table.WSPCleanup(errno)), WSANOTINITIALISED);
    const made = table.WSPSocket(AF_INET, SOCK_STREAM, IPPROTO_TCP, null, 0, WSA_FLAG_OVERLAPPED, errno);
    assert.equal(server.failure(made), WSANOTINITIALISED);
    assert.equal(server.start({ value: null }), 0, 'it can be started again');
    server.bound(bench.port());
  }),

  scenario(
    'WSD-INI-13 WSD-SPI-2 every mandatory extension is a function, whatever the socket that asks',
    ({ server }) => {
      const closed = server.socket();
      server.close(closed);
      for (const [what, guid] of Object.entries(mandatory)) {
        for (const socket of [INVALID_SOCKET, closed, server.socket()] as const) {
          const out: { value: unknown } = { value: null };
          assert.equal(server.fetch(guid, out, socket), 0, what);
          assert.equal(typeof out.value, 'function', what);
        }
      }
    },
  ),

  scenario(
    'WSD-INI-15 WSD-INI-16 WSD-INI-17 optional extensions are there or refused, unknown ones invalid, whatever the socket',
    ({ server }) => {
      for (const guid of Object.values(optional)) {
        const out: { value: unknown } = { value: null };
        if (server.fetch(guid, out) === 0) {
          assert.equal(typeof out.value, 'function');
        } else {
          assert.equal(server.failure(-1), WSAEOPNOTSUPP);
          assert.equal(out.value, null);
        }
      }
      const unknown = server.fetch('00000000-0000-0000-0000-000000000000', { value: null });
      assert.equal(server.failure(unknown), WSAEINVAL);
    },
  ),

  scenario(
    'WSD-TBL-2 WSD-TBL-3 WSD-PRX-6 the address list, and its size for a buffer that is too small',
    ({ server }) => {
      const { table, errno } = server;
      const out: { value: unknown } = { value: null };
      const returned = { value: 0 };
      const socket = server.socket();
      const query = (size: number): number =>
        table.WSPIoctl(socket, SIO_ADDRESS_LIST_QUERY, null, 0, out, size, returned, null, null, null, errno);
      assert.equal(server.failure(query(0)), WSAEFAULT);
      const needed = returned.value;
      assert.equal(server.failure(query(needed - 1)), WSAEFAULT);
      assert.equal(out.value, null);
      assert.equal(query(needed), 0);
      const { iAddressCount, Address } = out.value as unknown as SOCKET_ADDRESS_LIST;
      assert.equal(iAddressCount, Address.length);
      assert.ok(iAddressCount > 0 && needed >= 4 + iAddressCount * 32);
      assert.ok(Address.every(({ lpSockaddr }) => lpSockaddr.port === 0));
      const strange = table.WSPIoctl(socket, 0x1234, null, 0, out, 0, returned, null, null, null, errno);
      assert.equal(server.failure(strange), WSAEOPNOTSUPP);
    },
  ),

  scenario(
    'WSD-COMP-17 every address of the list is one that TCP/IP has as well, so that falling back can work',
    async (bench) => {
      const { server } = bench;
      const list: { value: unknown } = { value: null };
      const { WSPIoctl } = server.table;
      const returned = { value: 0 };
      WSPIoctl(
        server.socket(),
        SIO_ADDRESS_LIST_QUERY,
        null,
        0,
        list,
        1 << 20,
        returned,
        null,
        null,
        null,
        server.errno,
      );
      const { Address } = list.value as unknown as SOCKET_ADDRESS_LIST;
      for (const { lpSockaddr } of Address) {
        // 127.0.0.0/8 stands for all its addresses.
        const address = lpSockaddr.address === '127.0.0.0' ? '127.0.0.1' : lpSockaddr.address;
        assert.ok(await bench.servedByTcpip(address), address);
        if (lpSockaddr.sa_family === AF_INET) server.bound(bench.port(), address);
      }
    },
  ),

  scenario(
    'WSD-THR-5 WSD-THR-6 all up-calls, completions too, are entries of the table given to WSPStartupEx',
    async (bench) => {
      const { server } = bench;
      server.stop();
      const used = new Set<string>();
      const table = new Proxy(server.upcalls, {
        get: (target, name) => {
          used.add(String(name));
          return Reflect.get(target, name);
        },
      });
      const info = tcpipInfo;
      const data = { wVersion: 0, wHighVersion: 0, szDescription: '' };
      assert.equal(server.party.provider.WSPStartupEx(WINSOCK_VERSION, data, info, table, { value: null }), 0);
      const { mine, theirs } = await bench.connected();
      bench.posted(theirs);
      bench.client.say(mine, 'x');
      await bench.received(1);
      server.close(theirs);
      assert.deepEqual(
        [...used].filter((name) => !upcallNames.includes(name)),
        [],
      );
      // What was seen happening went through the table.
      for (const needed of ['WPUCreateSocketHandle', 'WPUCompleteOverlappedRequest', 'WPUCloseSocketHandle']) {
        assert.ok(used.has(needed), needed);
      }
    },
  ),
];
