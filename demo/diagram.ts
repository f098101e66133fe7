/** Both processes side by side in time order: the client's steps on the left, the server's on the right. */

import type { Step } from './sequence.js';

/** Holds the longest step with its rules. */
const WIDTH = 60;

export function diagram(steps: readonly Step[]): string {
  const found = steps.filter((step) => step.line !== null).sort((a, b) => (a.line?.t ?? 0) - (b.line?.t ?? 0));
  const start = found[0]?.line?.t ?? 0;
  const rows = found.map((step) => {
    const time = ((step.line?.t ?? 0) - start).toFixed(2).padStart(9);
    const [left, right] = step.side === 'client' ? [label(step), ''] : ['', label(step)];
    return `${time} | ${left.padEnd(WIDTH)} | ${right}`.trimEnd();
  });
  return [
    `${'ms'.padStart(9)} | ${'client process'.padEnd(WIDTH)} | server process`,
    `${'-'.repeat(9)} | ${'-'.repeat(WIDTH)} | ${'-'.repeat(WIDTH)}`,
    ...rows,
  ].join('\n');
}

/** What happened inside another call is indented below it; at the right end the rules that ask for it. */
function label(step: Step): string {
  const indent = step.inside === null ? '' : '  ';
  const times = step.count > 1 ? ` x ${step.count}` : '';
  // The receives are pending as well, but that is what a posted buffer is; a connect that goes on deserves the remark.
  const error = step.line?.error === 'WSAEWOULDBLOCK' ? ' -> WSAEWOULDBLOCK' : '';
  const text = `${indent}${step.text}${times}${error}`;
  const rules = step.rules.replaceAll('WSD-', '');
  return text + rules.padStart(WIDTH - text.length);
}
