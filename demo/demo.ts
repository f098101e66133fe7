/** `npm run demo`: an unmodified HTTP server and client, their bytes carried by shared memory, and the proof of it. */

import { existsSync } from 'node:fs';
import { isBuilt } from '../bench/harness/environment.js';
import { formatComparison } from './comparison.js';
import { diagram } from './diagram.js';
import { NoSharedMemory, type Result, run } from './run.js';
import type { Check } from './sequence.js';

/** The demo promises to end within a minute; its children end with this process. */
const LIMIT_MS = 55_000;

const json = process.argv.includes('--json');
const start = performance.now();

setTimeout(() => fail(`The demo did not end within ${LIMIT_MS / 1000} s.`), LIMIT_MS).unref();

if (!isBuilt()) fail('dist/register is missing: run `npm run build` first.');
else if (!existsSync('/proc/net/tcp')) fail('Shared memory cannot be used here: this operating system is not Linux.');
else {
  try {
    const result = await run((line) => {
      if (!json) console.log(line);
    });
    const ok = result.assertions.every((assertion) => assertion.ok);
    if (json) {
      const seconds = (performance.now() - start) / 1000;
      console.log(JSON.stringify({ ok, node: process.version, seconds, ...result }));
    } else show(result, ok);
    process.exitCode = ok ? 0 : 1;
  } catch (error) {
    if (error instanceof NoSharedMemory) fail(error.message);
    else fail(error instanceof Error ? error.message : String(error));
  }
}

function show({ sequence, assertions, comparison }: Result, ok: boolean): void {
  const steps = assertions.filter(isStep);
  const rows = assertions.filter((check) => !isStep(check) || !check.ok).map(row);
  for (const side of ['client', 'server']) {
    const own = steps.filter(({ name }) => name.startsWith(side));
    if (own.every(({ ok: held }) => held)) {
      rows.push(
        row({ name: `${side}: all ${own.length} steps in the documents' order`, ok: true, detail: 'see above' }),
      );
    }
  }
  const good = assertions.filter((check) => check.ok).length;
  console.log(`
What crossed the service provider interface, in both processes, for the first connection:

${diagram(sequence)}

What was asserted:

${rows.join('\n')}

Side by side with TCP, same listener, not traced:

${formatComparison(comparison)}

${ok ? 'All' : `Only ${good}`} of ${assertions.length} assertions hold; ${((performance.now() - start) / 1000).toFixed(1)} s.`);
}

/** One of the many checks of the order within one process, which are shown one by one only if they fail. */
function isStep({ name }: Check): boolean {
  return name.startsWith('client: ') || name.startsWith('server: ');
}

function row({ name, ok, detail }: Check): string {
  return `  ${ok ? 'ok    ' : 'FAILED'}  ${name}: ${detail}`;
}

function fail(message: string): never {
  if (json) console.log(JSON.stringify({ ok: false, error: message, assertions: [], sequence: [] }));
  else console.error(message);
  process.exit(1);
}
