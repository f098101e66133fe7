/** What idle connections cost an active one: the same connection is measured alone, then among `connections`. */

import { connect, connectMany, runClient, sleep } from './client.js';
import { Echo } from './echo.js';

await runClient(async (options, sent) => {
  const active = new Echo(await connect(options.port, sent), sent);
  await active.run(options.warmupMs);
  const alone = await active.run(options.measureMs);

  const idle = (await connectMany(options.port, options.connections - 1, sent)).map((socket) => new Echo(socket, sent));
  // One echo on each proves that the server has accepted it too; from then on it is idle.
  await Promise.all(idle.map((echo) => new Promise<void>((resolve) => echo.send(resolve))));
  await sleep(100);

  await active.run(options.warmupMs);
  const among = await active.run(options.measureMs);
  return { aloneP50Us: alone.p50Us, amongP50Us: among.p50Us, growth: among.p50Us / alone.p50Us };
});
