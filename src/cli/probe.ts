/** `probe.js server` and `probe.js client PORT`: the two ends of the self-test of `doctor`. */

import net from 'node:net';
import { tryPeerMemory } from '../compose.js';
import { status } from '../diagnostics/status.js';
import { connectionInfo } from '../net/index.js';

/** Enough that the code is compiled and a median means something; some tens of milliseconds by TCP/IP. */
const warmUp = 1000;
const rounds = 2000;
const size = 64;

const [role, port] = process.argv.slice(2);
if (role === 'server') {
  const server = net.createServer({ noDelay: true }, (socket) => socket.on('error', () => {}).pipe(socket));
  server.listen(0, '127.0.0.1', () => console.log((server.address() as net.AddressInfo).port));
} else {
  const socket = net.connect({ port: Number(port), host: '127.0.0.1', noDelay: true });
  const message = Buffer.alloc(size, 1);
  const times: number[] = [];
  let started = 0;
  let missing = size;
  socket.on('data', (chunk: Buffer) => {
    missing -= chunk.length;
    if (missing > 0) return;
    const now = performance.now();
    times.push(now - started);
    if (times.length < warmUp + rounds) {
      missing = size;
      started = performance.now();
      socket.write(message);
    } else {
      const sorted = times.slice(warmUp).sort((a, b) => a - b);
      const { provider, reason } = connectionInfo(socket);
      const { providers, unwatched } = status();
      const roundTrip = sorted[rounds / 2] * 1000;
      const peerMemory = tryPeerMemory()[0]?.memory ?? null;
      console.log(JSON.stringify({ provider, reason, roundTrip, providers, unwatched, peerMemory }));
      socket.destroy();
    }
  });
  socket.once('connect', () => {
    started = performance.now();
    socket.write(message);
  });
}
