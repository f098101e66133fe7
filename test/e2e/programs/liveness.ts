/** `liveness.js KIND PORT`: has sockets to the echo server at that port, and servers, and nothing else to do. */

import { once } from 'node:events';
import net from 'node:net';
import { carrier, connect, listen, reported } from './support.js';

const [kind, port] = process.argv.slice(2);
const target = { port: Number(port), host: '127.0.0.1' };

/** With bytes that have gone there and back. */
async function used(): Promise<net.Socket> {
  const socket = await connect(target);
  socket.write('hello');
  await once(socket, 'data');
  return socket;
}

let socket: net.Socket | null = null;
switch (kind) {
  case 'unref-sockets':
    socket = (await used()).unref();
    socket.resume();
    break;
  case 'unref-server': {
    const server = net.createServer();
    await listen(server);
    server.unref();
    socket = (await used()).unref();
    break;
  }
  case 'closed': {
    const server = net.createServer();
    await listen(server);
    socket = await used();
    socket.resume().end();
    await once(socket, 'close');
    server.close();
    break;
  }
  case 'pending':
    socket = net.connect(target);
    socket.destroy();
    break;
  case 'listening':
    await listen(net.createServer());
    socket = (await used()).unref();
    break;
  case 'open':
    socket = await used();
    socket.resume();
    break;
  case 'paused':
    socket = await used();
    socket.pause();
    break;
}
await reported('ready', socket === null ? {} : { ...carrier(socket) });
