/** How far the two directions of a session have come to their ends. */

import type { Done } from './send-queue.js';
import type { EndsState } from './state.js';

export class Ends {
  /** The program has ended its sending. */
  writesEnded = false;
  finishWanted = false;
  finishSent = false;
  finishReceived = false;
  /** The program has been told the end, or the error. */
  ended = false;
  /** Winsock error with which the connection was lost, or 0. */
  error = 0;
  /** Who waits for the end of sending. */
  shutdownDone: Done | null = null;
  /** The end of sending, which the program is about to ask for, is said in another process. */
  moves = false;

  get isFinishDue(): boolean {
    return this.finishWanted && !this.finishSent;
  }

  get areBothFinished(): boolean {
    return this.finishSent && this.finishReceived;
  }

  /** There is an end to be told, or an error. */
  get isUntold(): boolean {
    return (this.finishReceived || this.error !== 0) && !this.ended;
  }

  /** The session goes on in another process. */
  take(): EndsState {
    this.moves = this.writesEnded && !this.finishWanted;
    const { writesEnded, finishSent, finishReceived, ended, error } = this;
    return { writesEnded, finishSent, finishReceived, ended, error };
  }

  restore(state: EndsState): void {
    // Who has ended the writes was about to say so.
    this.writesEnded = this.finishWanted = state.writesEnded;
    this.finishSent = state.finishSent;
    this.finishReceived = state.finishReceived;
    this.ended = state.ended;
    this.error = state.error;
  }
}
