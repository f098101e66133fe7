/** Directories that belong to one user alone, and where the processes of a user meet. Works without koffi. */

import { closeSync, constants, fstatSync, mkdirSync, openSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { errorCode, PlatformError } from './error.js';

/**
 * Rendezvous directories in the order in which they are tried. By existence before by environment, which differs between
 * services and logins. SOCKETS_DIRECT_DIR and XDG_RUNTIME_DIR are read.
 *
 * Throws PlatformError `rendezvous-unavailable`.
 */
export function rendezvousPaths(environment: Readonly<Record<string, string | undefined>>, uid: number): string[] {
  const { SOCKETS_DIRECT_DIR: given, XDG_RUNTIME_DIR: runtime } = environment;
  if (given !== undefined && given !== '') {
    if (!isAbsolute(given)) throw new PlatformError('rendezvous-unavailable', `${given} is not an absolute path`);
    return [given];
  }
  const login = `/run/user/${uid}`;
  const paths = [`${login}/sockets-direct`];
  if (runtime !== undefined && isAbsolute(runtime) && runtime !== login) paths.push(`${runtime}/sockets-direct`);
  return [...paths, `/tmp/sockets-direct-${uid}`];
}

/** Opens a directory, creating it if need be, and checks it as {@link openPrivateDirectory} does. */
export function makePrivateDirectory(path: string, uid: number): number {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw new PlatformError('rendezvous-unavailable', `mkdir: ${errorCode(error)}`);
  }
  return openPrivateDirectory(path, uid);
}

/**
 * Opens a directory and checks what was opened, because a name could lead elsewhere a moment later. Returns its descriptor.
 *
 * Throws PlatformError `rendezvous-unsafe` if it is not the user's alone, or `resources-exhausted`.
 */
export function openPrivateDirectory(path: string, uid: number): number {
  let descriptor: number;
  try {
    descriptor = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  } catch (error) {
    const code = errorCode(error);
    const exhausted = code === 'EMFILE' || code === 'ENFILE';
    throw new PlatformError(exhausted ? 'resources-exhausted' : 'rendezvous-unsafe', `open: ${code}`, code);
  }
  const status = fstatSync(descriptor);
  const fault = status.uid !== uid ? `owned by uid ${status.uid}` : (status.mode & 0o077) !== 0 ? 'open to others' : '';
  if (fault === '') return descriptor;
  closeSync(descriptor);
  throw new PlatformError('rendezvous-unsafe', `${path}: ${fault}`);
}
