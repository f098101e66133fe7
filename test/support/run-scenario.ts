/** `node run-scenario.js NAME` runs one scenario. */

import { run } from './scenarios.js';

run(process.argv[2]);
