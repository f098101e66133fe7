/** What a peer can make a link hold, and how long it can keep it busy, has bounds. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ARENA_SIZE, arenaLayout, RING_SIZE, SLOTS } from '../../src/providers/shared-memory/arena.js';
import { PeerLink } from '../../src/providers/shared-memory/link.js';
import {
  ACCEPT_SIZE,
  CLOSE_SIZE,
  CONNECT_SIZE,
  RECORD_ACCEPT,
  RECORD_REFUSE,
  REFUSE_SIZE,
  REFUSED_NO_LISTENER,
  REQUEST_PENDING,
  requestWord,
  writeConnect,
} from '../../src/providers/shared-memory/records.js';
import { RingProducer } from '../../src/providers/shared-memory/ring.js';
import { callee, caller, Loop } from './link-support.js';

function linked(arena: ArrayBuffer): { loop: Loop; ring: RingProducer; requests: Int32Array } {
  const loop = new Loop();
  loop.link = new PeerLink({ arena, side: 0, poller: loop.poller, owner: loop, ringDoorbell: () => true });
  const { sendHead, sendTail, sendRing, myRequests } = arenaLayout(1);
  return {
    loop,
    ring: new RingProducer(arena, sendHead, sendTail, sendRing, RING_SIZE),
    requests: new Int32Array(arena, myRequests, SLOTS),
  };
}

test('a peer that asks and asks, and takes no answer, loses the link before its answers fill the memory', () => {
  const { loop, ring, requests } = linked(new ArrayBuffer(ARENA_SIZE));
  let refused = 0;
  for (let generation = 1; loop.ends.length === 0; generation++) {
    Atomics.store(requests, 1, requestWord(generation, REQUEST_PENDING));
    const offset = ring.begin(CONNECT_SIZE);
    assert.ok(offset >= 0, 'the ring is always drained');
    writeConnect(ring.region.words, offset, SLOTS + 1, generation, callee, caller);
    ring.commit(offset, CONNECT_SIZE, 0);
    loop.bell = true;
    while (loop.requests.length === 0 && loop.turn());
    for (const request of loop.requests.splice(0)) {
      loop.link.refuse(request.id, request.generation, REFUSED_NO_LISTENER);
      refused++;
    }
    assert.ok(refused <= RING_SIZE / REFUSE_SIZE + 3 * SLOTS, `${refused} refusals wait`);
  }
  assert.ok(refused > 2 * SLOTS, 'as many as a correct peer may have provoked do no harm');
  assert.deepEqual(loop.ends, ['answers are not taken']);
});

test('a refusal of what was accepted is counted once for the connection that it ends', () => {
  const { loop, ring } = linked(new ArrayBuffer(ARENA_SIZE));
  const record = (length: number, ...words: readonly number[]): void => {
    const offset = ring.begin(length);
    ring.region.words.set(words, offset >> 2);
    ring.commit(offset, length, 0);
    loop.bell = true;
    loop.rest();
  };
  const party = loop.connect();
  record(ACCEPT_SIZE, RECORD_ACCEPT, 1, 1);
  for (let i = 0; i < 3; i++) record(REFUSE_SIZE, RECORD_REFUSE, 1, 1, 1);
  assert.deepEqual([party.connection.isConnected, loop.violations, loop.ends], [false, 1, []]);
  record(CLOSE_SIZE, 99, 1, 1);
  assert.equal(loop.ends.length, 1);
  assert.equal(loop.violations, 1);
});

test('a peer that closes and goes on writing does not keep the loop busy', () => {
  const { loop, ring } = linked(new ArrayBuffer(ARENA_SIZE));
  const ask = (): void => {
    const offset = ring.begin(CONNECT_SIZE);
    assert.ok(offset >= 0);
    writeConnect(ring.region.words, offset, SLOTS + 1, 1, callee, caller);
    ring.commit(offset, CONNECT_SIZE, 0);
  };
  ask();
  let asked = 0;
  loop.connectRequest = () => {
    asked++;
    // Always one more behind the one that is looked at.
    ask();
    if (asked > 50_000) assert.fail('more than a ring holds is drained');
  };
  loop.link.end('peer-gone');
  assert.ok(asked > 1000, `${asked} requests were drained`);
  assert.deepEqual(loop.ends, ['peer-gone']);
});
