/**
 * A set for objects that come and go with connections.
 *
 * A `Set` in which many are added and deleted moves into a new table again and again, and leaves the old one behind with
 * all that it contained. Once such tables are old enough to be promoted, they hold connections that are long closed until
 * the next full collection: each minor one copies them, which was a third of what a short connection cost.
 */

export interface Member {
  /** Where it stands in its set, or -1. Only the set writes it, so an object can be in one set at a time. */
  place: number;
}

export class DenseSet<T extends Member> implements Iterable<T> {
  readonly #members: T[] = [];

  get size(): number {
    return this.#members.length;
  }

  add(member: T): void {
    if (member.place >= 0) return;
    member.place = this.#members.length;
    this.#members.push(member);
  }

  /** The last member takes the place of the one that goes. */
  delete(member: T): boolean {
    const { place } = member;
    if (place < 0) return false;
    member.place = -1;
    const last = this.#members.pop()!;
    if (last !== member) {
      last.place = place;
      this.#members[place] = last;
    }
    return true;
  }

  /** Those that are members now, without those that have been deleted when their turn comes. */
  *[Symbol.iterator](): Generator<T> {
    for (const member of [...this.#members]) if (member.place >= 0) yield member;
  }
}
