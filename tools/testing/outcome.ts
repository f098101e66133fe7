/** Looks at the events of a test run on their way to the reporter: failures, and tests that were skipped. */

import type { TestEvent } from 'node:test/reporters';

/** One test that did not run. */
interface Skip {
  readonly where: string;
  readonly name: string;
  readonly reason: string;
}

export class Outcome {
  readonly #skips: Skip[] = [];
  readonly #strict: boolean;
  readonly #fail: () => void;
  #told = false;

  /** `fail` is called, perhaps several times, if the run is a failure. */
  constructor(strict: boolean, fail: () => void) {
    this.#strict = strict;
    this.#fail = fail;
  }

  /** Passes all events on, and puts the list of skipped tests in front of the summary. */
  async *watch(events: AsyncIterable<TestEvent>): AsyncGenerator<TestEvent> {
    for await (const event of events) {
      this.#note(event);
      if (isSummary(event)) yield* this.#tell();
      yield event;
    }
  }

  #note(event: TestEvent): void {
    if (event.type === 'test:fail' && event.data.todo === undefined) this.#fail();
    if (event.type !== 'test:pass' || event.data.skip === undefined) return;
    const { name, file, line, skip } = event.data;
    const reason = typeof skip === 'string' && skip !== '' ? skip : 'no reason given';
    this.#skips.push({ where: file === undefined ? '' : `${file}:${line ?? 0}`, name, reason });
    if (this.#strict) this.#fail();
  }

  *#tell(): Generator<TestEvent> {
    if (this.#told || this.#skips.length === 0) return;
    this.#told = true;
    const verdict = this.#strict ? 'SKIPPED, which is a failure here' : 'SKIPPED';
    yield line(`${verdict}: ${this.#skips.length} ${this.#skips.length === 1 ? 'test' : 'tests'}`);
    for (const skip of this.#skips) yield line(`  ${skip.name}: ${skip.reason} (${skip.where})`);
  }
}

/** The first line of the summary that Node's runner gives after all files. */
function isSummary(event: TestEvent): boolean {
  return event.type === 'test:diagnostic' && event.data.nesting === 0 && /^tests \d+$/.test(event.data.message);
}

function line(message: string): TestEvent {
  return { type: 'test:diagnostic', data: { nesting: 0, message } };
}
