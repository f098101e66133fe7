/** Watches Node's own channels of sockets while a connection to itself is set up. */

import { subscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import net from 'node:net';
import { carrier, report } from '../../e2e/programs/support.js';

const seen = { clients: 0, servers: 0, listens: 0 };
subscribe('net.client.socket', () => {
  seen.clients++;
});
subscribe('net.server.socket', () => {
  seen.servers++;
});
subscribe('tracing:net.server.listen:asyncStart', () => {
  seen.listens++;
});

const server = net.createServer((socket) => socket.end()).listen(0, '127.0.0.1');
await once(server, 'listening');
for (let i = 0; i < 3; i++) {
  const socket = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1');
  socket.resume();
  await once(socket, 'connect');
  const { provider } = carrier(socket);
  await once(socket, 'close');
  report('connected', { provider });
}
server.close();
report('seen', seen);
