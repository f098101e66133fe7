/**
 * The catalog file, which SOCKETS_DIRECT_PROVIDERS names: one provider a line, its GUID and the module that exports it. The
 * GUIDs are the list by which the switch tells SAN providers from others (WSD-REG-3).
 *
 *     # a provider of ours
 *     4E0B8D21-6C57-4A93-B1E8-52D7F3096A1C ./lab-network.js
 */

import { closeSync, fstatSync, openSync, readFileSync, type Stats, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, resolve } from 'node:path';
import type { Reason } from '../diagnostics/reasons.js';
import { exportedProvider, isGuid } from './entry.js';

/** Bytes of a catalog. */
const longestFile = 1_048_576;
const writableByOthers = 0o022;
const sticky = 0o1000;

/** Why something is not used. */
export class CatalogError extends Error {
  override readonly name = 'CatalogError';
  constructor(
    readonly reason: Reason,
    message: string,
  ) {
    super(message);
  }
}

export interface Line {
  readonly providerId: string;
  /** As in the file: a path from the file's folder, or the name of a package. */
  readonly module: string;
}

/** The text of the file. Throws CatalogError: `catalog-invalid`, `provider-untrusted`. */
export function readCatalog(path: string): string {
  let descriptor: number;
  try {
    descriptor = openSync(path, 'r');
  } catch (error) {
    throw new CatalogError('catalog-invalid', `${path}: ${(error as NodeJS.ErrnoException).code ?? error}`);
  }
  try {
    const status = fstatSync(descriptor);
    if (!status.isFile() || status.size > longestFile) {
      throw new CatalogError('catalog-invalid', `${path}: no file of at most 1 MiB`);
    }
    checkTrust(path, status);
    return readFileSync(descriptor, 'utf8');
  } finally {
    closeSync(descriptor);
  }
}

/** Throws CatalogError `catalog-invalid`. */
export function parseCatalog(text: string, path: string): Line[] {
  const lines: Line[] = [];
  text.split('\n').forEach((line, i) => {
    const [providerId = '', ...rest] = line
      .replace(/(^|\s)#.*/, '')
      .trim()
      .split(/\s+/);
    if (providerId === '') return;
    const module = rest.join(' ');
    const fault = !isGuid(providerId.toUpperCase())
      ? `'${providerId}' is no GUID`
      : module === ''
        ? 'a GUID without a module'
        : null;
    if (fault !== null) throw new CatalogError('catalog-invalid', `${path}, line ${i + 1}: ${fault}`);
    lines.push({ providerId: providerId.toUpperCase(), module });
  });
  return lines;
}

/**
 * Loads the module of a line and returns what it exports. Throws CatalogError: `provider-untrusted`, or `provider-invalid` if
 * it cannot be loaded.
 */
export function loadProvider(catalog: string, { module }: Line): unknown {
  const require = createRequire(resolve(catalog));
  let path: string;
  try {
    path = require.resolve(module);
  } catch (error) {
    throw new CatalogError('provider-invalid', `${module} cannot be found: ${codeOf(error)}`);
  }
  try {
    checkTrust(path, statSync(path));
    return exportedProvider(require(path));
  } catch (error) {
    if (error instanceof CatalogError) throw error;
    throw new CatalogError('provider-invalid', `${module} cannot be loaded: ${codeOf(error)}`);
  }
}

function codeOf(error: unknown): string {
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === 'string' ? code : String(error);
}

/** Code that somebody else could have put there is not run. The same goes for the folder, in which files can be exchanged. */
function checkTrust(path: string, status: Stats): void {
  const folder = dirname(path);
  const untrusted = strangers(status) ? path : strangers(statSync(folder), true) ? folder : null;
  if (untrusted === null) return;
  throw new CatalogError('provider-untrusted', `${untrusted} belongs to somebody else, or others may write it`);
}

function strangers({ uid, mode }: Stats, isFolder = false): boolean {
  const user = process.geteuid?.();
  // Where files have no owners there is nothing to ask.
  if (user === undefined) return false;
  if (uid !== user && uid !== 0) return true;
  // In a folder with this bit only owners can exchange files.
  return (mode & writableByOthers) !== 0 && !(isFolder && (mode & sticky) !== 0);
}
