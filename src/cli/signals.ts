/** Signals that somebody sends to `run` are meant for the command. */

import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';

const passed = ['SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGCONT', 'SIGWINCH'] as const;
/** A terminal sends these to everybody in its foreground group. */
const fromTerminal: ReadonlySet<NodeJS.Signals> = new Set(['SIGINT', 'SIGQUIT', 'SIGWINCH']);

/** Passes on signals until the returned function is called. */
export function passSignals(child: ChildProcess): () => void {
  const sentByTerminal = new Set<NodeJS.Signals>();
  const pass = (signal: NodeJS.Signals): void => {
    // The command has got it from the terminal. Asked a second time, it gets it for certain: somebody may have sent it here alone.
    if (fromTerminal.has(signal) && isInForeground() && !sentByTerminal.has(signal)) sentByTerminal.add(signal);
    else child.kill(signal);
  };
  for (const signal of passed) process.on(signal, pass);
  return () => {
    for (const signal of passed) process.off(signal, pass);
  };
}

/** Whether this process belongs to the group that its terminal sends signals to. */
function isInForeground(): boolean {
  try {
    // The name of the program comes in parentheses, and may contain anything.
    const fields = readFileSync('/proc/self/stat', 'latin1')
      .replace(/^.*\) /s, '')
      .split(' ');
    const [, , group, , , foreground] = fields;
    return group === foreground;
  } catch {
    return process.stdin.isTTY === true;
  }
}
