import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { median, quantile, spread } from '../../bench/harness/statistics.js';

describe('statistics', () => {
  it('takes the middle, or the mean of the two middle ones', () => {
    assert.equal(median([9, 1, 5]), 5);
    assert.equal(median([4, 1, 3, 2]), 2.5);
    assert.equal(median([7]), 7);
    assert.ok(Number.isNaN(median([])));
  });

  it('leaves its input as it was', () => {
    const values = [3, 1, 2];
    median(values);
    assert.deepEqual(values, [3, 1, 2]);
  });

  it('spreads from the smallest to the largest', () => {
    assert.deepEqual(spread([2, 8, 5]), { median: 5, min: 2, max: 8 });
  });

  it('takes quantiles of a sorted sample', () => {
    const sorted = Float64Array.from({ length: 100 }, (_, index) => index);
    assert.equal(quantile(sorted, 0.5), 50);
    assert.equal(quantile(sorted, 0.99), 99);
    assert.equal(quantile(sorted, 1), 99);
    assert.ok(Number.isNaN(quantile([], 0.5)));
  });
});
