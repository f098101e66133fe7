/** `sockets-direct run`: any command, with the preload for every Node.js process that it starts. */

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { preload } from './preload.js';
import { passSignals } from './signals.js';
import { readSummary, summaryLine } from './summary.js';

/** What shells answer for a command that is not there, and for one that cannot be executed. */
const NOT_FOUND = 127;
const NOT_EXECUTABLE = 126;

interface RunOptions {
  readonly summary?: boolean;
  readonly require?: string;
}

export function addRun(program: Command): void {
  program
    .command('run')
    .description('Runs a command; every Node.js process that it starts uses Sockets Direct.')
    .argument('<command...>', 'for example: npm start, or: node server.js')
    .option(
      '--summary',
      'says on standard error at the end how many connections were accelerated, and why others were not',
    )
    .option(
      '--require <provider>',
      'a connect that <provider> (shared-memory) cannot carry fails instead of falling back',
    )
    .passThroughOptions()
    .addHelpText(
      'after',
      '\nIt ends with the exit code of the command, or by the signal that ended it. What comes after the command is the\n' +
        "command's own. SOCKETS_DIRECT=off in the environment switches everything off.",
    )
    .action((command: string[], options: RunOptions) => run(command, options));
}

/** NODE_OPTIONS with the preload, once, after what is there already. */
export function nodeOptions(existing: string | undefined): string {
  const option = `--import=${preload}`;
  if (existing === undefined || existing.trim() === '') return option;
  return existing.split(/\s+/).includes(option) ? existing : `${existing} ${option}`;
}

async function run([name, ...args]: string[], { summary = false, require }: RunOptions): Promise<void> {
  const folder = summary ? mkdtempSync(join(tmpdir(), 'sockets-direct-summary-')) : null;
  const child = spawn(name, args, {
    stdio: 'inherit',
    env: {
      ...process.env,
      NODE_OPTIONS: nodeOptions(process.env.NODE_OPTIONS),
      ...(require === undefined ? {} : { SOCKETS_DIRECT_REQUIRE: require }),
      ...(folder === null ? {} : { SOCKETS_DIRECT_SUMMARY: folder }),
    },
  });
  const stopPassing = passSignals(child);
  const ended = await new Promise<{ code: number; signal: NodeJS.Signals | null }>((resolve) => {
    child.once('error', (error: NodeJS.ErrnoException) => resolve({ code: cannotStart(name, error), signal: null }));
    child.once('exit', (code, signal) => resolve({ code: code ?? 0, signal }));
  });
  stopPassing();
  if (folder !== null) {
    console.error(summaryLine(readSummary(folder)));
    rmSync(folder, { recursive: true, force: true });
  }
  if (ended.signal === null) process.exitCode = ended.code;
  else endBy(ended.signal);
}

function cannotStart(name: string, { code, message }: NodeJS.ErrnoException): number {
  const what = code === 'ENOENT' ? 'command not found' : code === 'EACCES' ? 'permission denied' : message;
  console.error(`sockets-direct: ${name}: ${what}`);
  return code === 'ENOENT' ? NOT_FOUND : NOT_EXECUTABLE;
}

/** Whoever waits for this process shall see what ended the command. */
function endBy(signal: NodeJS.Signals): void {
  // A signal that this process cannot die of ends it in the way of shells.
  process.exitCode = 128 + constants.signals[signal];
  process.kill(process.pid, signal);
}
