/**
 * What one process leaves for another of the same user, in a private directory: a symbolic link, never followed, under a
 * number and the process id. Whoever removes it has it, so each is good for one taker. Works without koffi.
 */

import { randomInt } from 'node:crypto';
import { lstatSync, readdirSync, readlinkSync, symlinkSync, unlinkSync } from 'node:fs';
import { errorCode, PlatformError } from './error.js';

/** Milliseconds after which nobody comes any more. */
const ageMax = 60_000;
/** Names that one sweep looks at. */
const sweepMax = 256;
const attempts = 8;

function pathOf(folder: string, number: number, processId: number): string {
  return `${folder}/${number.toString(16)}.${processId}`;
}

/** Leaves a text, and returns its number, from 1 to 2^32 - 1. Throws PlatformError `rendezvous-unavailable`. */
export function leaveNote(folder: string, processId: number, text: string): number {
  let code = '';
  for (let i = 0; i < attempts; i++) {
    const number = randomInt(1, 2 ** 32);
    try {
      symlinkSync(text, pathOf(folder, number, processId));
      return number;
    } catch (error) {
      code = errorCode(error);
      if (code !== 'EEXIST') break;
    }
  }
  throw new PlatformError('rendezvous-unavailable', `note: ${code}`, code);
}

/** The text that was left for this process under the number, once; null if there is none. */
export function takeNote(folder: string, number: number): string | null {
  // It may come from anybody.
  if (!Number.isInteger(number)) return null;
  const path = pathOf(folder, number, process.pid);
  try {
    const text = readlinkSync(path);
    unlinkSync(path);
    return text;
  } catch {
    return null;
  }
}

/** Nobody may have it any more. */
export function withdrawNote(folder: string, number: number, processId: number): void {
  try {
    unlinkSync(pathOf(folder, number, processId));
  } catch {
    // Somebody has it, or has swept.
  }
}

/** Removes what nobody has come for. Returns how much that was. */
export function sweepNotes(folder: string): number {
  let removed = 0;
  try {
    for (const name of readdirSync(folder).slice(0, sweepMax)) {
      const path = `${folder}/${name}`;
      if (!name.includes('.') || Date.now() - lstatSync(path).mtimeMs < ageMax) continue;
      unlinkSync(path);
      removed++;
    }
  } catch {
    // There is no folder, or others sweep as well.
  }
  return removed;
}
