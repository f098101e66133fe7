/**
 * Takes a stream, checks it and acknowledges totals: 8 bytes with the number of bytes received so far, whenever another
 * `ackBytes` are complete.
 */

import net from 'node:net';
import { patternAt } from './pattern.js';
import { noTotals, runServer } from './server.js';
import { ackBytes } from './stream.js';

const totals = noTotals();
const size: number = JSON.parse(process.argv[2] ?? '{}').size;

const server = net.createServer({ noDelay: true }, (socket) => {
  totals.connections++;
  const step = ackBytes(size);
  let received = 0;
  let nextAck = step;
  socket.on('data', (chunk) => {
    // Both ends of every chunk are compared: a byte lost, doubled or out of order shows, at hardly any cost.
    check(chunk[0], received);
    received += chunk.length;
    check(chunk[chunk.length - 1], received - 1);
    totals.bytes += chunk.length;
    while (received >= nextAck) {
      const ack = Buffer.alloc(8);
      ack.writeDoubleLE(nextAck);
      socket.write(ack);
      nextAck += step;
    }
  });
  socket.on('error', () => socket.destroy());
});

function check(byte: number | undefined, position: number): void {
  const expected = patternAt(position % size);
  if (byte !== expected) throw new Error(`byte ${position} of the stream is ${byte} instead of ${expected}`);
}

runServer(server, totals);
