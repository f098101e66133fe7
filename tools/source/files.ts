/** Where the repository is, and which files it has. */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A file's path inside the repository, with forward slashes, and its text. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

/** The repository: the nearest folder above this module that has a package.json and the sources (not a copy in build/). */
export function repositoryRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder);
    if (parent === folder) throw new Error('no package.json above the tools');
    folder = parent;
  }
  return folder;
}

/** All files of ours below `folder` whose name ends in `ending`, sorted, so that reports do not depend on the file system. */
export function filesBelow(root: string, folder: string, ending: string): readonly SourceFile[] {
  const top = join(root, folder);
  if (!existsSync(top)) return [];
  return readdirSync(top, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(ending) && !isForeign(entry.parentPath))
    .map((entry) => readSource(root, relative(root, join(entry.parentPath, entry.name))))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}

function isForeign(folder: string): boolean {
  return folder.split(sep).includes('node_modules');
}

/** One file of the repository. */
export function readSource(root: string, path: string): SourceFile {
  return { path: path.split(sep).join('/'), text: readFileSync(join(root, path), 'utf8') };
}
