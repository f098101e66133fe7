/** socket.io: long polling, WebSockets, the change from one to the other; acknowledgements, rooms, binary, disconnects. */

import { once } from 'node:events';
import { createServer } from 'node:http';
import { Server } from 'socket.io';
import { io, type Socket } from 'socket.io-client';
import { bytes, compared, deferred, fact, host, listen, play } from './side.js';

async function server() {
  const under = createServer();
  const sockets = new Server(under, { maxHttpBufferSize: 1 << 24 });
  const lost = deferred<string>();
  sockets.on('connection', (socket) => {
    socket.on('echo', (...args: unknown[]) => {
      const answer = args.pop() as (...values: unknown[]) => void;
      answer(...args);
    });
    socket.on('join', async (room: string, answer: () => void) => {
      await socket.join(room);
      answer();
    });
    socket.on('say', (room: string, text: string) => sockets.to(room).emit('said', text));
    socket.on('leave me', () => socket.disconnect(true));
    socket.on('watch', async (answer: (reason: string) => void) => answer(await lost.promise));
    socket.on('cut soon', () => socket.on('disconnect', (reason) => lost.resolve(reason)));
  });
  const port = await listen(under);
  return { port, close: () => sockets.close() };
}

async function opened(port: number, transports: string[]): Promise<Socket> {
  const socket = io(`http://${host}:${port}`, { transports, forceNew: true, reconnection: false });
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('connect_error', reject);
  });
  return socket;
}

function transportOf(socket: Socket): string {
  return socket.io.engine.transport.name;
}

async function rounds(socket: Socket): Promise<string> {
  const right = await Promise.all(
    Array.from({ length: 100 }, async (_, i) => {
      const sent = bytes(i * 50, i);
      const [n, data] = await new Promise<[number, Buffer]>((resolve) => {
        socket.emit('echo', i, sent, (...values: [number, Buffer]) => resolve(values));
      });
      return n === i && sent.equals(data);
    }),
  );
  const large = bytes(3 << 20, 1);
  const back = (await socket.emitWithAck('echo', large)) as Buffer;
  return `${right.filter((one) => one).length} of 100, ${compared(back, large)}`;
}

async function client(port: number): Promise<void> {
  const polling = await opened(port, ['polling']);
  fact(`${transportOf(polling)}: ${await rounds(polling)}`);
  const websocket = await opened(port, ['websocket']);
  fact(`${transportOf(websocket)}: ${await rounds(websocket)}`);
  const both = await opened(port, ['polling', 'websocket']);
  if (transportOf(both) === 'polling') await new Promise((resolve) => both.io.engine.once('upgrade', resolve));
  fact(`upgraded to ${transportOf(both)}: ${await rounds(both)}`);

  const everybody = [polling, websocket, both];
  await Promise.all(everybody.map((socket) => socket.emitWithAck('join', 'room')));
  const heard = everybody.map((socket) => new Promise((resolve) => socket.once('said', resolve)));
  both.emit('say', 'room', 'to all of you');
  fact(`heard: ${(await Promise.all(heard)).join(', ')}`);

  both.emit('cut soon');
  await both.emitWithAck('echo', 0);
  // The transport goes without a word.
  (both.io.engine.transport as unknown as { ws: { terminate(): void } }).ws.terminate();
  fact(`the server saw it: ${await websocket.emitWithAck('watch')}`);
  const thrown = once(websocket as unknown as NodeJS.EventEmitter, 'disconnect');
  websocket.emit('leave me');
  fact(`thrown out: ${(await thrown)[0]}`);
  const left = new Promise((resolve) => polling.io.engine.once('close', resolve));
  polling.disconnect();
  await left;
}

await play({ server, client });
