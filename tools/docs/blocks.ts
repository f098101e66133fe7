/** The code blocks of a documentation page that the tests run, in their order. */

/** A file that the reader is told to make. */
export interface FileBlock {
  readonly kind: 'file';
  readonly name: string;
  readonly text: string;
}

/** Commands of a shell. */
export interface CommandBlock {
  readonly kind: 'command';
  readonly text: string;
  /** For messages: the page's line on which the block begins. */
  readonly line: number;
  /** In the clone of the repository instead of the reader's own project. */
  readonly inClone: boolean;
  /** Terminal 1 holds programs that run on while the reader goes on in others. */
  readonly background: boolean;
  /** What it prints, as a pattern of {@link matchesOutput}. Null: the page does not say. */
  output: string | null;
}

export type Block = FileBlock | CommandBlock;

/**
 * Reads the page. ```` ```sh ```` is a command, with `in=clone` one in the clone; if it begins with `# terminal 1` it runs in the
 * background. A ```` ```text ```` after it is its output. Any other block is a file if it begins with the comment `// <name>` or has
 * `file=<name>`.
 */
export function blocksOf(page: string): readonly Block[] {
  const blocks: Block[] = [];
  const fence = /^( *)```(\S+)([^\n]*)\n(.*?)^\1```$/gms;
  for (const match of page.matchAll(fence)) {
    const [, indent, language, info, body] = match;
    const text = body.replaceAll(new RegExp(`^${indent}`, 'gm'), '');
    if (language === 'sh') {
      const line = page.slice(0, match.index).split('\n').length;
      const background = text.startsWith('# terminal 1\n');
      blocks.push({ kind: 'command', text, line, inClone: info.includes('in=clone'), background, output: null });
    } else if (language === 'text') {
      const before = blocks.findLast((block) => block.kind === 'command');
      if (before !== undefined) before.output = text;
    } else {
      const name = /file=(\S+)/.exec(info)?.[1] ?? /^(?:\/\/|#) (\S+\.\w+)\n/.exec(text)?.[1];
      if (name !== undefined) blocks.push({ kind: 'file', name, text });
    }
  }
  return blocks;
}

/** Whether the output is what the page shows: `…` stands for anything on a line, a line of it alone for any lines. */
export function matchesOutput(shown: string, output: string): boolean {
  const lines = shown.trimEnd().split('\n');
  const source = lines
    .map((line) => (line === '…' ? '(?:.*\\n)*?' : `${line.split('…').map(escapePattern).join('.*')}\\n`))
    .join('');
  return new RegExp(`^${source}$`).test(`${output.trimEnd()}\n`);
}

function escapePattern(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}
