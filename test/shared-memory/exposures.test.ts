/** The table by which a peer reads RDMA memory by itself: both sides of it over plain memory. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { arenaLayout } from '../../src/providers/shared-memory/arena.js';
import { EXPOSURE_SIZE, EXPOSURES, Exposures, PeerExposures } from '../../src/providers/shared-memory/exposures.js';
import { MEM_READ, MEM_WRITE } from '../../src/spi/index.js';

const connection = 17;
const start = 0x7fff_1234_5678n;

function sides(): { arena: ArrayBuffer; owner: Exposures; reader: PeerExposures; words: Int32Array } {
  const arena = new ArrayBuffer(4096);
  const { myExposures } = arenaLayout(0);
  return {
    arena,
    owner: new Exposures(arena, myExposures),
    reader: new PeerExposures(arena, arenaLayout(1).peerExposures),
    words: new Int32Array(arena, myExposures, (EXPOSURES * EXPOSURE_SIZE) / 4),
  };
}

function descriptorOf(reference: number, length: number, key0 = 1234, key1 = -99): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeInt32LE(key0, 0);
  bytes.writeInt32LE(key1, 4);
  bytes.writeInt32LE(length, 8);
  bytes.writeUInt32LE(reference, 12);
  return bytes;
}

test('what is exposed is found by its descriptor, as long as it is exposed', () => {
  const { owner, reader } = sides();
  const reference = owner.add(connection, start, 4096, MEM_READ, 1234, -99);
  const descriptor = descriptorOf(reference, 4096);
  const range = reader.begin(descriptor, connection, 100, 3996);
  assert.equal(range?.address, start + 100n);
  assert.equal(reader.isThere(range), true);
  reader.end(range);
  assert.equal(owner.remove(reference), true);
  assert.equal(reader.isThere(range), false);
  assert.equal(reader.begin(descriptor, connection, 0, 1), null);
});

test('WSD-MEM-26 what is being read stays until the end of the read, and a dropped entry is known to be gone', () => {
  const { owner, reader } = sides();
  const reference = owner.add(connection, start, 4096, MEM_READ, 1234, -99);
  const range = reader.begin(descriptorOf(reference, 4096), connection, 0, 4096)!;
  assert.equal(owner.remove(reference), false);
  assert.equal(reader.isThere(range), true, 'nothing has changed');
  reader.end(range);
  assert.equal(owner.remove(reference), true);

  const second = owner.add(connection, start, 4096, MEM_READ, 1234, -99);
  const reading = reader.begin(descriptorOf(second, 4096), connection, 0, 4096)!;
  owner.drop(second);
  assert.equal(reader.isThere(reading), false);
  // The entry is used anew while the old reader is still there.
  const third = owner.add(connection, start, 64, MEM_READ, 1234, -99);
  assert.equal(third & 0xff, second & 0xff);
  assert.equal(reader.isThere(reading), false);
  reader.end(reading);
  assert.equal(owner.remove(third), true);
});

test('WSD-MEM-6 WSD-MEM-13 WSD-MEM-31 another connection, another key, another access or range is not found', () => {
  const { owner, reader } = sides();
  const readable = owner.add(connection, start, 4096, MEM_READ, 1234, -99);
  const writable = owner.add(connection, start, 4096, MEM_WRITE, 1234, -99);
  for (const [what, descriptor, id, offset, length] of [
    ['another connection', descriptorOf(readable, 4096), connection + 1, 0, 8],
    ['another key', descriptorOf(readable, 4096, 1235), connection, 0, 8],
    ['another second half of it', descriptorOf(readable, 4096, 1234, 99), connection, 0, 8],
    ['another length', descriptorOf(readable, 8192), connection, 0, 8],
    ['an earlier generation', descriptorOf(readable + 256, 4096), connection, 0, 8],
    ['no entry', descriptorOf(0, 4096), connection, 0, 8],
    ['an entry beyond the table', descriptorOf((1 << 8) | 200, 4096), connection, 0, 8],
    ['write-only', descriptorOf(writable, 4096), connection, 0, 8],
    ['behind the end', descriptorOf(readable, 4096), connection, 4090, 8],
    ['before the begin', descriptorOf(readable, 4096), connection, -8, 8],
  ] as const) {
    assert.equal(reader.begin(descriptor, id, offset, length), null, what);
  }
  assert.equal(owner.remove(readable), true, 'and none of these counts as a read');
  assert.equal(owner.remove(writable), true);
});

test('the table is full at some time, and every place of it can be used again', () => {
  const { owner } = sides();
  for (let round = 0; round < 3; round++) {
    const references = Array.from({ length: EXPOSURES }, () => owner.add(connection, start, 8, MEM_READ, 1, 2));
    assert.equal(new Set(references).size, EXPOSURES);
    assert.ok(!references.includes(0));
    assert.equal(owner.add(connection, start, 8, MEM_READ, 1, 2), 0);
    for (const reference of references) assert.equal(owner.remove(reference), true);
  }
});

test('whatever the other side writes into the table, nothing throws and no range exceeds what the descriptor says', () => {
  const property = fc.property(
    fc.array(fc.tuple(fc.nat(EXPOSURES * 8 - 1), fc.integer()), { maxLength: 40 }),
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
    fc.integer(),
    fc.nat(0x7fffffff),
    (scribbles, bytes, offset, length) => {
      const { owner, reader, words } = sides();
      const reference = owner.add(connection, start, 4096, MEM_READ, 1234, -99);
      for (const [at, value] of scribbles) words[at] = value;
      for (const descriptor of [Buffer.from(bytes), descriptorOf(reference, 4096)]) {
        const range = reader.begin(descriptor, connection, offset, length);
        if (range === null) continue;
        assert.ok(offset >= 0 && offset + length <= descriptor.readInt32LE(8));
        assert.ok(range.address >= 0n && range.address < 1n << 65n);
        reader.isThere(range);
        reader.end(range);
      }
      owner.remove(reference);
      owner.drop(owner.add(connection, start, 8, MEM_READ, 1, 2));
    },
  );
  fc.assert(property, { numRuns: 2000 });
});
