/** `sockets-direct status`: what every process of this user that runs Sockets Direct is doing. */

import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import { PlatformError } from '../platform/error.js';
import { readAll, type SystemStatus } from '../status/reader.js';
import { view } from './status-view.js';

/** Milliseconds between two looks. */
const period = 1000;

interface StatusOptions {
  readonly json?: boolean;
  readonly watch?: boolean;
}

export function addStatus(program: Command): void {
  program
    .command('status')
    .description(
      'Shows the processes of this user that run Sockets Direct, their connections and why they are as they are.',
    )
    .option('--json', 'one JSON document, on one line')
    .option('--watch', 'again every second, until Ctrl-C')
    .addHelpText(
      'after',
      '\nIt looks where the processes meet: where they have another SOCKETS_DIRECT_DIR or XDG_RUNTIME_DIR, it needs the same.',
    )
    .action(status);
}

async function status({ json = false, watch = false }: StatusOptions): Promise<void> {
  // Whoever reads the output may stop reading, as `head` does.
  process.stdout.on('error', () => process.exit(0));
  try {
    let before: SystemStatus | null = null;
    do {
      const now: SystemStatus = await readAll({ environment: process.env });
      process.stdout.write(json ? `${JSON.stringify(now)}\n` : frame(view(now, before), watch));
      before = now;
      if (watch) await delay(period);
    } while (watch);
  } catch (error) {
    if (!(error instanceof PlatformError)) throw error;
    console.error(`sockets-direct: ${error.message}`);
    process.exitCode = 1;
  }
}

/** On a terminal a look takes the place of the one before, as much of it as there is room for. */
function frame(text: string, watch: boolean): string {
  const { isTTY, rows } = process.stdout;
  if (!watch) return text;
  if (!isTTY) return `${text}\n`;
  const lines = text.trimEnd().split('\n');
  const shown =
    lines.length < rows ? lines : [...lines.slice(0, rows - 2), `... ${lines.length - rows + 2} more lines`];
  return `\x1b[H\x1b[2J${shown.join('\n')}\n`;
}
