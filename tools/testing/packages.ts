/**
 * Makes the tests with packages from npm ready: installs what `test/packages/package-lock.json` names, unless it is there
 * already, and compiles the programs that use it. Install scripts of these packages are not run.
 */

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where the tests of packages are, in `test/` as in `build/test/`. */
export const packagesFolder = 'test/packages/';

/** Null if all is ready, else why it is not. A program that does not compile is an error of ours and thrown. */
export function preparePackages(root: string): string | null {
  const folder = join(root, packagesFolder);
  const failure = install(folder);
  if (failure !== null) return failure;
  execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', folder], { stdio: 'inherit' });
  const link = join(root, 'build', packagesFolder, 'node_modules');
  mkdirSync(join(root, 'build', packagesFolder), { recursive: true });
  if (!existsSync(link)) symlinkSync(join(folder, 'node_modules'), link);
  return null;
}

function install(folder: string): string | null {
  const wanted = readFileSync(join(folder, 'package-lock.json'), 'utf8');
  // A copy of the lock file that was installed to the end.
  const stamp = join(folder, 'node_modules/.installed-lock.json');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return null;
  console.log(`installing the packages of ${packagesFolder}`);
  try {
    execFileSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: Buffer };
    return `npm ci in ${packagesFolder} failed: ${stderr?.toString().trim() || message}`;
  }
  writeFileSync(stamp, wanted);
  return null;
}
