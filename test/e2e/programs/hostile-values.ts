/** Choices of a hostile peer, all from one seed, and the values that it likes. */

import { RING_SIZE, SLOTS } from '../../../src/providers/shared-memory/arena.js';
import type { Field } from './hostile-fields.js';

export class Random {
  #state: number;

  constructor(seed: number) {
    // Neighbouring seeds shall have nothing in common, and zero would stay zero.
    this.#state = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) | 1;
    for (let i = 0; i < 4; i++) this.word();
  }

  word(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return x;
  }

  below(bound: number): number {
    return (this.word() >>> 0) % bound;
  }

  /** True once in so many times. */
  once(times: number): boolean {
    return this.below(times) === 0;
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)]!;
  }
}

const marks = [
  0,
  1,
  2,
  3,
  4,
  5,
  7,
  8,
  16,
  24,
  40,
  SLOTS - 1,
  SLOTS,
  SLOTS + 1,
  2 * SLOTS,
  16_384,
  RING_SIZE,
  0x7fffffff,
];

/** A value that is not the truth; `others` are values of its kind that mean something else. */
export function wrongValue(random: Random, { bits }: Field, truth: number, others: readonly number[]): number {
  const mask = bits === 32 ? -1 : (1 << bits) - 1;
  const shorten = (value: number): number => (bits === 32 ? value | 0 : value & mask);
  for (;;) {
    const value = shorten(choose(random, bits, truth, others));
    if (value !== shorten(truth)) return value;
  }
}

function choose(random: Random, bits: number, truth: number, others: readonly number[]): number {
  switch (random.below(10)) {
    case 0:
      return 0;
    case 1:
      return -1;
    case 2:
      return 1;
    case 3:
      return truth + random.pick([1, -1, 2, -2, 8, -8]);
    case 4:
      return bits === 32 ? -0x80000000 : 1 << (bits - 1);
    case 5:
      return truth ^ (1 << random.below(bits));
    case 6:
    case 7:
      return others.length > 0 ? random.pick(others) : random.word();
    case 8:
      return random.pick(marks) * random.pick([1, 1, 1, -1]);
    default:
      return random.word();
  }
}

/** Puts a wrong value into a field of a message of the handshake. */
export function spoilMessage(random: Random, message: Buffer, { name, word: offset, bits }: Field): void {
  const size = Math.min(bits / 8, 4);
  const at = offset + size * random.below(bits / 8 / size);
  const truth = size === 2 ? message.readUInt16LE(at) : message.readInt32LE(at);
  const field: Field = { structure: 'handshake', name, word: 0, shift: 0, bits: 8 * size };
  const value = wrongValue(random, field, truth, [1, 2, 3, 9]);
  if (size === 2) message.writeUInt16LE(value, at);
  else message.writeInt32LE(value, at);
}
