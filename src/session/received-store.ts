/** Data that has arrived and that the program has not taken (WSD-FLW-7), in order. */
export class ReceivedStore {
  #chunks: Buffer[] = [];
  #head = 0;

  get isEmpty(): boolean {
    return this.#head === this.#chunks.length;
  }

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
  }

  /** The oldest chunk; the store must not be empty. */
  shift(): Buffer {
    const chunk = this.#chunks[this.#head++];
    if (this.#head === this.#chunks.length) {
      this.#chunks.length = 0;
      this.#head = 0;
    }
    return chunk;
  }

  clear(): void {
    this.#chunks = [];
    this.#head = 0;
  }
}
