/**
 * How processes find each other: a directory with a Unix socket for each listener, named after its port and address, and a
 * file for each connect that has not been decided. Who removes that file has decided: the acceptor, or the client that
 * gives up. So never does one take for a connection what the other has withdrawn.
 */

import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export const idPattern = /^[0-9a-f]{24}$/;

export class Rendezvous {
  #directory;
  #last = 0;

  constructor(directory) {
    this.#directory = directory;
  }

  /** A path for a listener. */
  newPath({ port, address }) {
    return join(
      this.#directory,
      `l-${port}-${address}-${process.pid}-${randomBytes(3).toString('hex')}${this.#last++}`,
    );
  }

  /** Paths of those who say that they listen at this address; the exact ones first. */
  find({ port, address }) {
    const names = readdirSync(this.#directory);
    const at = (where) => names.filter((name) => name.startsWith(`l-${port}-${where}-`));
    return [...at(address), ...at('0.0.0.0')].map((name) => join(this.#directory, name));
  }

  /** Nobody answers at that path any more. */
  forget(path) {
    remove(path);
  }

  /** A connect begins. */
  newRequest() {
    const id = randomBytes(12).toString('hex');
    writeFileSync(this.#requestPath(id), '');
    return id;
  }

  isUndecided(id) {
    return existsSync(this.#requestPath(id));
  }

  /** True for one caller only. */
  decide(id) {
    return remove(this.#requestPath(id));
  }

  #requestPath(id) {
    return join(this.#directory, `r-${id}`);
  }
}

function remove(path) {
  try {
    unlinkSync(path);
    return true;
  } catch {
    return false;
  }
}
