/** Time and turns, passed in so that the same switch runs in a simulation. */
export interface Scheduler {
  /** Runs `task` in a later turn of the loop, in no particular asynchronous context. */
  soon(task: () => void): void;
  /** Runs `task` after what is running now, in the same turn of the loop if possible. */
  next(task: () => void): void;
  /** Runs `task` once after at least `milliseconds`; does not keep the process alive. Returns what cancels it. */
  later(task: () => void, milliseconds: number): () => void;
}
