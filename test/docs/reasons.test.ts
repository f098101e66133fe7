import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { reasons } from '../../src/diagnostics/reasons.js';
import { repositoryRoot } from '../../tools/source/files.js';

test('documentation: every reason code is explained, once, with the meaning that the code has', () => {
  const page = readFileSync(join(repositoryRoot(), 'docs/troubleshooting.md'), 'utf8');
  const rows = [...page.matchAll(/^\| `([a-z0-9-]+)` \| (.*?) \| (.+?) \|$/gm)].map(([, code, meaning]) => [
    code,
    meaning,
  ]);
  assert.deepEqual(rows.sort(), Object.entries(reasons).sort());
});
