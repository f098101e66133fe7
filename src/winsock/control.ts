/**
 * Who controls a socket that several processes share (WSD-DUP-1, WSD-DUP-3, WSD-DUP-4). The processes form a tree, because
 * each has got the socket from another one. Each knows in which direction control is, and asks there once, whoever of its own
 * or behind it wants it; control comes back along the way of the requests, first come, first served.
 */

/** A neighbour in the tree. */
export interface Neighbour {
  ask(): void;
}

export interface ControlOwner<N extends Neighbour> {
  /** Calls back, now or later, when nothing that was started here goes on (WSD-DUP-5). */
  whenIdle(callback: () => void): void;
  /** Gives control away. `ended` is called, now or later, when it is on its way, or stays here because nobody is there. */
  handOver(to: N, ended: (given: boolean) => void): void;
}

export class Control<N extends Neighbour> {
  readonly #owner: ControlOwner<N>;
  /** Where control is; null: here. */
  #holder: N | null;
  readonly #queue: (N | (() => void))[] = [];
  #asked = false;
  #busy = false;
  /** To whom control is being given. */
  #giving: N | null = null;

  constructor(owner: ControlOwner<N>, holder: N | null) {
    this.#owner = owner;
    this.#holder = holder;
  }

  /** Control is here, or where it goes has not been decided. */
  get isHere(): boolean {
    return this.#holder === null;
  }

  get holder(): N | null {
    return this.#holder;
  }

  /** Control is there, or about to be. */
  isWith(neighbour: N): boolean {
    return this.#holder === neighbour || this.#giving === neighbour;
  }

  /** What is started now may run: control is here, and nobody has asked for it before (WSD-DUP-6). */
  get isFree(): boolean {
    return this.#holder === null && this.#queue.length === 0 && !this.#busy;
  }

  /** `run` is called when control is here, after all that was asked for before. Returns what takes the wish back. */
  want(run: () => void): () => void {
    this.#queue.push(run);
    this.#advance();
    return () => this.#drop(run);
  }

  #drop(who: N | (() => void)): void {
    const i = this.#queue.indexOf(who);
    if (i >= 0) this.#queue.splice(i, 1);
  }

  /** A neighbour asks; a second time only if it does not have it since. */
  asked(by: N): void {
    if (this.#queue.includes(by) || this.#holder === by || this.#giving === by) return;
    this.#queue.push(by);
    this.#advance();
  }

  /** Control comes from the neighbour that has it. */
  received(): void {
    this.#holder = null;
    this.#asked = false;
    this.#advance();
  }

  /** A neighbour has left, without control. */
  left(neighbour: N): void {
    this.#drop(neighbour);
  }

  #advance(): void {
    while (!this.#busy && this.#queue.length > 0) {
      if (this.#holder !== null) {
        if (!this.#asked) {
          this.#asked = true;
          this.#holder.ask();
        }
        return;
      }
      const first = this.#queue[0]!;
      if (typeof first === 'function') {
        this.#queue.shift();
        first();
      } else {
        this.#give();
      }
    }
  }

  #give(): void {
    this.#busy = true;
    this.#owner.whenIdle(() => {
      const to = this.#queue.find((one): one is N => typeof one !== 'function');
      // It has left meanwhile.
      if (to === undefined || this.#queue[0] !== to) {
        this.#busy = false;
        this.#advance();
        return;
      }
      this.#queue.shift();
      this.#giving = to;
      this.#owner.handOver(to, (given) => {
        this.#giving = null;
        if (given) this.#holder = to;
        this.#busy = false;
        this.#advance();
      });
    });
  }
}
