/** WSPRdmaRead: memory of the peer comes here, and nobody there is asked. */

import assert from 'node:assert/strict';
import { MEM_READ, WSA_IO_PENDING, type WSPRdmaRead, WSPRdmaReadGuid } from '../../spi/index.js';
import { buffer, notify, region } from '../memory.js';
import { connectedScenario, type Scenario } from '../scenario.js';

export const rdmaRead: readonly Scenario[] = [
  connectedScenario(
    'WSD-XFR-32 WSD-OVL-21 an RDMA read moves bytes the other way, has its result from WSPGetOverlappedResult, and asks nobody',
    async (bench, mine, theirs) => {
      const { server, client } = bench;
      const memory = region(64);
      memory.bytes.set(Buffer.from('to be read'), 16);
      const descriptor = new Uint8Array(64);
      const length = { value: 64 };
      assert.equal(server.registerRdma(theirs, memory, 16, 32, MEM_READ, descriptor, length, server.errno), 0);
      const read = client.extension<WSPRdmaRead>(WSPRdmaReadGuid);
      const target = client.memory(mine, 16);
      const reading = notify();
      const list = [buffer(target, 8, 4)];
      const result = read(mine, list, 1, descriptor, length.value, 6, null, 0, reading, null, null, client.errno);
      assert.equal(client.failure(result), WSA_IO_PENDING);
      await bench.until(() => client.completions.some((one) => one.overlapped === reading), 'it is read');
      assert.deepEqual(client.result(mine, reading), [true, 4, 0]);
      assert.equal(Buffer.from(target.memory.bytes).toString('latin1'), '\0\0\0\0\0\0\0\0read\0\0\0\0');
      assert.deepEqual(server.completions, []);
    },
    { needs: ['rdmaRead'] },
  ),
];
