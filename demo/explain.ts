/** One sentence for somebody whose demo does not run over shared memory. */

import { fileURLToPath } from 'node:url';
import { Child } from '../bench/harness/child.js';
import { cleanEnvironment, preload } from '../bench/harness/environment.js';
import { type Reason, reasons } from '../src/diagnostics/reasons.js';

/** `fallback` is what the client said, for the case that a connection without the requirement tells nothing. */
export async function explain(port: number, fallback: string): Promise<string> {
  const program = fileURLToPath(new URL('./diagnose.js', import.meta.url));
  const child = new Child('diagnosis', [process.execPath, ...preload, program, String(port)], cleanEnvironment());
  try {
    return sentence(await child.next(10_000)) ?? `Shared memory was not used: ${fallback}`;
  } catch {
    return `Shared memory was not used: ${fallback}`;
  } finally {
    child.kill();
  }
}

/** Null if the answer names no reason against shared memory. */
export function sentence(info: unknown): string | null {
  const { reason } = Object(info) as { reason?: unknown };
  if (typeof reason !== 'string' || reason === 'accelerated' || !Object.hasOwn(reasons, reason)) return null;
  return `Shared memory cannot be used here: ${reasons[reason as Reason]} (${reason}).`;
}
