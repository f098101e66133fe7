/**
 * `workers.js KIND`: connections between event loops of one process. Each side checks what it gets and the main thread
 * reports what both have seen.
 *
 *     to-main      a worker connects to the main thread
 *     to-worker    the main thread connects to a worker
 *     workers      a worker connects to another one
 *     same-loop    the main thread connects to itself
 *     churn        one worker after the other connects to the main thread and is terminated or ends by itself
 *     terminated   a worker that streams is terminated, and the main thread reports when the stream ends
 *     terminated-client   the same, but the worker is the client
 */

import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import net from 'node:net';
import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { Checker, carrier, connect, report, send, stream } from './support.js';

const bytes = 8 * 1024 * 1024;

interface Seen {
  provider: string | null;
  bytes: number;
  correct: boolean;
}

/** Sends and checks, and tells what it has seen at the end. */
async function exchange(socket: net.Socket): Promise<Seen> {
  const checker = new Checker().watch(socket);
  const closed = once(socket, 'close');
  await send(socket, bytes);
  socket.end();
  await closed;
  return { provider: carrier(socket).provider, bytes: checker.bytes, correct: checker.correct };
}

async function serve(port: number): Promise<{ port: number; seen: Promise<Seen> }> {
  const server = net.createServer({ allowHalfOpen: true });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const seen = once(server, 'connection').then(async ([socket]) => {
    const result = await exchange(socket as net.Socket);
    server.close();
    return result;
  });
  return { port: (server.address() as net.AddressInfo).port, seen };
}

async function call(port: number): Promise<Seen> {
  return exchange(await connect({ port, host: '127.0.0.1', allowHalfOpen: true }));
}

function start(role: string, port = 0): Worker {
  return new Worker(fileURLToPath(import.meta.url), { workerData: { role, port } });
}

async function message<T>(worker: Worker): Promise<T> {
  const [value] = (await once(worker, 'message')) as [T];
  return value;
}

async function terminated(byClient: boolean): Promise<void> {
  let worker: Worker;
  let socket: net.Socket;
  if (byClient) {
    const server = net.createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    worker = start('stream-client', (server.address() as net.AddressInfo).port);
    [socket] = (await once(server, 'connection')) as [net.Socket];
    server.close();
  } else {
    worker = start('stream-server');
    socket = await connect({ port: await message<number>(worker), host: '127.0.0.1' });
  }
  const checker = new Checker().watch(socket);
  while (checker.bytes < 1024 * 1024) await once(socket, 'data');
  const from = performance.now();
  let how = 'end';
  socket.on('error', (error: NodeJS.ErrnoException) => {
    how = String(error.code);
  });
  const closed = once(socket, 'close').catch(() => {});
  await worker.terminate();
  const terminatedAfter = performance.now() - from;
  await closed;
  const after = performance.now() - from - terminatedAfter;
  report('seen', { how, after, correct: checker.correct, provider: carrier(socket).provider });
}

/** Descriptors of the process after that many more workers. */
async function churn(port: number, workers: number): Promise<number> {
  for (let i = 0; i < workers; i++) {
    const worker = start('connect', port);
    await message(worker);
    const ended = once(worker, 'exit');
    if (i % 2 === 0) await worker.terminate();
    else worker.postMessage('end');
    await ended;
  }
  // Ends of links are seen in a later turn.
  await new Promise((resolve) => setTimeout(resolve, 50));
  return readdirSync('/proc/self/fd').length;
}

const kind = process.argv[2];

if (!isMainThread) {
  const { role, port } = workerData as { role: string; port: number };
  if (role === 'serve') {
    const { port: chosen, seen } = await serve(0);
    parentPort!.postMessage(chosen);
    parentPort!.postMessage(await seen);
  } else if (role === 'call') {
    parentPort!.postMessage(await call(port));
  } else if (role === 'connect') {
    const socket = await connect({ port, host: '127.0.0.1' });
    socket.on('error', () => {}).resume();
    parentPort!.once('message', () => socket.destroy());
    parentPort!.postMessage(carrier(socket).provider);
  } else if (role === 'stream-server') {
    const server = net.createServer((socket) => stream(socket)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    parentPort!.postMessage((server.address() as net.AddressInfo).port);
  } else {
    stream(await connect({ port, host: '127.0.0.1' }));
  }
} else if (kind === 'churn') {
  const server = net.createServer((socket) => socket.on('error', () => {}).resume()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  const before = await churn(port, 2);
  report('seen', { before, after: await churn(port, 10) });
  server.close();
} else if (kind === 'terminated' || kind === 'terminated-client') {
  await terminated(kind === 'terminated-client');
} else {
  let port: number;
  let served: Promise<Seen>;
  if (kind === 'to-worker' || kind === 'workers') {
    const server = start('serve');
    port = await message<number>(server);
    served = message<Seen>(server);
  } else {
    ({ port, seen: served } = await serve(0));
  }
  const called = kind === 'to-main' || kind === 'workers' ? message<Seen>(start('call', port)) : call(port);
  report('seen', { server: await served, client: await called });
}
