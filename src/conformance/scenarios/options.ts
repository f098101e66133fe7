/** Socket options, control codes and quality of service (section 16 of the digest). */

import assert from 'node:assert/strict';
import {
  IPPROTO_TCP,
  type ProviderSocket,
  SIO_GET_GROUP_QOS,
  SIO_GET_QOS,
  SIO_SET_GROUP_QOS,
  SIO_SET_QOS,
  SO_GROUP_ID,
  SO_GROUP_PRIORITY,
  SO_MAX_MSG_SIZE,
  SO_MAX_RDMA_SIZE,
  SOL_SOCKET,
  WSA_IO_PENDING,
  WSAEFAULT,
  WSAEINVAL,
  WSAENOPROTOOPT,
  WSAENOTSOCK,
  WSAEOPNOTSUPP,
  XP1_QOS_SUPPORTED,
} from '../../spi/index.js';
import { buffer, poll } from '../memory.js';
import type { Node } from '../node.js';
import { connectedScenario, type Scenario, scenario } from '../scenario.js';

/** Bytes of an RDMA transfer that every provider without a limit must manage. */
const large = 1 << 20;

/** The value of an option, or null with the error of the call left in `errno`. */
function option(node: Node, s: ProviderSocket, name: number, level = SOL_SOCKET): number | null {
  const value = { value: 0 };
  return node.table.WSPGetSockOpt(s, level, name, value, { value: 4 }, node.errno) === 0 ? value.value : null;
}

export const options: readonly Scenario[] = [
  scenario(
    'WSD-OPT-3 WSD-OPT-12 WSD-OPT-14 the message size limit can be asked in any state; its buffer and others are refused',
    async (bench) => {
      const { server } = bench;
      const { theirs } = await bench.connected();
      for (const socket of [server.socket(), server.bound(bench.port()), server.listen(bench.port()).socket, theirs]) {
        const value = { value: 0 };
        const length = { value: 8 };
        const ask = (level: number, option: number): number =>
          server.table.WSPGetSockOpt(socket, level, option, value, length, server.errno);
        assert.equal(ask(SOL_SOCKET, SO_MAX_MSG_SIZE), 0);
        assert.ok(value.value >= 256);
        assert.equal(length.value, 4);
        length.value = 3;
        assert.equal(server.failure(ask(SOL_SOCKET, SO_MAX_MSG_SIZE)), WSAEFAULT);
        length.value = 4;
        for (const [level, option] of [
          [SOL_SOCKET, 0x7777],
          [IPPROTO_TCP, SO_MAX_MSG_SIZE],
          [0x1234, 1],
        ] as const) {
          assert.ok([WSAENOPROTOOPT, WSAEINVAL].includes(server.failure(ask(level, option))));
        }
      }
    },
  ),

  scenario('WSD-OPT-13 options that cannot be set are refused, those of other levels too', ({ server }) => {
    const { table, errno } = server;
    const socket = server.socket();
    for (const [level, name] of [
      [SOL_SOCKET, 0x7777],
      [SOL_SOCKET, SO_MAX_MSG_SIZE],
      [SOL_SOCKET, SO_MAX_RDMA_SIZE],
      [IPPROTO_TCP, 1],
      [0x1234, 1],
    ] as const) {
      const error = server.failure(table.WSPSetSockOpt(socket, level, name, 1, 4, errno));
      assert.ok([WSAENOPROTOOPT, WSAEINVAL].includes(error), `${level} ${name}: ${error}`);
    }
    server.close(socket);
    assert.equal(server.failure(table.WSPSetSockOpt(socket, SOL_SOCKET, 1, 1, 4, errno)), WSAENOTSOCK);
  }),

  scenario(
    'WSD-OPT-7 WSD-OPT-9 WSD-OPT-10 quality of service is declared exactly if its options and control codes are there',
    ({ server }) => {
      const { table, errno } = server;
      const declared = (server.party.provider.protocolInfo.dwServiceFlags1 & XP1_QOS_SUPPORTED) !== 0;
      const socket = server.socket();
      for (const name of [SO_GROUP_ID, SO_GROUP_PRIORITY]) {
        assert.equal(option(server, socket, name) !== null, declared);
        if (!declared) assert.ok([WSAENOPROTOOPT, WSAEINVAL].includes(server.failure(-1)));
      }
      for (const code of [SIO_GET_QOS, SIO_GET_GROUP_QOS, SIO_SET_QOS, SIO_SET_GROUP_QOS]) {
        const out = { value: null };
        const result = table.WSPIoctl(socket, code, null, 0, out, 256, { value: 0 }, null, null, null, errno);
        assert.equal(result === 0, declared);
        if (!declared) assert.equal(server.failure(result), WSAEOPNOTSUPP);
      }
    },
  ),

  scenario('WSD-OPT-11 WSPGetQOSByName without quality of service fails with WSAEOPNOTSUPP', ({ server }) => {
    const { table, errno } = server;
    const qos = { value: null };
    const found = table.WSPGetQOSByName(server.socket(), 'web', qos, errno);
    assert.equal(found, false);
    assert.equal(server.failure(found), WSAEOPNOTSUPP);
    assert.equal(qos.value, null);
  }),

  connectedScenario(
    'WSD-OPT-4 an RDMA size limit is told, or there is none',
    async (bench, mine, theirs) => {
      const { server, client } = bench;
      const limit = option(client, mine, SO_MAX_RDMA_SIZE);
      const size = Math.min(limit ?? large, large);
      client.errno.value = 0;
      const target = server.memory(theirs, size);
      const descriptor = new Uint8Array(64);
      const length = { value: 64 };
      assert.equal(server.registerRdma(theirs, target.memory, 0, size, 2, descriptor, length, server.errno), 0);
      const source = client.memory(mine, size);
      source.memory.bytes.fill(7);
      const list = [buffer(source, 0, size)];
      const { errno } = client;
      const result = client.rdmaWrite(mine, list, 1, descriptor, length.value, 0, null, 0, poll(), null, null, errno);
      if (result !== 0) assert.equal(client.failure(result), WSA_IO_PENDING);
      await bench.until(() => target.memory.bytes.at(-1) === 7, 'all of it has come');
      assert.ok(target.memory.bytes.every((byte) => byte === 7));
    },
    { needs: ['rdmaWrite'] },
  ),
];
