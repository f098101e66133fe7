/** Asks Sockets Direct why a connection to the port in the first argument is not carried by shared memory. */

import net from 'node:net';

// The same instance as the preload's: what it knows about a socket is in its own memory.
const library = new URL('../../dist/index.js', import.meta.url).href;
const { connectionInfo } = (await import(library)) as typeof import('../src/index.js');

const socket = net.connect({ host: '127.0.0.1', port: Number(process.argv[2]) });
const answer = () => {
  console.log(JSON.stringify(connectionInfo(socket)));
  socket.destroy();
};
socket.on('connect', answer);
socket.on('error', answer);
