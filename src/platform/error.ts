import { type Reason, reasons } from '../diagnostics/reasons.js';

/** Something that the operating system or a peer process did not give. `reason` is what users see; `code` is for callers. */
export class PlatformError extends Error {
  override readonly name = 'PlatformError';
  readonly reason: Reason;
  /** Name of the system error, for example `EPIPE`; empty where no system call failed. */
  readonly code: string;

  constructor(reason: Reason, detail = '', code = '') {
    super(detail === '' ? reasons[reason] : `${reasons[reason]} (${detail})`);
    this.reason = reason;
    this.code = code;
  }
}

/** The same for a system call that failed. */
export function callFailed(reason: Reason, call: string, code: string): PlatformError {
  return new PlatformError(reason, `${call}: ${code}`, code);
}

/** Name of the system error that a function of `node:fs` or `node:net` threw or emitted; empty for anything else. */
export function errorCode(error: unknown): string {
  if (typeof error !== 'object' || error === null) return '';
  const { code } = error as { code?: unknown };
  return typeof code === 'string' ? code : '';
}
