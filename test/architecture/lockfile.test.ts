/** `npm ci` works on every platform: the lock file names all optional packages, not only those of the machine that wrote it. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { repositoryRoot } from '../../tools/source/files.js';

interface Locked {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

test('lock file: every dependency of a locked package is locked too, also those of other platforms', () => {
  const text = readFileSync(join(repositoryRoot(), 'package-lock.json'), 'utf8');
  const { packages } = JSON.parse(text) as { readonly packages: Readonly<Record<string, Locked>> };
  const missing = Object.entries(packages).flatMap(([name, locked]) =>
    Object.keys({ ...locked.dependencies, ...locked.optionalDependencies })
      .filter((dependency) => !(`node_modules/${dependency}` in packages))
      .map((dependency) => `${name} needs ${dependency}`),
  );
  assert.deepEqual(missing, []);
});
