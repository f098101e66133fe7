/** RDMA reads between two processes: by process_vm_readv where the kernel lets it, and without. */

import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { buffer, name, poll } from '../../src/conformance/memory.js';
import type { PeerMemoryReason } from '../../src/diagnostics/peer-memory.js';
import sharedMemory, { openSharedMemory } from '../../src/providers/shared-memory/conformance.js';
import type { SharedMemoryProvider } from '../../src/providers/shared-memory/provider.js';
import {
  type ProviderSocket,
  WSAECONNABORTED,
  type WSAOVERLAPPED,
  type WSPRdmaRead,
  WSPRdmaReadGuid,
  WSS_OPERATION_IN_PROGRESS,
} from '../../src/spi/index.js';
import { ProviderBench } from '../provider/support.js';

const allowed = process.env.SOCKETS_DIRECT_PEER_MEMORY !== 'off';
const port = 4100;

interface Reader {
  readonly child: ChildProcess;
  readonly bench: ProviderBench;
  readonly mine: ProviderSocket;
  readonly memory: Uint8Array;
  /** Starts a read of everything. */
  read(overlapped: WSAOVERLAPPED): boolean;
  access(): PeerMemoryReason | undefined;
}

async function connected(t: TestContext, size: number, { here = true, there = true } = {}): Promise<Reader> {
  const rig = openSharedMemory({ connectBudget: 15_000, peerMemory: here && allowed });
  const bench = new ProviderBench(rig, sharedMemory);
  t.after(() => bench.close());
  const path = fileURLToPath(new URL('rdma-peer.js', import.meta.url));
  const child = fork(path, [rig.place, String(port), String(size), there && allowed ? '' : 'off']);
  t.after(() => child.kill('SIGKILL'));
  const [said] = (await once(child, 'message')) as [string];
  assert.equal(said, 'listening');
  const { client } = bench;
  const connecting = client.connect(name(port, '127.0.0.1'), bench.port());
  const told = once(child, 'message') as Promise<[string]>;
  assert.equal(await bench.outcome(connecting), 0);
  const descriptor = Buffer.from((await told)[0], 'hex');
  const mine = connecting.socket;
  const target = client.memory(mine, size);
  const rdmaRead = client.extension<WSPRdmaRead>(WSPRdmaReadGuid);
  const { links } = client.party.provider as SharedMemoryProvider;
  return {
    child,
    bench,
    mine,
    memory: target.memory.bytes,
    read: (overlapped) => {
      const { errno } = client;
      const list = [buffer(target)];
      return rdmaRead(mine, list, 1, descriptor, descriptor.length, 0, null, 0, overlapped, null, null, errno) === 0;
    },
    access: () => [...links!.peers()][0]?.memory,
  };
}

const isOver = ({ Internal }: WSAOVERLAPPED): boolean => Internal !== WSS_OPERATION_IN_PROGRESS;

for (const [what, here, there, expected] of [
  ['straight from the process', true, true, 'direct'],
  ['over the ring, because this side must not', false, true, 'off-by-environment'],
  ['over the ring, because the peer does not offer it', true, false, 'off-at-peer'],
] as const) {
  test(`[shared-memory] WSD-XFR-32 16 MiB of another process are read ${what}, to the byte`, async (t) => {
    const size = 16 << 20;
    const { bench, mine, memory, read, access } = await connected(t, size, { here, there });
    assert.equal(access(), 'not-tried');
    const overlapped = poll();
    read(overlapped);
    await bench.until(() => isOver(overlapped), 'it is read');
    assert.deepEqual(bench.client.result(mine, overlapped), [true, size, 0]);
    assert.equal(access(), allowed || !here ? expected : 'off-by-environment');
    for (let i = 0; i < size; i++) if (memory[i] !== (((i * 31) >>> 3) & 0xff)) assert.fail(`byte ${i}`);
  });
}

test('[shared-memory] WSD-XFR-32 the process that is read may do something else, if the kernel lets it be read', {
  skip: allowed ? false : 'SOCKETS_DIRECT_PEER_MEMORY=off, so its loop has to turn',
}, async (t) => {
  const { child, bench, memory, read, access } = await connected(t, 1 << 20);
  child.send('be busy');
  const overlapped = poll();
  assert.equal(read(overlapped), true);
  assert.equal(access(), 'direct');
  assert.equal(memory[1000], ((1000 * 31) >>> 3) & 0xff);
  bench.close();
});

for (const here of [true, false]) {
  const way = here ? 'directly' : 'over the ring';
  test(`[shared-memory] WSD-MEM-10 a process that dies while it is read ${way} ends the read with an error, and nothing else`, async (t) => {
    const { child, bench, mine, read } = await connected(t, 256 << 20, { here });
    const overlapped = poll();
    assert.equal(read(overlapped), false);
    child.kill('SIGKILL');
    await bench.until(() => isOver(overlapped), 'it has ended');
    assert.deepEqual(bench.client.result(mine, overlapped), [false, 0, WSAECONNABORTED]);
    const held = readdirSync('/proc/self/fd').length;
    assert.ok(held < 100, 'nothing is held on to');
  });
}
