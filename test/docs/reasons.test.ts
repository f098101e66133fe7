import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { advice } from '../../src/diagnostics/advice.js';
import { type Reason, reasons } from '../../src/diagnostics/reasons.js';
import { repositoryRoot } from '../../tools/source/files.js';

test('documentation: every reason code is explained, once, with its meaning and what to do', () => {
  const page = readFileSync(join(repositoryRoot(), 'docs/troubleshooting.md'), 'utf8');
  const rows = [...page.matchAll(/^\| `([a-z0-9-]+)` \| (.*?) \| (.+?) \|$/gm)].map(([, ...cells]) => cells);
  const known = Object.entries(reasons).map(([code, meaning]) => [code, meaning, advice[code as Reason]]);
  assert.deepEqual(rows.sort(), known.sort());
});
