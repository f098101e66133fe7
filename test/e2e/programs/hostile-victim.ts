/**
 * `hostile-victim.js OTHER-PORT`: an echo server that keeps no records, and meanwhile has its own honest connection to
 * another echo server. Tells when asked how it has fared.
 */

import net from 'node:net';
import { Honest } from './hostile-honest.js';
import { listen, onOrder } from './support.js';

let served = 0;
const server = net.createServer({ allowHalfOpen: true }, (socket) => {
  served++;
  socket.pipe(socket);
  socket.on('error', () => {});
});
const honest = await Honest.start(Number(process.argv[2]));
onOrder('look', () => {
  server.getConnections((_error, connections) => honest.look({ served, connections }));
});
await listen(server);
