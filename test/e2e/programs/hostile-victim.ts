/**
 * `hostile-victim.js OTHER-PORT`: an echo server that keeps no records, and meanwhile has its own honest connection to
 * another echo server. Tells when asked how it has fared.
 */

import { once } from 'node:events';
import net from 'node:net';
import { dirname, join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { pathToFileURL } from 'node:url';
import { carrier, connect, onOrder, pattern, report } from './support.js';

/** Written by nobody else, so it must be found nowhere else. */
export const secret = Buffer.from(['what', 'only', 'the', 'victim', 'knows'].join('-').repeat(8));

const held = [Buffer.alloc(4 << 20, secret), ...Array.from({ length: 64 }, () => Buffer.alloc(4096, secret))];

interface Counters {
  reasonCounts(): Readonly<Record<string, number>>;
}
const counters = (await import(
  pathToFileURL(join(dirname(process.env.SOCKETS_DIRECT_TEST_INFO!), 'diagnostics', 'counters.js')).href
)) as Counters;

let served = 0;
const server = net.createServer({ allowHalfOpen: true }, (socket) => {
  served++;
  socket.pipe(socket);
  socket.on('error', () => {});
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');

const [otherPort] = process.argv.slice(2).map(Number);
const other = await connect({ port: otherPort!, host: '127.0.0.1' });
let pings = 0;
let correct = true;
async function ping(): Promise<void> {
  for (let offset = 0; ; pings++) {
    const piece = pattern(offset, 1 + ((pings * 997) % 40_000));
    offset += piece.length;
    other.write(piece);
    for (let got = 0; got < piece.length; ) {
      const [chunk] = (await once(other, 'data')) as [Buffer];
      correct &&= chunk.equals(piece.subarray(got, got + chunk.length));
      got += chunk.length;
    }
    // A connection that is always busy would hide whether the others still are.
    await new Promise((resolve) => setImmediate(resolve));
  }
}
void ping();
other.on('error', () => {
  correct = false;
});

const delays = monitorEventLoopDelay({ resolution: 5 });
delays.enable();
onOrder('look', () => {
  (globalThis as { gc?: () => void }).gc?.();
  server.getConnections((_error, connections) =>
    report('looked', {
      served,
      connections,
      pings,
      correct,
      longest: delays.max / 1e6,
      memory: process.memoryUsage().rss,
      reasons: counters.reasonCounts(),
      held: held.length,
    }),
  );
});
onOrder('reset', () => delays.reset());
report('listening', { port: (server.address() as net.AddressInfo).port, provider: carrier(other).provider });
