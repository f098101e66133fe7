/** Many connections, each with one message under way at any time: messages per second, and how evenly they are served. */

import { connectMany, phase, runClient, sleep } from './client.js';
import { Echo } from './echo.js';

await runClient(async (options, sent) => {
  const sockets = await connectMany(options.port, options.connections, sent);
  const counts = new Uint32Array(sockets.length);
  let stop = false;
  const running = sockets.map((socket, index) => {
    const echo = new Echo(socket, sent);
    return new Promise<void>((resolve) => {
      const received = () => {
        counts[index] = (counts[index] ?? 0) + 1;
        if (stop) resolve();
        else echo.send(received);
      };
      echo.send(received);
    });
  });

  await sleep(options.warmupMs);
  counts.fill(0);
  const measured = await phase(options.serverPid, async () => {
    await sleep(options.measureMs);
    return { total: counts.reduce((sum, count) => sum + count, 0), min: Math.min(...counts), max: Math.max(...counts) };
  });
  stop = true;
  // What is still under way comes back first, so that the server's count is complete.
  await Promise.all(running);

  const { total, min, max } = measured.value;
  return {
    messagesPerS: total / (measured.wallMs / 1000),
    fairness: min / max,
    cpuUs: measured.cpuNs / 1000 / total,
  };
});
