/** `client.js PORT [COUNT]`: sends a few bytes on so many connections, one after the other, and prints what came back. */

import { once } from 'node:events';
import net from 'node:net';

const [port, count = '1'] = process.argv.slice(2);
for (let i = 0; i < Number(count); i++) {
  const socket = net.connect(Number(port), '127.0.0.1').setEncoding('utf8');
  try {
    socket.end(`hello ${i}`);
    let text = '';
    for await (const part of socket) text += part;
    console.log(text);
  } catch (error) {
    console.log((error as NodeJS.ErrnoException).code);
  }
  if (!socket.closed) await once(socket, 'close');
}
