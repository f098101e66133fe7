/** Reads what the recorder around the SPI table has written: one JSON object per line, one file per process. */

import { readFileSync } from 'node:fs';

export interface TraceLine {
  /** Start of a call, or the moment of anything else: milliseconds since the epoch, with fractions. */
  t: number;
  /** End of a call. */
  end?: number;
  pid: number;
  kind: string;
  fn: string;
  /** Ordinal within the process; 0 where there is none. */
  socket: number;
  result: number | string;
  /** Name of the Winsock error, or empty. */
  error: string;
  detail: string;
}

/** The name of the file that the recorder of process `pid` writes if SOCKETS_DIRECT_TRACE is `prefix`. */
export function traceFile(prefix: string, pid: number): string {
  return `${prefix}.${pid}.jsonl`;
}

/** In time order. A call that contains up-calls is written after them, but has started before them. */
export function readTrace(file: string): TraceLine[] {
  return parseTrace(readFileSync(file, 'utf8'));
}

export function parseTrace(text: string): TraceLine[] {
  const lines = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => traceLine(JSON.parse(line)));
  return lines.sort((a, b) => a.t - b.t);
}

function traceLine(value: unknown): TraceLine {
  const { t, end, pid, kind, fn, socket, result, error, detail } = Object(value) as Record<string, unknown>;
  if (typeof t !== 'number' || typeof fn !== 'string' || typeof kind !== 'string') {
    throw new Error(`not a line of a trace: ${JSON.stringify(value)}`);
  }
  return {
    t,
    ...(typeof end === 'number' ? { end } : {}),
    pid: Number(pid),
    kind,
    fn,
    socket: typeof socket === 'number' ? socket : 0,
    result: typeof result === 'number' ? result : String(result ?? ''),
    error: String(error ?? ''),
    detail: String(detail ?? ''),
  };
}
