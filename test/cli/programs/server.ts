/** An echo server that prints its port, and what carried each connection: in this process, or in a child or worker of it. */

import { fork } from 'node:child_process';
import net from 'node:net';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';

const [where = 'here'] = process.argv.slice(2);

if (where === 'child') {
  fork(fileURLToPath(import.meta.url), ['here'], { stdio: 'inherit' });
} else if (where === 'worker') {
  new Worker(new URL(import.meta.url), { argv: ['here'] });
} else {
  const server = net.createServer((socket) => {
    socket.on('error', () => {});
    socket.pipe(socket);
  });
  server.listen(0, '127.0.0.1', () => console.log((server.address() as net.AddressInfo).port));
}
