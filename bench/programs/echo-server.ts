/** Sends back what it gets. */

import net from 'node:net';
import { noTotals, runServer } from './server.js';

const totals = noTotals();

const server = net.createServer({ noDelay: true }, (socket) => {
  totals.connections++;
  socket.on('data', (chunk) => {
    totals.bytes += chunk.length;
    socket.write(chunk);
  });
  // Clients end without ceremony once they have measured.
  socket.on('error', () => socket.destroy());
});

runServer(server, totals);
