/** How long a link polls: while messages arrive densely, never on the strength of being woken, never beyond a budget. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { PollWindow } from '../../src/providers/shared-memory/poll-window.js';
import { type Pollable, Poller } from '../../src/providers/shared-memory/poller.js';
import { scheduler } from '../support/real-time.js';

/** A window that has seen `count` messages `gap` microseconds apart. */
function after(count: number, gap: number): { window: PollWindow; now: number } {
  const window = new PollWindow();
  let now = 1_000_000;
  for (let i = 0; i < count; i++) {
    now += gap;
    window.worked(now);
  }
  return { window, now };
}

test('a fresh window is none, and one message does not open it', () => {
  assert.equal(new PollWindow().length, 0);
  assert.equal(after(1, 10).window.length, 0);
});

test('the window is four average gaps between 200 and 1000 microseconds', () => {
  assert.equal(after(200, 3).window.length, 200);
  assert.ok(Math.abs(after(200, 100).window.length - 400) < 1);
  assert.ok(Math.abs(after(200, 199).window.length - 796) < 2);
  assert.equal(after(200, 499).window.length, 1000);
  assert.equal(after(200, 501).window.length, 0, 'messages this rare are not waited for');
});

test('one long gap closes a window of small gaps, and dense traffic opens it again', () => {
  const { window, now } = after(200, 5);
  assert.ok(window.length > 0);
  window.worked(now + 60_000_000);
  assert.equal(window.length, 0, 'the gap counts as five milliseconds: an average of 630');
  let later = now + 60_000_000;
  let count = 0;
  while (window.length === 0) {
    later += 5;
    window.worked(later);
    count++;
  }
  assert.ok(count < 12, `${count} messages`);
});

test('four windows in a row without a message close it until the next one', () => {
  const { window, now } = after(200, 50);
  for (let i = 0; i < 3; i++) window.expired();
  assert.ok(window.length > 0);
  window.expired();
  assert.equal(window.length, 0);
  window.worked(now + 50);
  assert.ok(window.length > 0);
});

test('the window follows the rule for every sequence of gaps', () => {
  const property = fc.property(
    fc.array(fc.option(fc.integer({ min: 1, max: 20_000 }), { freq: 6 }), { maxLength: 300, size: 'max' }),
    (gaps) => {
      const window = new PollWindow();
      let now = 0;
      let last = Number.NEGATIVE_INFINITY;
      let average = 5000;
      let empty = 0;
      for (const gap of gaps) {
        if (gap === null) {
          window.expired();
          empty++;
        } else {
          now += gap;
          window.worked(now);
          average += (Math.min(now - last, 5000) - average) / 8;
          last = now;
          empty = 0;
        }
        const open = average <= 500 && empty < 4;
        const expected = open ? Math.min(Math.max(4 * average, 200), 1000) : 0;
        assert.ok(Math.abs(window.length - expected) < 1e-6);
      }
    },
  );
  fc.assert(property, { numRuns: 100 });
});

/** A link that has work when told so. */
class Fake implements Pollable {
  readonly window = new PollWindow();
  awake = false;
  lastWork = 0;
  lastReceived = 0;
  busy = false;
  work = 0;
  polls = 0;
  slept = 0;
  woken = 0;
  thrown: Error | null = null;

  poll(): boolean {
    this.polls++;
    if (this.thrown !== null) {
      const error = this.thrown;
      this.thrown = null;
      throw error;
    }
    if (this.work === 0) return false;
    this.work--;
    return true;
  }

  sleep(): boolean {
    if (this.work > 0) return false;
    this.slept++;
    return true;
  }

  wake(): void {
    this.woken++;
  }
}

/** Resolves when the condition holds, looking in every iteration of the loop. */
function eventually(condition: () => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    let turns = 0;
    const look = (): void => {
      if (condition()) resolve();
      else if (++turns > 10_000) reject(new Error('never'));
      else setImmediate(look);
    };
    look();
  });
}

test('a link without dense traffic sleeps as soon as it is idle, and work before sleeping keeps it awake', async () => {
  let yields = 0;
  let now = 0;
  const poller = new Poller({ now: () => (now += 10), scheduler, yieldProcessor: () => yields++ });
  const link = new Fake();
  link.work = 5;
  poller.kick(link);
  assert.deepEqual([link.awake, link.woken, link.polls], [true, 1, 0], 'turns begin with the next iteration');
  await eventually(() => !link.awake);
  assert.equal(link.work, 0);
  assert.equal(link.slept, 1);
  const { polls } = link;
  await eventually(() => true);
  assert.equal(link.polls, polls, 'a sleeping link is not polled');
});

test('the doorbell polls at once', async () => {
  let now = 0;
  const poller = new Poller({ now: () => (now += 10), scheduler, yieldProcessor: () => {} });
  const link = new Fake();
  link.work = 1;
  poller.ring(link);
  assert.equal(link.work, 0);
  assert.equal(link.polls, 1);
  await eventually(() => !link.awake);
});

test('dense traffic keeps a link polling, yielding the processor in idle turns, for its window', async () => {
  let yields = 0;
  let now = 0;
  const poller = new Poller({ now: () => (now += 5), scheduler, yieldProcessor: () => yields++ });
  const link = new Fake();
  link.work = 300;
  poller.kick(link);
  await eventually(() => link.work === 0);
  const { lastWork } = link;
  const { length } = link.window;
  assert.ok(length >= 200);
  await eventually(() => !link.awake);
  assert.ok(yields > 0);
  assert.ok(now - lastWork >= length, 'it polled for the whole window');
});

test('fruitless polling spends a budget, so that a pattern which always misses does not burn a processor', async () => {
  let now = 0;
  const poller = new Poller({ now: () => (now += 10), scheduler, yieldProcessor: () => {} });
  const link = new Fake();
  let polled = 0;
  const begin = now;
  for (let round = 0; round < 1500; round++) {
    // Bursts dense enough to keep the window open, and it is twice as long as they are.
    link.work = 6;
    poller.ring(link);
    await eventually(() => link.work === 0);
    await eventually(() => !link.awake);
    polled += now - link.lastWork;
  }
  assert.ok(polled < 22_000 + 0.3 * (now - begin), `${polled} of ${now - begin} microseconds`);
});

test('an exception out of a link stops neither its own turns nor those of others', async () => {
  let now = 0;
  const poller = new Poller({ now: () => (now += 10), scheduler, yieldProcessor: () => {} });
  const bad = new Fake();
  const good = new Fake();
  bad.thrown = new Error('handler of a program');
  bad.work = 3;
  good.work = 3;
  // The test runner listens for uncaught exceptions and takes them for failures; this comes before it.
  const thrown: unknown[] = [];
  process.setUncaughtExceptionCaptureCallback((error) => thrown.push(error));
  try {
    poller.kick(bad);
    poller.kick(good);
    await eventually(() => !bad.awake && !good.awake);
  } finally {
    process.setUncaughtExceptionCaptureCallback(null);
  }
  assert.deepEqual(thrown, [new Error('handler of a program')]);
  assert.deepEqual([bad.work, good.work], [0, 0]);
});

test('a removed link is not polled any more', async () => {
  const poller = new Poller({ now: () => 0, scheduler, yieldProcessor: () => {} });
  const link = new Fake();
  poller.kick(link);
  poller.remove(link);
  assert.equal(link.awake, false);
  await eventually(() => true);
  assert.equal(link.polls, 0);
});
