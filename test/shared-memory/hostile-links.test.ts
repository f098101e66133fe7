/** Peers that link as any other and then do not play their part: no connect waits for them for ever, and nothing throws. */

import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import type { PlatformError } from '../../src/platform/index.js';
import { ARENA_SIZE, arenaLayout, RING_SIZE, SLOTS } from '../../src/providers/shared-memory/arena.js';
import sharedMemory, { openSharedMemory, type SharedMemoryRig } from '../../src/providers/shared-memory/conformance.js';
import { type EstablishedLink, LinkEndpoint } from '../../src/providers/shared-memory/endpoint.js';
import {
  CONNECT_SIZE,
  REQUEST_ACCEPTED,
  REQUEST_PENDING,
  requestWord,
  writeConnect,
} from '../../src/providers/shared-memory/records.js';
import { Rendezvous } from '../../src/providers/shared-memory/rendezvous.js';
import { RingProducer } from '../../src/providers/shared-memory/ring.js';
import { AF_INET, WSAETIMEDOUT } from '../../src/spi/index.js';
import { platform } from '../link/support.js';
import { ProviderBench } from '../provider/support.js';
import { realTime } from '../support/real-time.js';

let rig: SharedMemoryRig;
let bench: ProviderBench;
const cleanups: (() => void)[] = [];
beforeEach(() => {
  rig = openSharedMemory({ connectBudget: 4 });
  bench = new ProviderBench(rig, sharedMemory);
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) cleanup();
  await bench.close();
});

/** Somebody who can be found, and gets the links. */
function hostile(
  arenaSize = ARENA_SIZE,
  onLink: (link: EstablishedLink) => void = () => {},
): LinkEndpoint & { rendezvous: Rendezvous } {
  const rendezvous = new Rendezvous({ environment: { SOCKETS_DIRECT_DIR: rig.place }, platform });
  const endpoint = new LinkEndpoint({ ...realTime, platform, rendezvous, arenaSize, onLink });
  cleanups.push(() => {
    endpoint.close();
    rendezvous.close();
  });
  return Object.assign(endpoint, { rendezvous });
}

const tokenOf = (port: number): string => {
  const [entry] = hostile().rendezvous.list(port);
  assert.ok(entry !== undefined);
  return entry.token;
};

test('a peer that asks for a smaller arena, or gives one, is refused', async () => {
  const port = bench.port();
  bench.server.listen(port);
  const token = tokenOf(port);
  await assert.rejects(hostile(64 * 1024).dial(token), (error: PlatformError) => error.reason === 'peer-protocol');
  assert.ok((await hostile().dial(token)).arena.byteLength === ARENA_SIZE, 'others are served');

  const small = hostile(ARENA_SIZE - 4096);
  small.publish();
  const lure = bench.port();
  small.rendezvous.register(lure, '127.0.0.1');
  assert.equal(await bench.outcome(bench.connecting(lure)), WSAETIMEDOUT);
});

for (const [what, act] of [
  ['says in the request that it has accepted, and never says so in a record', accept],
  ['is always about to answer', chatter],
] as const) {
  test(`[shared-memory] a connect does not wait for ever for a peer that ${what}`, async () => {
    const lure = bench.port();
    const server = hostile(ARENA_SIZE, (link) => {
      link.socket.resume();
      const again = (): void => {
        if (link.socket.destroyed) return;
        act(link);
        setImmediate(again);
      };
      again();
      cleanups.push(() => link.socket.destroy());
    });
    server.publish();
    server.rendezvous.register(lure, '127.0.0.1');
    assert.equal(await bench.outcome(bench.connecting(lure)), WSAETIMEDOUT);
  });
}

function accept({ arena }: EstablishedLink): void {
  const requests = new Int32Array(arena, arenaLayout(1).peerRequests, SLOTS);
  Atomics.compareExchange(requests, 1, requestWord(1, REQUEST_PENDING), requestWord(1, REQUEST_ACCEPTED));
}

const producers = new WeakMap<EstablishedLink, RingProducer>();

/** Requests for a port where nobody listens, withdrawn at once: they need no answer. */
function chatter(link: EstablishedLink): void {
  const { sendHead, sendTail, sendRing } = arenaLayout(1);
  let producer = producers.get(link);
  if (producer === undefined) {
    producer = new RingProducer(link.arena, sendHead, sendTail, sendRing, RING_SIZE);
    producers.set(link, producer);
  }
  const nowhere = { sa_family: AF_INET, address: '127.0.0.1', port: 9 };
  const offset = producer.begin(CONNECT_SIZE);
  if (offset < 0) return;
  writeConnect(producer.region.words, offset, SLOTS + 1, 1, nowhere, nowhere);
  producer.commit(offset, CONNECT_SIZE, 0);
  platform.ringDoorbell(link.descriptor);
}
