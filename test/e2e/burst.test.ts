/** A thousand connects in one turn. */

import { test } from 'node:test';
import { burst } from '../../stress/burst.js';
import { Stage } from '../support/stage.js';

test('[shared-memory] 1,000 connects in one turn to a server that is blocked for 30 ms are all served, and both ends agree by whom', {
  timeout: 90_000,
}, async (t) => {
  const { ways, milliseconds } = await burst(new Stage(t), 1000);
  t.diagnostic(`${JSON.stringify(ways)} in ${milliseconds.toFixed(0)} ms`);
});
