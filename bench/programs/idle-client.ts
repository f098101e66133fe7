/** Processor time of both processes while a connection is open and nothing happens. */

import { connect, phase, runClient, sleep } from './client.js';
import { Echo } from './echo.js';

await runClient(async (options, sent) => {
  const echo = new Echo(await connect(options.port, sent), sent);
  // The connection has really been used, and whatever polls after traffic has had time to stop.
  await echo.run(20);
  await sleep(options.warmupMs);
  const measured = await phase(options.serverPid, () => sleep(options.measureMs));
  return { cpuMsPerS: measured.cpuNs / 1e6 / (measured.wallMs / 1000) };
});
