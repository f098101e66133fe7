import assert from 'node:assert/strict';
import { test } from 'node:test';
import { blocksOf, matchesOutput } from '../../tools/docs/blocks.js';

const page = [
  '# Page',
  '```js',
  '// a.mjs',
  'go();',
  '```',
  '* a list',
  '  ```sh',
  '  # terminal 1',
  '  node a.mjs',
  '  ```',
  '```text',
  'gone … times',
  '```',
  '```sh in=clone',
  'npm pack',
  '```',
  '```js',
  'only(shown);',
  '```',
  '```json file=rules.json',
  '{}',
  '```',
  '',
].join('\n');

test('documentation: files, commands and what they print are found in a page', () => {
  assert.deepEqual(blocksOf(page), [
    { kind: 'file', name: 'a.mjs', text: '// a.mjs\ngo();\n' },
    {
      kind: 'command',
      text: '# terminal 1\nnode a.mjs\n',
      line: 7,
      inClone: false,
      background: true,
      output: 'gone … times\n',
    },
    { kind: 'command', text: 'npm pack\n', line: 14, inClone: true, background: false, output: null },
    { kind: 'file', name: 'rules.json', text: '{}\n' },
  ]);
});

test('documentation: output is compared with what a page shows, and may vary only where the page says so', () => {
  assert.ok(matchesOutput('gone … times\n', 'gone 3 times\n'));
  assert.ok(!matchesOutput('gone … times\n', 'gone 3 hours\n'));
  assert.ok(!matchesOutput('one.\n', 'one!\n'));
  assert.ok(matchesOutput('one\n…\nfour\n', 'one\ntwo\nthree\nfour\n'));
  assert.ok(!matchesOutput('one\n', 'one\ntwo\n'));
});
