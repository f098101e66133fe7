/**
 * Credits of a session (WSD-FLW-2, WSD-FLW-3). The peer's posted buffers are the credit to send; each message takes one.
 * Credits come back in every header, and alone as soon as half of the buffers are owed. Two credits are kept from data, so
 * that credits and the end of sending can always be told. Credits of data are withheld while the program does not read
 * (WSD-FLW-9); those of control messages never are.
 *
 * Two sides that are both paused and saturated must neither wait for each other for ever nor send credits to and fro for
 * ever. When the peer may be down to its reserve, what is owed for data goes back at once, which happens once for each
 * message with data. When it may have nothing left, everything goes back, and that is two credits at least, for one taken.
 *
 * Who takes large sends has to answer them, however little the other program reads. So whoever sends the first one posts a
 * buffer for the answers and gives its credit along; the receiver keeps a third credit from data then. Answers are one at a
 * time: what comes next from the other side brings the credit back. While a transfer is under way the other side may be
 * waiting to say something of it, so two credits go back if it may have no more than one.
 */

import type { CreditsState } from './state.js';

/** Credits that data leaves alone: one for the end of sending, and one that is always left for credits. */
const usualReserve = 2;

export class Credits {
  /** Messages that may be sent. */
  #available = 0;
  /** Credits that the peer can ever give at one time. */
  #availableMax = 0;
  /** Own receive buffers that are posted. */
  #posted: number;
  /** Credits that the peer may have back now. */
  #owed = 0;
  /** True if some of them are for data: unlike those of control messages, the peer may be waiting for them. */
  #owedForData = false;
  /** Credits withheld for data that the program has not read. */
  #held = 0;
  /** One of the two sides moves to another process: nothing new begins. */
  paused = false;
  /** Nothing is sent but what belongs to that. */
  silent = false;
  /** Credits that own data, and the peer's, leaves alone. */
  #reserve = usualReserve;
  #peerReserve = usualReserve;
  /** Large transfers under way, in both directions. */
  transfers = 0;
  /** Own receive buffers that are posted for answers. */
  #forAnswers = 0;

  constructor(posted: number) {
    this.#posted = posted;
  }

  get available(): number {
    return this.#available;
  }

  get forData(): boolean {
    return this.#available > this.#reserve && !this.paused;
  }

  get forControl(): boolean {
    return this.#available > 0 && !this.paused;
  }

  /** What belongs to a large transfer may be told: the last credit is left for credits. */
  get forTransfer(): boolean {
    return this.#available > 1;
  }

  /** A large send may go, and if the receiver will not read by itself, what ends it as well. */
  forLarge(readByPeer: boolean): boolean {
    return this.#available > this.#reserve + (readByPeer ? 0 : 1) && !this.paused;
  }

  /** Own receive buffers that are posted for what the peer sends unasked. */
  get posted(): number {
    return this.#posted - this.#forAnswers;
  }

  /** The peer has said how many buffers it has posted, and how many it may post at most. */
  begin(available: number, availableMax: number): void {
    this.#available = available;
    this.#availableMax = availableMax;
  }

  /** False: the peer has had no credit for the message that has just arrived. */
  get peerMaySend(): boolean {
    return this.#posted - this.#owed - this.#held > 0;
  }

  /** A message is sent: takes its credit and returns those that it carries back. */
  take(): number {
    const owed = this.#owed;
    this.#available--;
    this.#owed = 0;
    this.#owedForData = false;
    return owed;
  }

  /** A message has brought credits; false if they are more than there can be. */
  give(credits: number): boolean {
    if (this.#available + credits > this.#availableMax) return false;
    this.#available += credits;
    return true;
  }

  /** The buffer of a control message is posted again. */
  oweControl(): void {
    this.#owed++;
  }

  /** The buffer of data that the program has taken is posted again, or more buffers are posted than before. */
  oweData(count = 1): void {
    this.#owed += count;
    this.#owedForData = true;
  }

  postMore(count: number): void {
    this.#posted += count;
    this.oweData(count);
  }

  /** A buffer is posted for the peer's answers to large sends, and goes with the first of them. */
  expectAnswers(): void {
    this.postMore(1);
    this.#forAnswers = 1;
    this.#peerReserve = usualReserve + 1;
  }

  /** The peer has done so. */
  keepForAnswers(): void {
    this.#reserve = usualReserve + 1;
  }

  /** The buffer of data that the program has not taken is posted again. */
  hold(): void {
    this.#held++;
  }

  /** The program has taken such data. */
  release(): void {
    this.#held--;
    this.oweData();
  }

  /** True if credits have to go back in a message of their own, and one can be sent. */
  get shouldReturn(): boolean {
    if (this.#owed === 0 || this.#available === 0 || this.silent) return false;
    if (this.#owed >= this.#posted >> 1) return true;
    const peerHasAtMost = this.#posted - this.#owed - this.#held;
    if (peerHasAtMost <= (this.#owedForData ? this.#peerReserve : 0)) return true;
    return this.transfers > 0 && this.#owed > 1 && peerHasAtMost <= 1;
  }

  /** A buffer is posted for one message that takes no credit. */
  expectAnswer(): void {
    this.#posted++;
  }

  /** It has come, and its buffer, posted again, is no credit. */
  answerTaken(): void {
    this.#posted--;
    this.#owed--;
  }

  /** The peer has posted a buffer for the next message, which takes no credit. */
  lendAnswer(): void {
    this.#available++;
  }

  get state(): CreditsState {
    return {
      available: this.#available,
      availableMax: this.#availableMax,
      posted: this.#posted,
      owed: this.#owed,
      held: this.#held,
      owedForData: this.#owedForData,
      reserve: this.#reserve,
      peerReserve: this.#peerReserve,
      forAnswers: this.#forAnswers,
    };
  }

  restore(state: CreditsState): void {
    this.#available = state.available;
    this.#availableMax = state.availableMax;
    this.#posted = state.posted;
    this.#owed = state.owed;
    this.#held = state.held;
    this.#owedForData = state.owedForData;
    this.#reserve = state.reserve;
    this.#peerReserve = state.peerReserve;
    this.#forAnswers = state.forAnswers;
  }

  /** A buffer for answers is posted. */
  get answersExpected(): boolean {
    return this.#forAnswers > 0;
  }
}
