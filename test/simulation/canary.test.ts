/** A simulation that finds no planted bug would find no other. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { plants } from '../../simulation/plants.js';
import { runSeed } from '../../simulation/run.js';

/** Seeds within which each planted bug has to be found. */
const seedsMax = 36;

for (const plant of Object.keys(plants)) {
  test(`a planted bug is found: ${plant}`, () => {
    let found: string | null = null;
    for (let seed = 1; seed <= seedsMax && found === null; seed++) {
      found = runSeed(seed, { scenario: 'swarm', plant }).failure;
    }
    assert.notEqual(found, null);
  });
}
