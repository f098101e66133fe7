/** The server's end of most scenarios. */

import net from 'node:net';
import type { ServerEnd } from './scenario.js';

/** Gives each connection to `handle` until the client has said `done`, and is over when all of them have closed. */
export async function serve(
  end: ServerEnd,
  handle: (socket: net.Socket) => void,
  options: net.ServerOpts = {},
): Promise<void> {
  const sockets: net.Socket[] = [];
  const server = net.createServer(options, (socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    handle(socket);
  });
  await end.listen(server);
  await end.told('done');
  await Promise.all(sockets.map((socket) => end.closed(socket)));
}
