/** Turns of the event loop and its timers, passed in so that a test decides when they come. */
export interface Scheduler {
  /** Runs `task` in a later turn of the loop. */
  soon(task: () => void): void;
  /** Runs `task` once after at least `milliseconds`; does not keep the process alive. Returns what cancels it. */
  later(task: () => void, milliseconds: number): () => void;
}
