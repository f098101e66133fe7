import { writeSync } from 'node:fs';

/** Says it on standard error, without making a stream of it that the program might not have made. */
export function complain(message: string): void {
  try {
    writeSync(2, `sockets-direct: ${message}\n`);
  } catch {
    // Closed, or full: there is nowhere else to say it.
  }
}
