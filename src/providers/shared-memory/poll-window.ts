/**
 * How long a link keeps polling after its last work: long only while messages arrive densely.
 *
 * A moving average of the gaps between received work decides. A gap is the time in which there was nothing to do: it starts
 * when the last real work was done, not at the last wake-up, else waking up would look like traffic, and not when that work
 * was found, else a busy program would look like a quiet peer. All times are microseconds.
 */

const gapMax = 5000;
/** A request and its answer in code that is not yet compiled take longer than they will; a doorbell each would keep it so. */
const averageMax = 500;
const windowMin = 200;
const windowMax = 1000;
const emptyMax = 4;

export class PollWindow {
  #average = gapMax;
  #lastWork = Number.NEGATIVE_INFINITY;
  #empty = 0;
  /** Microseconds without work after which to sleep; 0: at once. */
  length = 0;

  /** Messages have been received at `now`. */
  worked(now: number): void {
    const gap = Math.min(now - this.#lastWork, gapMax);
    this.#lastWork = now;
    this.#average += (gap - this.#average) / 8;
    this.#empty = 0;
    this.#update();
  }

  /** What was found has kept the program busy until `now`. */
  busyUntil(now: number): void {
    this.#lastWork = now;
  }

  /** A window has passed without any message. */
  expired(): void {
    this.#empty++;
    this.#update();
  }

  #update(): void {
    if (this.#empty >= emptyMax || this.#average > averageMax) this.length = 0;
    else this.length = Math.min(Math.max(4 * this.#average, windowMin), windowMax);
  }
}
