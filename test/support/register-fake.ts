/** Preload for child processes: the drop-in over the fake switch. `FAKE_SWITCH_LOG` names a file for the counters. */

import fs from 'node:fs';
import { installNet } from '../../src/net/index.js';
import { fakeCounters, fakeSwitch } from './fake-switch.js';

const reason = installNet({ getSwitch: () => fakeSwitch });
const { FAKE_SWITCH_LOG: log } = process.env;
if (log !== undefined) {
  const { appendFileSync } = fs;
  process.on('exit', () => appendFileSync(log, `${process.argv[1]} ${JSON.stringify({ ...fakeCounters, reason })}\n`));
}
