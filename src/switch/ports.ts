/**
 * Local ports of SAN connections. They look like TCP's, and no two connections of a host have the same one at a time,
 * because programs use a peer's port as a key. Binding a socket for each connection would cost more than all the rest of
 * a connect, so ports are taken in blocks, and a lock on the first holds a whole block against other processes.
 */

export interface PortReservation {
  /** Holds the port until `release`; null if somebody else has it. */
  reserve(port: number): { release(): void } | null;
  /** Uniform in [0, 1). */
  random(): number;
}

const first = 32768;
const last = 60999;
const blockSize = 128;

export class LocalPorts {
  readonly #reservation: PortReservation;
  #free: number[] = [];
  #freeHead = 0;
  readonly #held: { release(): void }[] = [];
  /** Ports that have been taken and not given back. */
  taken = 0;

  constructor(reservation: PortReservation) {
    this.#reservation = reservation;
  }

  /** A port, the one longest unused, or 0 if none is left. */
  take(): number {
    if (this.#freeHead === this.#free.length) this.#addBlock();
    if (this.#freeHead === this.#free.length) return 0;
    const port = this.#free[this.#freeHead++];
    this.taken++;
    if (this.#freeHead > 1024) {
      this.#free = this.#free.slice(this.#freeHead);
      this.#freeHead = 0;
    }
    return port;
  }

  give(port: number): void {
    this.taken--;
    this.#free.push(port);
  }

  #addBlock(): void {
    const blocks = Math.floor((last - first + 1) / blockSize);
    const start = Math.floor(this.#reservation.random() * blocks);
    for (let i = 0; i < blocks; i++) {
      const base = first + ((start + i) % blocks) * blockSize;
      const held = this.#reservation.reserve(base);
      if (held === null) continue;
      this.#held.push(held);
      for (let k = 0; k < blockSize; k++) this.#free.push(base + k);
      return;
    }
  }

  close(): void {
    for (const held of this.#held.splice(0)) held.release();
    this.#free = [];
    this.#freeHead = 0;
  }
}
