/** Every scenario prints the same on stock Node and with the drop-in, and the drop-in has carried it. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { scenarios } from '../support/scenarios.js';

const execute = promisify(execFile);
const file = (name: string): string => fileURLToPath(new URL(`../support/${name}`, import.meta.url));

async function run(name: string, flags: string[], env: NodeJS.ProcessEnv = {}): Promise<string> {
  const options = { timeout: 20_000, env: { ...process.env, ...env } };
  const { stdout, stderr } = await execute(process.execPath, [...flags, file('run-scenario.js'), name], options);
  return stdout + stderr;
}

/** These are about connects that do not get that far. */
const withoutConnections = new Set(['refused', 'destroyWhileConnecting']);

for (const name of Object.keys(scenarios)) {
  test(name, async () => {
    const log = join(tmpdir(), `sockets-direct-${process.pid}-${name}.log`);
    try {
      const [stock, dropIn] = await Promise.all([
        run(name, []),
        run(name, ['--import', file('register-fake.js')], { FAKE_SWITCH_LOG: log }),
      ]);
      assert.equal(dropIn, stock);
      const connections = Number(/"connections":(\d+)/.exec(readFileSync(log, 'utf8'))?.[1]);
      assert.equal(connections > 0, !withoutConnections.has(name), 'carried by the SAN');
    } finally {
      rmSync(log, { force: true });
    }
  });
}
