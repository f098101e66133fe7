/**
 * A plain HTTP client. It knows nothing of Sockets Direct. Reads commands as JSON lines from standard input and prints one
 * JSON line for each.
 */

import { createHash } from 'node:crypto';
import http from 'node:http';
import { createInterface } from 'node:readline';
import type { Command } from './commands.js';

const port = Number(process.argv[2]);
/** One connection, kept open between the requests. */
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

for await (const line of createInterface({ input: process.stdin })) {
  const command: Command = JSON.parse(line);
  console.log(JSON.stringify(await run(command).catch(failure)));
}
agent.destroy();

async function run(command: Command): Promise<object> {
  switch (command.do) {
    case 'get': {
      const hash = createHash('sha256');
      const bytes = await get(agent, command.path, (chunk) => hash.update(chunk));
      return { bytes, sha256: hash.digest('hex') };
    }
    case 'latency':
      return latency(command.path, command.ms);
    case 'load':
      return load(command.path, command.ms, command.connections);
  }
}

/** Number of bytes of the body. */
function get(through: http.Agent, path: string, take: (chunk: Buffer) => void = () => {}): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = http.get({ host: '127.0.0.1', port, path, agent: through }, (response) => {
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        take(chunk);
      });
      response.on('end', () => {
        if (response.statusCode === 200) resolve(bytes);
        else reject(new Error(`status ${response.statusCode}`));
      });
      response.on('error', reject);
    });
    request.on('error', reject);
  });
}

/** One request after the other over one connection. */
async function latency(path: string, ms: number): Promise<object> {
  const times: number[] = [];
  const end = performance.now() + ms;
  for (let start = performance.now(); start < end; ) {
    await get(agent, path);
    const now = performance.now();
    times.push(now - start);
    start = now;
  }
  times.sort((a, b) => a - b);
  return { requests: times.length, p50Us: (times[Math.floor(times.length / 2)] ?? Number.NaN) * 1000 };
}

/** As many requests as possible over several connections. */
async function load(path: string, ms: number, connections: number): Promise<object> {
  const through = new http.Agent({ keepAlive: true, maxSockets: connections });
  const start = performance.now();
  let requests = 0;
  const one = async () => {
    while (performance.now() - start < ms) {
      await get(through, path);
      requests++;
    }
  };
  await Promise.all(Array.from({ length: connections }, one));
  const perS = (requests / (performance.now() - start)) * 1000;
  through.destroy();
  return { requests, perS };
}

function failure(error: NodeJS.ErrnoException): object {
  return { error: error.message, code: error.code ?? '', cause: String(error.cause ?? '') };
}
