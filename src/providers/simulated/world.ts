/**
 * One virtual time, one seed, several event loops. Nothing here is real: no timer, no clock, no randomness from outside.
 * Whatever happens is a task with a time, and two runs with one seed are the same run.
 */

/** Structurally the switch's scheduler. */
export interface WorldScheduler {
  soon(task: () => void): void;
  next(task: () => void): void;
  later(task: () => void, milliseconds: number): () => void;
}

/** Something that will happen. `process` null: it happens in the network, and no event loop can hold it up. */
interface Entry {
  time: number;
  readonly sequence: number;
  readonly process: Process | null;
  task: (() => void) | null;
}

/** Microseconds from the end of a turn of an event loop to the next. */
const turn = 1;
/** Microseconds after which `runUntil` gives up, unless it is told otherwise: ten minutes. */
const patience = 600_000_000;

/** Thrown to end a task whose process has just been killed in the middle of it. */
export class ProcessKilled extends Error {}

/** An event loop. Its tasks run one at a time, in order, unless it is blocked; they are dropped when it is killed. */
export class Process {
  readonly scheduler: WorldScheduler;
  /** Called once when the process dies. */
  readonly onKilled = new Set<() => void>();
  #alive = true;
  #blockedUntil = 0;

  /** Made by {@link World.process}. */
  constructor(
    readonly world: World,
    readonly name: string,
    readonly nextTasks: (() => void)[],
    /** Process id. */
    readonly id = 1,
  ) {
    this.scheduler = {
      soon: (task) => {
        this.schedule(task, turn);
      },
      next: (task) => {
        if (this.#alive) nextTasks.push(task);
      },
      later: (task, milliseconds) => this.schedule(task, Math.max(1, milliseconds * 1000)),
    };
  }

  get isAlive(): boolean {
    return this.#alive;
  }

  get isBlocked(): boolean {
    return this.#blockedUntil > this.world.now();
  }

  /** Virtual time at which it goes on; infinite while it is stopped. */
  get blockedUntil(): number {
    return this.#blockedUntil;
  }

  /** A task of this loop after so many microseconds; returns what cancels it. */
  schedule(task: () => void, delayMicroseconds: number): () => void {
    return this.#alive ? this.world.enter(this, task, delayMicroseconds) : () => {};
  }

  /** A callback that takes long: what is running ends, and nothing else of this loop runs for that time. */
  block(microseconds: number): void {
    if (!this.#alive) return;
    this.#blockedUntil = Math.max(this.#blockedUntil, this.world.now() + microseconds);
    // So that time passes even if nothing else is due.
    this.world.enter(this, () => {}, microseconds);
    this.world.mark('process-blocked');
  }

  /** SIGSTOP, until `resume`. */
  stop(mark = 'process-stopped'): void {
    if (!this.#alive) return;
    this.#blockedUntil = Number.POSITIVE_INFINITY;
    this.world.mark(mark);
  }

  resume(): void {
    this.#blockedUntil = this.world.now();
    this.world.wake(this);
  }

  /** The process is gone in the middle of its task, which goes no further. */
  die(mark?: string): never {
    this.kill(mark);
    throw new ProcessKilled(`${this.name} was killed`);
  }

  /** The process is gone between two of its tasks, with all that it would have done. */
  kill(mark = 'process-killed'): void {
    if (!this.#alive) return;
    this.#alive = false;
    this.nextTasks.length = 0;
    this.world.mark(mark);
    for (const tell of [...this.onKilled]) tell();
    this.onKilled.clear();
  }
}

export class World {
  readonly seed: number;
  /** Faults and other things worth counting that have really happened. */
  readonly marks = new Map<string, number>();
  /** The last events, for a report; null: nothing is kept. */
  trace: string[] | null = null;
  /** Called after each step, for invariants. */
  onStep: (() => void) | null = null;
  #now = 0;
  #sequence = 0;
  #state: number;
  readonly #heap: Entry[] = [];
  /** What is due in a stopped process. */
  #held: Entry[] = [];
  readonly #processes: Process[] = [];
  readonly #places = new Map<string, unknown>();

  constructor(seed: number) {
    this.seed = seed;
    this.#state = (seed ^ 0x5de3_e66d) >>> 0;
    // The first numbers of neighbouring seeds are alike otherwise.
    for (let i = 0; i < 8; i++) this.random();
  }

  /** Microseconds since the world began. */
  readonly now = (): number => this.#now;

  /** Uniform in [0, 1): mulberry32. */
  readonly random = (): number => {
    this.#state = (this.#state + 0x6d2b_79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };

  /** A whole number from 0 to `below` - 1. */
  pick(below: number): number {
    return Math.floor(this.random() * below);
  }

  chance(odds: number): boolean {
    return odds > 0 && this.random() < odds;
  }

  /** A new event loop. */
  process(name = `process ${this.#processes.length}`): Process {
    const process = new Process(this, name, [], this.#processes.length + 1);
    this.#processes.push(process);
    return process;
  }

  get processes(): readonly Process[] {
    return this.#processes;
  }

  #main: Process | null = null;

  /** For those who need no more than one event loop. */
  get scheduler(): WorldScheduler {
    this.#main ??= this.process('main');
    return this.#main.scheduler;
  }

  /** What all who name the same place share, for example a network. */
  place<T>(name: string, create: () => T): T {
    if (!this.#places.has(name)) this.#places.set(name, create());
    return this.#places.get(name) as T;
  }

  mark(kind: string): void {
    this.marks.set(kind, (this.marks.get(kind) ?? 0) + 1);
    this.note(kind);
  }

  /** A line for the trace. */
  note(what: string): void {
    if (this.trace === null) return;
    this.trace.push(`${(this.#now / 1000).toFixed(3)} ms ${what}`);
    if (this.trace.length > 400) this.trace.splice(0, 200);
  }

  /** A task of nobody's event loop, after so many microseconds; returns what cancels it. */
  schedule(task: () => void, delayMicroseconds: number): () => void {
    return this.enter(null, task, delayMicroseconds);
  }

  /** The same at a time: a difference of times is not exact, and what is due at one time must stay in order. */
  scheduleAt(task: () => void, time: number): () => void {
    return this.#enterAt(null, task, Math.max(this.#now, time));
  }

  enter(process: Process | null, task: () => void, delayMicroseconds: number): () => void {
    return this.#enterAt(process, task, this.#now + Math.max(0, delayMicroseconds));
  }

  #enterAt(process: Process | null, task: () => void, time: number): () => void {
    const entry: Entry = { time, sequence: this.#sequence++, process, task };
    this.#push(entry);
    return () => {
      entry.task = null;
    };
  }

  /** What was held for a stopped process is due now. */
  wake(process: Process): void {
    const held = this.#held.filter((entry) => entry.process === process);
    this.#held = this.#held.filter((entry) => entry.process !== process);
    for (const entry of held) {
      entry.time = this.#now;
      this.#push(entry);
    }
  }

  /** Runs the next thing; false if there is nothing left to run. */
  step(): boolean {
    const task = this.#take();
    if (task === null) return false;
    try {
      task();
    } catch (error) {
      if (!(error instanceof ProcessKilled)) throw error;
    }
    this.onStep?.();
    return true;
  }

  #take(): (() => void) | null {
    for (const process of this.#processes) {
      if (process.nextTasks.length > 0 && !process.isBlocked) return process.nextTasks.shift()!;
    }
    for (;;) {
      const entry = this.#heap[0];
      if (entry === undefined) return null;
      this.#pop();
      const { process, task } = entry;
      if (task === null || process?.isAlive === false) continue;
      if (process !== null && process.blockedUntil > entry.time) {
        entry.time = process.blockedUntil;
        if (entry.time === Number.POSITIVE_INFINITY) this.#held.push(entry);
        else this.#push(entry);
        continue;
      }
      this.#now = Math.max(this.#now, entry.time);
      if (process !== null && process.nextTasks.length > 0) {
        // They have waited while the process was blocked, and come first.
        this.#push(entry);
        return process.nextTasks.shift()!;
      }
      return task;
    }
  }

  /**
   * Steps until the condition holds: true. False if nothing is left to run, or `limitMicroseconds` of virtual time have
   * passed.
   */
  runUntil(condition: () => boolean, limitMicroseconds = patience): boolean {
    const end = this.#now + limitMicroseconds;
    while (!condition()) {
      if (this.#now > end || !this.step()) return condition();
    }
    return true;
  }

  /** Steps until nothing is left to run; false if that does not happen within the limit. */
  runOut(limitMicroseconds = patience): boolean {
    const end = this.#now + limitMicroseconds;
    while (this.#now <= end) if (!this.step()) return true;
    return false;
  }

  // ---- a binary heap by time, then order of entry

  #push(entry: Entry): void {
    const heap = this.#heap;
    let i = heap.push(entry) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!before(entry, heap[parent]!)) break;
      heap[i] = heap[parent]!;
      i = parent;
    }
    heap[i] = entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
      if (!before(heap[child]!, last)) break;
      heap[i] = heap[child]!;
      i = child;
    }
    heap[i] = last;
  }
}

function before(a: Entry, b: Entry): boolean {
  return a.time < b.time || (a.time === b.time && a.sequence < b.sequence);
}
