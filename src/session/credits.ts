/**
 * Credits of a session (WSD-FLW-2, WSD-FLW-3). The peer's posted buffers are the credit to send; each message takes one.
 * Credits come back in every header, and alone as soon as half of the buffers are owed. Two credits are kept from data, so
 * that credits and the end of sending can always be told. Credits of data are withheld while the program does not read
 * (WSD-FLW-9); those of control messages never are.
 *
 * Two sides that are both paused and saturated must neither wait for each other for ever nor send credits to and fro for
 * ever. When the peer may be down to its reserve, what is owed for data goes back at once, which happens once for each
 * message with data. When it may have nothing left, everything goes back, and that is two credits at least, for one taken.
 */

/** Credits that data leaves alone: one for the end of sending, and one that is always left for credits. */
const reserve = 2;

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

  constructor(posted: number) {
    this.#posted = posted;
  }

  get available(): number {
    return this.#available;
  }

  get forData(): boolean {
    return this.#available > reserve;
  }

  get forControl(): boolean {
    return this.#available > 0;
  }

  get posted(): number {
    return this.#posted;
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
    if (this.#owed === 0 || this.#available === 0) return false;
    if (this.#owed >= this.#posted >> 1) return true;
    const peerHasAtMost = this.#posted - this.#owed - this.#held;
    return peerHasAtMost <= (this.#owedForData ? reserve : 0);
  }
}
