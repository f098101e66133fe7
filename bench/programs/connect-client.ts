/** Connect, 64 bytes there and back, close; `connections` of these at a time. */

import net from 'node:net';
import { phase, runClient, sleep } from './client.js';
import { MESSAGE_BYTES } from './echo.js';
import type { Totals } from './protocol.js';

await runClient(async (options, sent) => {
  let cycles = 0;
  let stop = false;
  const message = Buffer.alloc(MESSAGE_BYTES, 7);
  const loop = async () => {
    while (!stop) {
      await cycle(options.port, message, sent);
      cycles++;
    }
  };
  const loops = Promise.all(Array.from({ length: options.connections }, loop));

  await Promise.race([sleep(options.warmupMs), loops]);
  const before = cycles;
  const measured = await phase(options.serverPid, () => Promise.race([sleep(options.measureMs), loops]));
  const done = cycles - before;
  stop = true;
  await loops;
  return { perS: done / (measured.wallMs / 1000), cpuUs: measured.cpuNs / 1000 / done };
});

/** Ends when the socket has closed in both directions, as a program that waits for the end would see it. */
function cycle(port: number, message: Buffer, sent: Totals): Promise<void> {
  return new Promise((resolve, reject) => {
    let received = 0;
    const socket = net.connect({ host: '127.0.0.1', port, noDelay: true });
    socket.on('error', reject);
    socket.on('connect', () => {
      sent.connections++;
      sent.bytes += message.length;
      socket.write(message);
    });
    socket.on('data', (chunk) => {
      received += chunk.length;
      if (received >= message.length) socket.end();
    });
    socket.on('close', () => {
      if (received === message.length) resolve();
      else reject(new Error(`${received} of ${message.length} bytes came back before the close`));
    });
  });
}
