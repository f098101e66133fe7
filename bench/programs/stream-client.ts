/** One way, as fast as write() and 'drain' allow; the time ends when the receiver has acknowledged the last byte. */

import type { Socket } from 'node:net';
import { connect, phase, runClient } from './client.js';
import { frame } from './pattern.js';
import type { Totals } from './protocol.js';
import { ackBytes } from './stream.js';

await runClient(async (options, sent) => {
  const socket = await connect(options.port, sent);
  const acknowledged = acknowledgements(socket);
  const send = sender(socket, options.size, sent);

  await acknowledged(await send(options.warmupMs));
  const before = sent.bytes;
  const measured = await phase(options.serverPid, async () => acknowledged(await send(options.measureMs)));
  const bytes = sent.bytes - before;
  return { gbPerS: bytes / measured.wallMs / 1e6, cpuSPerGb: measured.cpuNs / bytes };
});

/** Writes frames for `ms`, then up to the next multiple of the acknowledged step. Resolves with all bytes sent so far. */
function sender(socket: Socket, size: number, sent: Totals): (ms: number) => Promise<number> {
  const bytes = frame(size);
  const step = ackBytes(size);
  return (ms) =>
    new Promise((resolve) => {
      const end = performance.now() + ms;
      const pump = () => {
        for (;;) {
          const more = socket.write(bytes);
          sent.bytes += size;
          if (sent.bytes % step === 0 && performance.now() >= end) {
            resolve(sent.bytes);
            return;
          }
          if (!more) {
            socket.once('drain', pump);
            return;
          }
        }
      };
      pump();
    });
}

/** Waits until the receiver has confirmed `total` bytes. */
function acknowledgements(socket: Socket): (total: number) => Promise<void> {
  let confirmed = 0;
  let wanted = Number.POSITIVE_INFINITY;
  let reached: () => void = () => {};
  let rest: Buffer = Buffer.alloc(0);
  socket.on('data', (chunk) => {
    let bytes = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk;
    while (bytes.length >= 8) {
      confirmed = bytes.readDoubleLE(0);
      bytes = bytes.subarray(8);
    }
    rest = bytes;
    if (confirmed >= wanted) reached();
  });
  return (total) =>
    new Promise((resolve) => {
      wanted = total;
      reached = resolve;
      if (confirmed >= wanted) resolve();
    });
}
