/** A private copy of the compiled repository in which one module can be broken. */

import {
  copyFileSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What a copy has of its own, or must not have. */
const own = new Set(['build', 'dist', '.git']);

export class Copy {
  readonly folder: string;

  /** Files of `build/` are hard links where the file system allows it; all else is the repository's own, by symbolic link. */
  constructor(root: string) {
    this.folder = mkdtempSync(join(tmpdir(), 'sockets-direct-planted-'));
    for (const name of readdirSync(root)) {
      if (!own.has(name)) symlinkSync(join(root, name), join(this.folder, name));
    }
    copyTree(join(root, 'build'), join(this.folder, 'build'));
    // Programs that the tests start import the package; they have to meet the broken module as well.
    symlinkSync(join('build', 'src'), join(this.folder, 'dist'));
  }

  path(file: string): string {
    return join(this.folder, 'build', file);
  }

  /** False, and nothing is changed, if `find` does not occur exactly once. */
  replace(file: string, find: string, replacement: string): boolean {
    const path = this.path(file);
    const changed = replaceOnce(readFileSync(path, 'utf8'), find, replacement);
    if (changed === null) return false;
    // A new file, because the old one is shared with the repository.
    rmSync(path);
    writeFileSync(path, changed);
    return true;
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Null if `find` does not occur exactly once. */
export function replaceOnce(text: string, find: string, replacement: string): string | null {
  const at = text.indexOf(find);
  if (at < 0 || text.indexOf(find, at + 1) >= 0) return null;
  return text.slice(0, at) + replacement + text.slice(at + find.length);
}

function copyTree(from: string, to: string): void {
  mkdirSync(to);
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const source = join(from, entry.name);
    const target = join(to, entry.name);
    if (entry.isDirectory()) copyTree(source, target);
    else linkOrCopy(source, target);
  }
}

function linkOrCopy(source: string, target: string): void {
  try {
    linkSync(source, target);
  } catch {
    // Another file system.
    copyFileSync(source, target);
  }
}
