/** Connects by address, which net does in the same call, where no SAN leads, and tells what ran in which order. */

import net from 'node:net';
import { report } from '../../e2e/programs/support.js';

const order: string[] = [];
const socket = new net.Socket();
socket.on('error', (error: NodeJS.ErrnoException) => {
  order.push(`error ${error.code}`);
  report('order', { order });
});
setImmediate(() => {
  process.nextTick(() => order.push('tick'));
  socket.connect({ port: 9, host: '192.0.2.1' });
  order.push('connect has returned');
});
