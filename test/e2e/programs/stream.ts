/**
 * `stream.js server SEND` and `stream.js client SEND`: sends that many bytes of the test stream on each connection (-1: as
 * many as the peer takes) and checks what arrives. The client connects when it is told to.
 */

import net from 'node:net';
import { Checker, carrier, connect, listen, onOrder, report, send, stream } from './support.js';

const [role, amount] = process.argv.slice(2);
const progressAt = 1024 * 1024;

async function use(socket: net.Socket): Promise<void> {
  const checker = new Checker().watch(socket);
  const { provider } = carrier(socket);
  let how = 'nothing';
  let time = 0;
  const ended = (what: string): void => {
    how = how === 'nothing' ? what : `${how}, ${what}`;
    time = performance.timeOrigin + performance.now();
  };
  socket.on('end', () => ended('end'));
  socket.on('error', (error: NodeJS.ErrnoException) => ended(`${error.code}`));
  socket.on('close', () => report('closed', { how, time, provider, bytes: checker.bytes, correct: checker.correct }));
  let told = false;
  socket.on('data', () => {
    if (told || checker.bytes < progressAt) return;
    told = true;
    report('progress');
  });
  report('open', { provider });
  const bytes = Number(amount);
  if (bytes < 0) {
    stream(socket);
    return;
  }
  await send(socket, bytes);
  // Who only listens ends after the peer.
  if (bytes > 0) socket.end();
  else socket.on('end', () => socket.end());
}

onOrder('connect', async ({ port }) => {
  try {
    await use(await connect({ port: Number(port), host: '127.0.0.1', allowHalfOpen: true }));
  } catch (error) {
    report('failed', { code: (error as NodeJS.ErrnoException).code });
  }
});
onOrder('collect', async () => {
  // Finalizers run in a later turn, and what they free may hold more.
  for (let i = 0; i < 4; i++) {
    globalThis.gc?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
  report('collected');
});

// A client that waits for orders.
const waiting = setInterval(() => {}, 60_000);
if (role === 'server') {
  clearInterval(waiting);
  await listen(net.createServer({ allowHalfOpen: true }, (socket) => void use(socket)));
}
