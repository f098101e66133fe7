/**
 * `hostile-client.js OTHER-PORT LURE`: connects to the lure, again and again and many times at once, and gives back what it
 * gets there. Meanwhile it has its honest connection to an echo server.
 */

import { once } from 'node:events';
import net from 'node:net';
import { Honest } from './hostile-honest.js';
import { carrier, onOrder, report } from './support.js';

const [otherPort, lure] = process.argv.slice(2).map(Number) as [number, number];
const honest = await Honest.start(otherPort);
let stopped = false;
let longest = 0;
const ways: Record<string, number> = {};
const count = (way: string): void => {
  ways[way] = (ways[way] ?? 0) + 1;
};

async function again(): Promise<void> {
  while (!stopped) {
    const from = performance.now();
    const socket = net.connect(lure, '127.0.0.1');
    socket.on('error', () => {});
    socket.on('connect', () => {
      count('connected');
      longest = Math.max(longest, performance.now() - from);
      // The peer may keep it open for ever and say nothing.
      socket.setTimeout(500, () => socket.destroy());
      socket.pipe(socket);
    });
    await once(socket, 'close').catch(() => {});
    longest = Math.max(longest, performance.now() - from);
    count(`closed, ${carrier(socket).reason}`);
  }
}

const loops = Array.from({ length: 24 }, () => again());
onOrder('look', () => honest.look({ ways, longestAttempt: longest }));
onOrder('stop', () => {
  stopped = true;
  void Promise.all(loops).then(() => report('stopped'));
});
report('connecting', { provider: honest.provider });
