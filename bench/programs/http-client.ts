/** GET requests over `connections` kept-alive connections, one request under way on each. */

import http from 'node:http';
import { phase, runClient, sleep } from './client.js';
import type { Totals } from './protocol.js';

await runClient(async (options, sent) => {
  const agent = new http.Agent({ keepAlive: true, maxSockets: options.connections });
  let requests = 0;
  let stop = false;
  const loop = async () => {
    while (!stop) {
      await get(agent, options.port, sent);
      requests++;
    }
  };
  const loops = Promise.all(Array.from({ length: options.connections }, loop));

  await Promise.race([sleep(options.warmupMs), loops]);
  const before = requests;
  const measured = await phase(options.serverPid, () => Promise.race([sleep(options.measureMs), loops]));
  const done = requests - before;
  stop = true;
  await loops;
  // The server must have seen exactly this many connections, or keep-alive did not work and something else was measured.
  sent.connections = options.connections;
  return { requestsPerS: done / (measured.wallMs / 1000), cpuUs: measured.cpuNs / 1000 / done };
});

function get(agent: http.Agent, port: number, sent: Totals): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = http.get({ host: '127.0.0.1', port, path: '/', agent }, (response) => {
      if (response.statusCode !== 200) reject(new Error(`status ${response.statusCode}`));
      response.on('data', (chunk: Buffer) => {
        sent.bytes += chunk.length;
      });
      response.on('end', () => {
        sent.requests++;
        resolve();
      });
    });
    request.on('error', reject);
  });
}
