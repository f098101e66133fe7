/** A plain client of node:net, which knows nothing of Sockets Direct. Prints what it is told, or the code of its error. */

import net from 'node:net';

const socket = net.connect({ host: '127.0.0.1', port: Number(process.argv[2]) });
let text = '';
socket.setEncoding('utf8');
socket.on('data', (chunk: string) => {
  text += chunk;
});
socket.on('end', () => console.log(JSON.stringify({ text, code: '' })));
socket.on('error', (error: NodeJS.ErrnoException) => console.log(JSON.stringify({ text, code: error.code ?? '' })));
