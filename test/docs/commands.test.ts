/** Every command of the documentation is run, in the order of its page, and prints what the page shows. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Block, blocksOf } from '../../tools/docs/blocks.js';
import { filesBelow, readSource, repositoryRoot } from '../../tools/source/files.js';
import { Reader } from './reader.js';

const installs = /\bnpm install\b/;
const ours = /^docs\/[^/]+\.md$/;

for (const { path, text } of filesBelow(repositoryRoot(), 'docs', '.md').filter(({ path }) => ours.test(path))) {
  const blocks = blocksOf(text);
  const commands = blocks.filter((block) => block.kind === 'command');
  if (commands.length === 0) continue;
  test(`documentation: the commands of ${path} do what it says`, { timeout: 240_000 }, async (t) => {
    const reader = new Reader(t, !commands.some((block) => installs.test(block.text)));
    await follow(reader, blocks, path);
  });
}

async function follow(reader: Reader, blocks: readonly Block[], page: string): Promise<void> {
  for (const block of blocks) {
    if (block.kind === 'file') reader.writes(block.name, block.text);
    else await reader.runs(block, page);
  }
}

test('documentation: no page is without a way to it from the README or another page', () => {
  const root = repositoryRoot();
  const pages = filesBelow(root, 'docs', '.md');
  const linked = [readSource(root, 'README.md'), ...pages].flatMap(({ text }) =>
    [...text.matchAll(/\]\(([^)#]+)/g)].map(([, to]) => to),
  );
  for (const { path } of pages) {
    const name = path.slice('docs/'.length);
    assert.ok(
      linked.some((to) => to === name || to === path),
      `${path} is linked from nowhere`,
    );
  }
});
