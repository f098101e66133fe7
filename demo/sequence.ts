/**
 * The documents' sequence of calls for one connection, found again in the traces of both processes, and the check that
 * it happened in that order.
 *
 * A step is first looked up by what identifies it (function, socket, result), wherever it stands; only then are the
 * times compared. So a step in the wrong place is reported as such, and not as missing.
 */

import { connectionSteps, type Located, listenerSteps, startupSteps } from './steps.js';
import type { TraceLine } from './trace.js';

export type Side = 'client' | 'server';

export interface Step {
  side: Side;
  id: string;
  /** What to show of it. */
  text: string;
  /** Rules of the documents that ask for it. */
  rules: string;
  /** Null: not in the trace. */
  line: TraceLine | null;
  /** For what is done several times in a row: how often, counting from `line`. */
  count: number;
  /** The call in whose call stack it must have happened. */
  inside: string | null;
}

export interface Check {
  name: string;
  ok: boolean;
  detail: string;
}

/**
 * Both processes read the same clock, but each has fixed its own start of time when it began, with some microseconds
 * between the two clocks that it compared. Between processes, a step may seem this much too early.
 */
export const CLOCK_TOLERANCE_MS = 0.5;

/** The steps of one process, in the order that the documents ask for. */
export function locate(side: Side, trace: readonly TraceLine[]): Step[] {
  const located: Located[] = [
    ...startupSteps(trace),
    ...(side === 'server' ? listenerSteps(trace) : []),
    ...connectionSteps(side, trace),
  ];
  return located.map((step) => ({ count: 1, inside: null, ...step, side }));
}

/** One check per step of the process: it is there, not before the step that it follows, and within the call it belongs to. */
export function checkOrder(steps: readonly Step[]): Check[] {
  return steps.map((step, index) => {
    const name = `${step.side}: ${step.text}`;
    if (step.line === null) return { name, ok: false, detail: 'is not in the trace' };
    const previous = steps[index - 1];
    if (previous?.line != null && step.line.t < previous.line.t) {
      return { name, ok: false, detail: `came ${ms(previous.line.t - step.line.t)} before '${previous.text}'` };
    }
    const enclosing = previous?.inside ?? null;
    if (enclosing !== null && step.inside === null) {
      const call = steps.find(({ id }) => id === enclosing)?.line;
      if (call?.end !== undefined && step.line.t < call.end) {
        return { name, ok: false, detail: `came before ${call.fn} had returned` };
      }
    }
    if (step.inside !== null) {
      const call = steps.find(({ id }) => id === step.inside)?.line;
      const within = call?.end !== undefined && step.line.t >= call.t && step.line.t <= call.end;
      if (!within) return { name, ok: false, detail: `did not happen inside ${call?.fn ?? step.inside}` };
    }
    return { name, ok: true, detail: previous?.line == null ? 'first' : `after '${previous.text}'` };
  });
}

/** What one process can only have seen after the other had done it. */
const causes: readonly (readonly [Side, string, Side, string, string])[] = [
  ['client', 'connect', 'server', 'accept-event', 'the request is signalled after the client has asked'],
  [
    'server',
    'condition',
    'client',
    'connect-event',
    'the client learns of the acceptance after the condition function',
  ],
  ['client', 'posted', 'server', 'negotiation-received', 'the client has posted buffers before its message arrives'],
  ['server', 'posted', 'client', 'negotiation-received', 'the server has posted buffers before its reply arrives'],
  ['server', 'accept', 'server', 'first-data', 'the first data arrive at a socket that is accepted'],
];

export function checkAcross(client: readonly Step[], server: readonly Step[]): Check[] {
  const find = (side: Side, id: string) => (side === 'client' ? client : server).find((step) => step.id === id)?.line;
  return causes.map(([causeSide, causeId, effectSide, effectId, text]) => {
    const name = `both: ${text}`;
    const cause = find(causeSide, causeId);
    const effect = find(effectSide, effectId);
    if (cause == null || effect == null) return { name, ok: false, detail: 'one of the two is not in the trace' };
    const after = effect.t - cause.t;
    return { name, ok: after >= -CLOCK_TOLERANCE_MS, detail: `${ms(after)} after` };
  });
}

function ms(value: number): string {
  return `${value.toFixed(3)} ms`;
}
