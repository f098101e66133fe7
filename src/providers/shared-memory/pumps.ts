/** What waits for room in the ring of a link without being copied before, in turns. */

/** Somebody who has more to send than the ring takes at once, and sends it as room comes. */
export interface Pump {
  /** Sends what there is room for, within a budget; bytes. */
  pump(): number;
  readonly hasMore: boolean;
}

export class Pumps {
  readonly #onAdded: () => void;
  readonly #all: Pump[] = [];

  constructor(onAdded: () => void) {
    this.#onAdded = onAdded;
  }

  get size(): number {
    return this.#all.length;
  }

  /** The pump is asked turn by turn until it has no more. */
  add(pump: Pump): void {
    if (this.#all.includes(pump)) return;
    this.#all.push(pump);
    this.#onAdded();
  }

  remove(pump: Pump): void {
    const i = this.#all.indexOf(pump);
    if (i >= 0) this.#all.splice(i, 1);
  }

  /** One turn of each; true if bytes were sent. */
  run(): boolean {
    let bytes = 0;
    for (let n = this.#all.length; n > 0 && this.#all.length > 0; n--) {
      // To the end first, so that each has its turn also if this one throws.
      const pump = this.#all.shift()!;
      this.#all.push(pump);
      bytes += pump.pump();
      if (!pump.hasMore) this.remove(pump);
    }
    return bytes > 0;
  }

  clear(): void {
    this.#all.length = 0;
  }
}
