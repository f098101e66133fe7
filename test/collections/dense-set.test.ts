import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DenseSet, type Member } from '../../src/collections/dense-set.js';

test('a dense set has the members that a Set would have', () => {
  const step = fc.record({ add: fc.boolean(), k: fc.nat(9) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
      const members: Member[] = Array.from({ length: 10 }, () => ({ place: -1 }));
      const dense = new DenseSet<Member>();
      const set = new Set<Member>();
      for (const { add, k } of steps) {
        const member = members[k]!;
        if (add) {
          dense.add(member);
          set.add(member);
        } else {
          assert.equal(dense.delete(member), set.delete(member));
        }
        assert.equal(dense.size, set.size);
        assert.deepEqual(new Set(dense), set);
      }
    }),
  );
});

test('who leaves a dense set while it is looked through is not met any more, and who joins it is not met yet', () => {
  const members = Array.from({ length: 5 }, (_, name) => ({ place: -1, name }));
  const dense = new DenseSet<(typeof members)[number]>();
  for (const member of members) dense.add(member);
  const met: number[] = [];
  for (const { name } of dense) {
    met.push(name);
    if (name !== 1) continue;
    for (const k of [0, 1, 3]) dense.delete(members[k]!);
    dense.add({ place: -1, name: 5 });
  }
  assert.deepEqual(met, [0, 1, 2, 4]);
  assert.equal(dense.size, 3);
});
