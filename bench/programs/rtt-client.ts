/** Round trip time and processor time per round trip, busy or with a pause in between. */

import { connect, phase, runClient } from './client.js';
import { Echo } from './echo.js';

await runClient(async (options, sent) => {
  const echo = new Echo(await connect(options.port, sent), sent);
  await echo.run(options.warmupMs, options.thinkMs);
  const measured = await phase(options.serverPid, () => echo.run(options.measureMs, options.thinkMs));
  const { count, p50Us, p99Us } = measured.value;
  return { p50Us, p99Us, cpuUs: measured.cpuNs / 1000 / count };
});
