/**
 * `pinger.js PORT [OTHER PORT]`: sends pieces of the test stream to an echo server, one after the other, and checks each,
 * until it is told to stop. Meanwhile it connects to the other port, as often as that port ends its connections.
 */

import { once } from 'node:events';
import net from 'node:net';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { carrier, connect, onOrder, pattern, report } from './support.js';

const [port, otherPort] = process.argv.slice(2).map(Number);
const socket = await connect({ port, host: '127.0.0.1' });
const { provider } = carrier(socket);
let stopped = false;
let rounds = 0;
let longest = 0;
onOrder('stop', () => {
  stopped = true;
});
socket.on('error', (error: NodeJS.ErrnoException) => report('failed', { code: error.code }));
report('pinging', { provider });

const ways = new Map<string, number>();
function count(way: string): void {
  ways.set(way, (ways.get(way) ?? 0) + 1);
}

async function tryOther(): Promise<void> {
  while (!stopped) {
    const other = net.connect(otherPort, '127.0.0.1');
    other.on('error', () => {});
    other.on('connect', () => count(`connected by ${carrier(other).provider}`));
    other.on('data', () => count('data'));
    other.write('anybody there?');
    // A peer need not say anything.
    other.setTimeout(20, () => other.destroy());
    await once(other, 'close').catch(() => {});
    count('closed');
  }
}
if (otherPort !== undefined) void tryOther();

const delays = monitorEventLoopDelay({ resolution: 5 });
delays.enable();
let offset = 0;
for (; !stopped; rounds++) {
  const piece = pattern(offset, 1 + ((rounds * 997) % 40_000));
  const from = performance.now();
  socket.write(piece);
  let got = 0;
  while (got < piece.length) {
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    if (!chunk.equals(piece.subarray(got, got + chunk.length))) {
      report('failed', { code: 'wrong bytes' });
      process.exit(1);
    }
    got += chunk.length;
  }
  longest = Math.max(longest, performance.now() - from);
  offset += piece.length;
}
socket.end();
report('pinged', { rounds, longest, standstill: delays.max / 1e6, ways: Object.fromEntries(ways) });
