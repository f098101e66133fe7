/** A simulation that finds no planted bug would find no other. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
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

const program = fileURLToPath(new URL('../../simulation/simulate.js', import.meta.url));

function simulate(...args: readonly string[]): { status: number | null; stdout: string } {
  return spawnSync(process.execPath, [program, ...args], { encoding: 'utf8', timeout: 60_000 });
}

test('npm run simulate prints a failing seed, its trace and the command that shows it again', () => {
  const failing = simulate('--scenario', 'swarm', '--plant', 'wrong-byte', '--seeds', String(seedsMax));
  assert.equal(failing.status, 1);
  const again = /^again: npm run simulate -- (--scenario swarm --from (\d+) --seeds 1 --plant wrong-byte)$/m.exec(
    failing.stdout,
  );
  assert.ok(again !== null, failing.stdout);
  const [, args, seed] = again;
  const failure = new RegExp(`^seed ${seed} of swarm: .*$`, 'm').exec(failing.stdout);
  assert.ok(failure !== null);
  assert.match(failing.stdout, /^\d+\.\d{3} ms process \d: WSPSend/m);
  const repeated = simulate(...args!.split(' '));
  assert.equal(repeated.status, 1);
  assert.ok(repeated.stdout.includes(failure[0]));
});

test('npm run simulate refuses what it does not know', () => {
  for (const args of [['--scenario', 'none'], ['--plant', 'none'], ['--seeds', '0'], ['--unknown']]) {
    assert.equal(simulate(...args).status, 2);
  }
});
