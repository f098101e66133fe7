// Removes an output directory before a build, so that nothing of a deleted source file stays. Plain JavaScript because it
// runs before anything is compiled.
import { rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

for (const name of process.argv.slice(2)) {
  if (name !== 'dist' && name !== 'build') throw new Error(`clean: '${name}' is not an output directory`);
  rmSync(fileURLToPath(new URL(`../${name}`, import.meta.url)), { recursive: true, force: true });
}
