/** The ring: what goes in comes out, and nothing that the other side writes makes it leave its bounds or its wits. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { PREFIX_SIZE, RingConsumer, RingProducer, RingViolation } from '../../src/providers/shared-memory/ring.js';

const numRuns = Number(process.env.SOCKETS_DIRECT_TEST_RUNS ?? 60);
const control = 4096;
const head = 0;
const tail = 128;

/** A ring with guards around it, and views of what both sides share. */
function ring(size: number) {
  const arena = new ArrayBuffer(control + size + 64);
  return {
    arena,
    size,
    words: new Int32Array(arena, 0, control >> 2),
    body: new Int32Array(arena, control, size >> 2),
    guard: new Uint8Array(arena, control + size),
    producer: new RingProducer(arena, head, tail, control, size),
    consumer: new RingConsumer(arena, head, tail, control, size),
  };
}

type Ring = ReturnType<typeof ring>;

/** False if the ring is too full. */
function put({ producer, size }: Ring, bytes: Uint8Array, id: number): boolean {
  const offset = producer.begin(bytes.length);
  if (offset < 0) return false;
  assert.ok(
    offset % 8 === 0 && offset >= PREFIX_SIZE && offset + bytes.length <= size,
    'a record lies within the ring',
  );
  producer.region.bytes.set(bytes, offset);
  producer.commit(offset, bytes.length, id);
  return true;
}

test('records come out as they went in, in order, whatever their sizes and whenever the ring is full', () => {
  const step = fc.oneof(
    fc.record({ put: fc.integer({ min: 0, max: 120 }) }),
    fc.record({ records: fc.integer({ min: 1, max: 5 }), bytes: fc.integer({ min: 1, max: 300 }) }),
  );
  const property = fc.property(fc.array(step, { maxLength: 200, size: 'max' }), (steps) => {
    const r = ring(256);
    const under: { id: number; bytes: Buffer }[] = [];
    let id = 0;
    const take = (records: number, bytes: number): number => {
      let left = bytes;
      let count = 0;
      const taken = r.consumer.consume(records, bytes, (region, offset, length, got) => {
        assert.ok(count++ < records && left > 0, 'the budgets hold');
        left -= length;
        const expected = under.shift()!;
        assert.equal(got, expected.id);
        assert.deepEqual(Buffer.from(region.bytes.subarray(offset, offset + length)), expected.bytes);
      });
      assert.equal(taken, count);
      return taken;
    };
    for (const one of steps) {
      if ('put' in one) {
        const bytes = Buffer.alloc(one.put, ++id & 0xff);
        if (put(r, bytes, id)) under.push({ id, bytes });
        else assert.ok(under.length > 0, 'an empty ring takes every record of less than half its size');
      } else {
        const free = r.producer.free();
        take(one.records, one.bytes);
        assert.ok(r.producer.free() >= free);
      }
      assert.equal(r.consumer.hasRecords, under.length > 0);
    }
    while (under.length > 0) assert.ok(take(100, 1e6) > 0);
    assert.equal(take(100, 1e6), 0);
    // A skip may lie between the last record and the end, but is no record.
    assert.ok(put(r, Buffer.alloc(100), 1));
    assert.ok(r.guard.every((byte) => byte === 0));
  });
  fc.assert(property, { numRuns: 5 * numRuns });
});

test('a record fits exactly, also behind a wrap, and a full ring takes nothing more', () => {
  const r = ring(256);
  assert.ok(put(r, Buffer.alloc(248), 1));
  assert.equal(r.producer.free(), 0);
  assert.equal(r.producer.begin(0), -1);
  assert.equal(
    r.consumer.consume(9, 999, () => {}),
    1,
  );
  assert.equal(r.producer.free(), 256);
  assert.ok(put(r, Buffer.alloc(100), 2));
  assert.ok(put(r, Buffer.alloc(100), 3));
  assert.equal(r.producer.begin(50), -1, 'would need the place of record 2');
  assert.equal(
    r.consumer.consume(1, 999, () => {}),
    1,
  );
  assert.ok(put(r, Buffer.alloc(50), 4), 'lies at the start now');
  const ids: number[] = [];
  r.consumer.consume(9, 999, (_region, _offset, _length, id) => ids.push(id));
  assert.deepEqual(ids, [3, 4]);
});

test('head and tail run over 32 bits', () => {
  const r = ring(65536);
  const bytes = Buffer.alloc(65_000);
  for (let i = 0; i < 70_000; i++) {
    assert.ok(r.producer.begin(65_000) >= 0);
    r.producer.commit(PREFIX_SIZE, 65_000, i);
    assert.equal(
      r.consumer.consume(1, 1, (_region, _offset, length) => assert.equal(length, bytes.length)),
      1,
    );
  }
  assert.ok(Atomics.load(r.words, tail >> 2) !== 70_000 * 65_008, 'the numbers have wrapped');
});

test('a record whose handler throws is consumed, and nothing else is lost', () => {
  const r = ring(256);
  for (const id of [1, 2, 3]) put(r, Buffer.alloc(8), id);
  const seen: number[] = [];
  const handle = (_region: unknown, _offset: number, _length: number, id: number): void => {
    seen.push(id);
    if (id === 2) throw new Error('handler');
  };
  assert.throws(() => r.consumer.consume(9, 999, handle), /handler/);
  assert.equal(r.producer.free(), 256 - 16, 'two are published as taken');
  assert.equal(r.consumer.consume(9, 999, handle), 1);
  assert.deepEqual(seen, [1, 2, 3]);
});

test('each kind of lie about head, tail, length and skip is a violation', () => {
  const lies: Readonly<Record<string, (r: Ring) => void>> = {
    'head beyond the ring': ({ words }) => Atomics.store(words, head, 264),
    'head behind the tail': ({ words }) => Atomics.store(words, head, -8),
    'head not at a record': ({ words }) => Atomics.store(words, head, 12),
    'negative length': ({ words, body }) => {
      body[0] = -2;
      Atomics.store(words, head, 64);
    },
    'length beyond the head': ({ words, body }) => {
      body[0] = 57;
      Atomics.store(words, head, 64);
    },
    'length beyond the ring': ({ words, body }) => {
      body[0] = 0x7fffffff;
      Atomics.store(words, head, 256);
    },
    'skip beyond the head': ({ words, body }) => {
      body[0] = -1;
      Atomics.store(words, head, 64);
    },
    'length across the end of the ring': (r) => {
      put(r, Buffer.alloc(192), 1);
      r.consumer.consume(1, 999, () => {});
      r.body[50] = 100;
      Atomics.store(r.words, head, 200 + 200);
    },
  };
  for (const [name, lie] of Object.entries(lies)) {
    const r = ring(256);
    lie(r);
    assert.throws(() => r.consumer.consume(9, 999, () => assert.fail(name)), RingViolation, name);
  }
  for (const value of [8, -264, 264, -0x80000000, 0x7fffffff]) {
    const { producer, words } = ring(256);
    Atomics.store(words, tail >> 2, value);
    assert.throws(() => producer.free(), RingViolation, `tail ${value}`);
  }
});

test('hostile contents never lead out of bounds, and consuming always ends', () => {
  const word = fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(-1, 0, 1, 8, 16, 120, 240, 248, 256, -8, 0x7fffffff, -0x80000000) },
    { weight: 1, arbitrary: fc.integer() },
  );
  const property = fc.property(
    fc.array(word, { minLength: 64, maxLength: 64 }),
    fc.array(fc.oneof(fc.integer({ min: -8, max: 300 }), fc.integer()), { minLength: 1, maxLength: 6 }),
    word,
    (contents, heads, tailValue) => {
      const r = ring(256);
      r.body.set(contents);
      let violations = 0;
      for (const value of heads) {
        Atomics.store(r.words, head, value);
        let calls = 0;
        try {
          r.consumer.consume(64, 4096, (region, offset, length) => {
            assert.ok(++calls <= 64);
            assert.ok(offset >= PREFIX_SIZE && length >= 0 && offset + length <= region.bytes.length);
            // The peer may change anything at any time.
            r.body.set(contents.toReversed());
          });
        } catch (error) {
          if (!(error instanceof RingViolation)) throw error;
          violations++;
        }
      }
      assert.ok(violations <= heads.length);
      put(r, Buffer.alloc(8), 5);
      r.body.set(contents);
      Atomics.store(r.words, tail >> 2, tailValue);
      Atomics.store(r.words, (tail >> 2) + 1, tailValue);
      let visits = 0;
      r.producer.forEachUnconsumed(() => visits++);
      assert.ok(visits <= 256);
      assert.ok(r.guard.every((byte) => byte === 0));
    },
  );
  fc.assert(property, { numRuns: 20 * numRuns });
});

test('the producer tells what was not taken', () => {
  const r = ring(256);
  for (const id of [1, 2, 3, 4]) put(r, Buffer.alloc(40), id);
  r.consumer.consume(2, 999, () => {});
  assert.ok(put(r, Buffer.alloc(40), 5), 'behind a skip');
  const ids: number[] = [];
  r.producer.forEachUnconsumed((id) => ids.push(id));
  assert.deepEqual(ids, [3, 4, 5]);
});

test('a record counts as taken while it is being handled, but its room is not given back', () => {
  const r = ring(256);
  for (const id of [1, 2, 3]) put(r, Buffer.alloc(40), id);
  const left: number[][] = [];
  r.consumer.consume(9, 999, () => {
    const ids: number[] = [];
    r.producer.forEachUnconsumed((id) => ids.push(id));
    left.push(ids);
    assert.equal(r.producer.free(), 256 - 3 * 48);
  });
  assert.deepEqual(left, [[2, 3], [3], []]);
});
