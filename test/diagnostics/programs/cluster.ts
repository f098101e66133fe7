/** `cluster.js`: a primary with two workers that connect somewhere; reports the workers' process ids, ends when told. */

import cluster from 'node:cluster';
import { once } from 'node:events';
import net from 'node:net';

if (cluster.isPrimary) {
  // Not for workers, whose channel has to hold them.
  const { onOrder, report } = await import('../../e2e/programs/support.js');
  const server = net.createServer((socket) => socket.on('error', () => {}).resume()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  const workers = [cluster.fork({ HELD_PORT: port }), cluster.fork({ HELD_PORT: port })];
  await Promise.all(workers.map((worker) => once(worker, 'message')));
  onOrder('disconnect', () => {
    cluster.disconnect();
    server.close();
  });
  report('workers', { workers: workers.map((worker) => worker.process.pid) });
} else {
  const shared = net.createServer(() => {}).listen(0, '127.0.0.1');
  await once(shared, 'listening');
  const socket = net.connect(Number(process.env.HELD_PORT), '127.0.0.1');
  await once(socket, 'connect');
  process.on('disconnect', () => socket.destroy());
  process.send!('connected');
}
